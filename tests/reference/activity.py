"""R14 by person and day, and its index by seller and month, from rows of facts and dimensions.

As SPEC.md and the definitions say; nothing here reads a metric table.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.reference.reports import WORK, Facts, Row, month_of

TEAM_MIN = 4
"""Sellers from which on a team is its own yardstick."""
MONTHS_BEFORE = 3

Day = tuple[Any, dt.date]
"""Whom reports name, and a day."""


@dataclass
class Activity:
    """What a person did on a day.

    Talk is in seconds, by third of the pipeline's open stages. Deals are those in work at the end
    of the day; None of people whose are not told apart.
    """

    calls: int = 0
    inbound: int = 0
    outbound: int = 0
    answered: int = 0
    successful: int = 0
    attempts: int = 0
    talk: int = 0
    thirds: list[int] = field(default_factory=lambda: [0, 0, 0])
    emails: int = 0
    chats: int = 0
    meetings: int = 0
    tasks: int = 0
    moves: int = 0
    forward: int = 0
    comments: int = 0
    touches: int = 0
    open_deals: int | None = None
    cards: set[Any] = field(default_factory=set)
    times: list[dt.datetime] = field(default_factory=list)

    @property
    def longest_pause(self) -> float | None:
        """Seconds between two neighbouring actions."""
        pairs = itertools.pairwise(sorted(self.times))
        return max(((later - one).total_seconds() for one, later in pairs), default=None)

    @property
    def points(self) -> float:
        """Weighted, as SPEC.md weighs them."""
        return (
            3 * self.successful
            + (self.answered - self.successful)
            + 0.3 * self.attempts
            + self.emails
            + self.chats
            + 5 * self.meetings
            + self.tasks
            + self.forward
        )


def activity(facts: Facts) -> dict[Day, Activity]:
    """By person and day on which anything is recorded."""
    found: dict[Day, Activity] = defaultdict(Activity)
    thirds = stage_thirds(facts)
    for call in facts.calls:
        one = found[call["reporting_employee_key"], call["started_on"]]
        talk = call["talk_seconds"] or 0
        one.calls += 1
        one.inbound += call["direction"] == "inbound"
        one.outbound += call["direction"] == "outbound"
        one.answered += call["is_answered"]
        one.successful += call["is_successful"]
        one.attempts += call["direction"] == "outbound" and not call["is_answered"]
        one.talk += talk
        if call["stage_key"] in thirds:
            one.thirds[thirds[call["stage_key"]]] += talk
        if call["is_answered"] or call["direction"] == "outbound":
            # What nobody picked up is not what somebody did.
            one.times.append(call["started_at"])
    for message in facts.tables["fct_messages"]:
        if message["direction"] != "inbound" or message["is_session"]:
            one = found[message["reporting_employee_key"], message["sent_on"]]
            one.emails += message["message_type"] == "email"
            one.chats += message["message_type"] == "chat"
    forward = set(_moves_forward(facts))
    for action in facts.tables["fct_crm_actions"]:
        if action["actor_kind"] != "person":
            continue
        one = found[action["reporting_employee_key"], action["acted_on"]]
        kind = action["action_type"]
        one.meetings += kind == "meeting"
        one.tasks += kind == "task_completed"
        one.moves += kind == "stage_move"
        one.forward += kind == "stage_move" and (action["card_key"], action["acted_at"]) in forward
        one.comments += kind == "comment"
        if kind in ("stage_move", "card_changed"):
            one.cards.add(action["card_key"])
        one.times.append(action["acted_at"])
    for touch in facts.tables["fct_touches"]:
        found[touch["reporting_employee_key"], touch["touched_on"]].touches += 1
    _hold(facts, found)
    return dict(found)


def _hold(facts: Facts, found: Mapping[Day, Activity]) -> None:
    """Count the deals that each one who is still there had at the end of their days."""
    here = {
        row["employee_key"]
        for row in facts.tables["dim_employees"]
        if row["employee_kind"] == "person" and row["former_from_on"] is None
    }
    held: Counter[Day] = Counter()
    for stock in facts.tables["fct_open_pipeline"]:
        if facts.roles[stock["pipeline_key"]] in WORK:
            whose = (stock["reporting_employee_key"], stock["stock_on"])
            held[whose] += stock["open_deals_count"]
    for (who, day), one in found.items():
        if who in here:
            one.open_deals = held[who, day]


def stage_thirds(facts: Facts) -> dict[Any, int]:
    """By open stage, in which third of its pipeline it lies."""
    stages: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
    for key, stage in facts.stages.items():
        if stage["stage_semantics"] == "open" and stage["is_listed"]:
            stages[stage["pipeline_key"]].append((stage["stage_position"], key))
    return {
        key: math.ceil(3 * place / len(opened)) - 1
        for opened in stages.values()
        for place, (_, key) in enumerate(sorted(opened), start=1)
    }


def _moves_forward(facts: Facts) -> Iterator[tuple[Any, dt.datetime]]:
    """Card and instant."""
    for card, visits in facts.visits.items():
        for before, after in itertools.pairwise(visits):
            places = [
                facts.stages[visit["stage_key"]]["stage_position"] for visit in (before, after)
            ]
            if (
                before["pipeline_key"] == after["pipeline_key"]
                and after["stage_semantics"] != "lost"
                and places[0] < places[1]
            ):
                yield card, after["entered_at"]


@dataclass(frozen=True)
class Index:
    """R14's index of a seller in a month.

    Attributes:
        working_days: of the company's calendar less the person's absences.
        points: weighted actions.
        sellers: of the team, with a number.
        basis: team, own_past or none.
        at_100: points per working day that are 100.
        index: None without a basis.
    """

    working_days: int
    points: float
    sellers: int
    basis: str
    at_100: float | None
    index: float | None


def activity_index(
    facts: Facts, absences: Sequence[Row], days: Mapping[Day, Activity]
) -> dict[Day, Index]:
    """By seller and month, from the first day on which anybody is recorded to as-of.

    Args:
        facts: the marts.
        absences: rows of `dim_absences`.
        days: what was done.
    """
    first_on = min(day for _, day in days)
    absent = {
        (row["employee_key"], row["from_on"] + dt.timedelta(days=number))
        for row in absences
        for number in range((row["until_on"] - row["from_on"]).days)
    }
    sellers = {row["employee_key"]: row for row in facts.tables["dim_sellers"]}
    working: Counter[Day] = Counter()
    for seller, row in sellers.items():
        for date in facts.tables["dim_dates"]:
            day = date["date_day"]
            there = max(row["seller_from_on"] or first_on, first_on) <= day <= facts.as_of_on
            if there and day < row["seller_until_on"]:
                is_working = date["is_working_day"] and (seller, day) not in absent
                working[seller, month_of(day)] += is_working
    points: dict[Day, Fraction] = defaultdict(Fraction)
    for (who, day), one in days.items():
        points[who, month_of(day)] += Fraction(one.points).limit_denominator(10)
    rates = {key: points[key] / count for key, count in working.items() if count}
    found: dict[Day, Index] = {}
    for (seller, month), count in working.items():
        team = [
            rates[other, month]
            for other, row in sellers.items()
            if row["department_name"] == sellers[seller]["department_name"]
            and (other, month) in rates
        ]
        before = list(_months_before(month))
        starts_on = max(sellers[seller]["seller_from_on"] or first_on, first_on)
        own = [rates[seller, one] for one in before if starts_on <= one and (seller, one) in rates]
        basis, at_100 = "none", None
        if len(team) >= TEAM_MIN:
            basis, at_100 = "team", statistics.median(team)
        elif len(own) == MONTHS_BEFORE:
            basis, at_100 = "own_past", statistics.mean(own)
        rate = rates.get((seller, month))
        index = 100 * rate / at_100 if at_100 and rate is not None else None
        found[seller, month] = Index(
            count,
            float(points[seller, month]),
            len(team),
            basis,
            None if at_100 is None else float(at_100),
            None if index is None else float(index),
        )
    return found


def _months_before(month: dt.date) -> Iterator[dt.date]:
    for _ in range(MONTHS_BEFORE):
        month = month_of(month - dt.timedelta(days=1))
        yield month
