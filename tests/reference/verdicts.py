"""What goes wrong and what may come, from rows of facts and dimensions, as SPEC.md says it.

R7, R8 (hours), R11, R15, R18, R19, R21 and the weekly shares of R23. Like `reports.py`, of which
this is the second half, nothing here reads a metric table.
"""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.reports import Facts, Row, month_of, whole_days

WINDOW = dt.timedelta(days=90)
"""Moves that R11 looks at."""
DEAD_DAYS = 30
SHORT_SECONDS = 20
WEEKS_BEFORE = 8
PAIRS_MIN = 13
"""Pairs of weeks under which a correlation says nothing."""
DROP = 0.3


def monday_of(day: dt.date) -> dt.date:
    """The first day of its week."""
    return day - dt.timedelta(days=day.weekday())


def missed_by_day(cases: Iterable[Row]) -> dict[dt.date, tuple[int, ...]]:
    """R7 by the day of a case's first missed call.

    Returns:
        Missed calls, cases of callers with a number, contacted ones, those that were lost, and
        callers without a number.
    """
    found: dict[dt.date, list[int]] = defaultdict(lambda: [0] * 5)
    for case in cases:
        one = found[case["first_missed_on"]]
        one[0] += case["missed_count"]
        one[1] += case["case_state"] != "anonymous"
        one[2] += case["contacted_at"] is not None
        one[3] += case["case_state"] == "lost"
        one[4] += case["case_state"] == "anonymous"
    return {day: tuple(one) for day, one in found.items()}


def calls_by_hour(
    facts: Facts, zone: ZoneInfo
) -> dict[tuple[Any, dt.date, int, int], tuple[int, ...]]:
    """R8 by talker, month, weekday (1 is Monday) and hour of the company's clock.

    Returns:
        Calls, inbound, outbound, answered, successful and seconds of talk.
    """
    found: dict[tuple[Any, dt.date, int, int], list[int]] = defaultdict(lambda: [0] * 6)
    for call in facts.calls:
        local = call["started_at"].replace(tzinfo=dt.UTC).astimezone(zone)
        one = found[
            call["reporting_employee_key"], month_of(local.date()), local.isoweekday(), local.hour
        ]
        one[0] += 1
        one[1] += call["direction"] == "inbound"
        one[2] += call["direction"] == "outbound"
        one[3] += call["is_answered"]
        one[4] += call["is_successful"]
        one[5] += call["talk_seconds"]
    return {key: tuple(one) for key, one in found.items()}


def losses(facts: Facts) -> dict[tuple[Any, dt.date, Any], tuple[int, float, int, int]]:
    """R18 by pipeline, month of the loss and owner at it; ignored pipelines left out.

    Returns:
        Lost deals, their amount, those lost after a proposal, and of these the ones with at most
        two touches between it and the loss.
    """
    touches: dict[Any, list[dt.datetime]] = defaultdict(list)
    for touch in facts.tables["fct_touches"]:
        touches[touch["deal_key"]].append(touch["touched_at"])
    found: dict[tuple[Any, dt.date, Any], list[float]] = defaultdict(lambda: [0, 0.0, 0, 0])
    for close in facts.closes:
        if close["outcome"] != "lost" or facts.roles[close["pipeline_key"]] == "ignore":
            continue
        one = found[
            close["pipeline_key"], month_of(close["closed_on"]), close["reporting_employee_key"]
        ]
        one[0] += 1
        one[1] += float(close["company_amount"] or 0)
        proposed = [
            visit["entered_at"]
            for visit in facts.visits[close["deal_key"]]
            if visit["pipeline_key"] == close["pipeline_key"]
            and visit["entered_at"] <= close["closed_at"]
            and facts.has_role(visit["stage_key"], "proposal")
        ]
        if proposed:
            between = [
                at for at in touches[close["deal_key"]] if min(proposed) < at < close["closed_at"]
            ]
            one[2] += 1
            one[3] += len(between) <= 2
    return {key: (int(one[0]), one[1], int(one[2]), int(one[3])) for key, one in found.items()}


def discipline(facts: Facts) -> dict[tuple[Any, Any], tuple[int, ...]]:
    """R15 by pipeline and owner now.

    Returns:
        Open cards, those without planned work, those with overdue work, tasks of all of them, moved
        deadlines, and of these the ones between which and the move before nobody touched the card.
    """
    tasks: dict[Any, list[Row]] = defaultdict(list)
    for task in facts.tables["fct_tasks"]:
        tasks[task["card_key"]].append(task)
    touches: dict[Any, list[dt.datetime]] = defaultdict(list)
    for touch in facts.tables["fct_touches"]:
        touches[touch["card_key"]].append(touch["touched_at"])
    created = {task["task_key"]: task["created_at"] for task in facts.tables["fct_tasks"]}
    moves: dict[Any, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    before = dict(created)
    for move in sorted(facts.tables["fct_deadline_moves"], key=lambda row: row["moved_at"]):
        moves[move["card_key"]].append((before[move["task_key"]], move["moved_at"]))
        before[move["task_key"]] = move["moved_at"]
    found: dict[tuple[Any, Any], list[int]] = defaultdict(lambda: [0] * 6)
    for card in facts.open_cards:
        key = card["card_key"]
        planned = [task for task in tasks[key] if not task["is_completed"]]
        one = found[card["pipeline_key"], card["current_reporting_employee_key"]]
        one[0] += 1
        one[1] += not planned
        one[2] += any(task["deadline_at"] and task["deadline_at"] < facts.as_of for task in planned)
        one[3] += len(tasks[key])
        one[4] += len(moves[key])
        one[5] += sum(
            not any(since <= at <= until for at in touches[key]) for since, until in moves[key]
        )
    return {key: tuple(one) for key, one in found.items()}


def turbulence(facts: Facts) -> dict[Any, tuple[int, int]]:
    """R11 by pipeline: moves back or two stages and more ahead, and all moves, of the last 90 days.

    Stages are counted as they lie open one behind the other; the win lies behind the last.
    """
    ranks: dict[Any, int] = {}
    of_pipelines: dict[Any, list[Row]] = defaultdict(list)
    for stage in facts.tables["dim_stages"]:
        of_pipelines[stage["pipeline_key"]].append(stage)
    for stages in of_pipelines.values():
        steps = sorted(
            (stage for stage in stages if stage["stage_semantics"] == "open"),
            key=lambda stage: (stage["stage_position"], stage["stage_key"]),
        )
        ranks |= {stage["stage_key"]: place for place, stage in enumerate(steps, start=1)}
        ranks |= {
            stage["stage_key"]: len(steps) + 1
            for stage in stages
            if stage["stage_semantics"] == "won"
        }
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for visits in facts.visits.values():
        for before, after in itertools.pairwise(visits):
            if (
                after["is_inferred"]
                or after["entered_at"] <= facts.as_of - WINDOW
                or before["pipeline_key"] != after["pipeline_key"]
                or not {before["stage_key"], after["stage_key"]} <= ranks.keys()
            ):
                continue
            steps_ahead = ranks[after["stage_key"]] - ranks[before["stage_key"]]
            one = found[after["pipeline_key"]]
            one[0] += steps_ahead < 0 or steps_ahead >= 2
            one[1] += 1
    return {key: (one[0], one[1]) for key, one in found.items()}


def fullest_stages(facts: Facts) -> dict[Any, tuple[int, int]]:
    """R11 by pipeline: open cards on its fullest stage, and all its open cards."""
    found: dict[Any, Counter[Any]] = defaultdict(Counter)
    for card in facts.open_cards:
        found[card["pipeline_key"]][card["stage_key"]] += 1
    return {key: (max(counts.values()), counts.total()) for key, counts in found.items()}


def dead_cards(facts: Facts) -> dict[Any, tuple[int, int]]:
    """R11 by pipeline: open cards without planned work that nobody touched for 30 days, and all."""
    planned = {task["card_key"] for task in facts.tables["fct_tasks"] if not task["is_completed"]}
    touched = facts.latest("fct_touches", "touched_at", lambda touch: True)
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for card in facts.open_cards:
        key = card["card_key"]
        since = touched.get(key, card["created_at"])
        one = found[card["pipeline_key"]]
        one[0] += key not in planned and whole_days(since, facts.as_of) >= DEAD_DAYS
        one[1] += 1
    return {key: (one[0], one[1]) for key, one in found.items()}


def short_calls(facts: Facts, sellers: Iterable[Any]) -> dict[Any, tuple[int, int, int, int]]:
    """R19 by seller: short and all outbound calls of the last five complete working days, and
    those of the 90 days before them. What nobody answered is not short.
    """
    days = sorted(
        row["date_day"]
        for row in facts.tables["dim_dates"]
        if row["is_working_day"] and row["date_day"] < facts.as_of_on
    )
    starts_on = days[-5]
    found: dict[Any, list[int]] = {seller: [0] * 4 for seller in sellers}
    for call in facts.calls:
        day, who = call["started_on"], call["reporting_employee_key"]
        earliest = starts_on - WINDOW
        if (
            who not in found
            or call["direction"] != "outbound"
            or not earliest <= day < facts.as_of_on
        ):
            continue
        place = 0 if day >= starts_on else 2
        found[who][place] += call["is_answered"] and call["talk_seconds"] < SHORT_SECONDS
        found[who][place + 1] += 1
    return {who: (one[0], one[1], one[2], one[3]) for who, one in found.items()}


@dataclass(frozen=True)
class Week:
    """R21: one finished week of an activity.

    Attributes:
        value: of the week.
        usual: mean of the eight weeks before; None where fewer are known.
    """

    value: float
    usual: float | None

    @property
    def drop(self) -> float | None:
        """By what share it fell below what was usual."""
        return 1 - self.value / self.usual if self.usual else None


def weekly(days: Sequence[tuple[dt.date, float]], as_of_on: dt.date) -> dict[dt.date, Week]:
    """R21: the finished weeks after the one of the first record.

    Args:
        days: when something was done, and how much.
        as_of_on: its week is not over.
    """
    sums: Counter[dt.date] = Counter()
    for day, value in days:
        sums[monday_of(day)] += value  # type: ignore[assignment]
    week = monday_of(min(day for day, _ in days)) + dt.timedelta(days=7)
    values: dict[dt.date, float] = {}
    while week < monday_of(as_of_on):
        values[week] = sums[week]
        week += dt.timedelta(days=7)
    found: dict[dt.date, Week] = {}
    for week, value in values.items():
        before = [
            values[earlier]
            for back in range(1, WEEKS_BEFORE + 1)
            if (earlier := week - dt.timedelta(days=7 * back)) in values
        ]
        full = len(before) == WEEKS_BEFORE
        found[week] = Week(value, statistics.fmean(before) if full else None)
    return found


def lagged(
    activity: Mapping[dt.date, Week], won: Mapping[dt.date, Week], lag: int
) -> tuple[int, float | None]:
    """R21: pairs of weeks, and the correlation of an activity with the wins so many weeks later."""
    pairs = [
        (one.value, won[later].value)
        for week, one in activity.items()
        if (later := week + dt.timedelta(days=7 * lag)) in won
    ]
    if len(pairs) < PAIRS_MIN:
        return len(pairs), None
    return len(pairs), statistics.correlation(*zip(*pairs, strict=True))


def matching(facts: Facts) -> Counter[tuple[dt.date, str]]:
    """R23: external calls by week and how they found their card, weeks that are over."""
    return Counter(
        (monday_of(call["started_on"]), call["match_method"])
        for call in facts.calls
        if monday_of(call["started_on"]) < monday_of(facts.as_of_on)
    )


def usual_counts(
    days: Mapping[dt.date, int], until: dt.date
) -> dict[dt.date, tuple[int, int, float | None]]:
    """R23: rows of each day from the first one on, beside those of the same weekday before.

    Args:
        days: rows by day.
        until: the first day that is not over.

    Returns:
        Rows, how many such weekdays of the eight weeks before are known, and their median.
    """
    found: dict[dt.date, tuple[int, int, float | None]] = {}
    day = first = min(days)
    while day < until:
        before = [
            days.get(earlier, 0)
            for back in range(1, WEEKS_BEFORE + 1)
            if (earlier := day - dt.timedelta(days=7 * back)) >= first
        ]
        found[day] = (days.get(day, 0), len(before), statistics.median(before) if before else None)
        day += dt.timedelta(days=1)
    return found
