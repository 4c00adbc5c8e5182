"""R3, the through funnel, from rows of facts and dimensions, as SPEC.md and the definitions say.

Nothing here reads a metric table, and no model of journeys.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reference.reports import DAY_SECONDS, WORK, Facts, Row, month_of

LEADS = -1
"""The id of their pipeline."""
NEXT_DEAL = dt.timedelta(days=90)

Place = tuple[int, Any, Any]
"""Number of a step, pipeline, and the stage from which on it is reached, if the file names one."""


@dataclass(frozen=True)
class Arrival:
    """A card's first visit that counts for a step."""

    step: int
    visit: Row

    @property
    def at(self) -> dt.datetime:
        """When it came."""
        at: dt.datetime = self.visit["entered_at"]
        return at


@dataclass
class Card:
    """A lead or a deal in a funnel.

    Attributes:
        row: of `fct_leads` or `fct_deals`, with its role as pipeline.
        arrivals: by step, in the order in which it came.
        basis: how it joined the journey: start, link or client_next_deal.
        before: the card that it continues.
    """

    key: Any
    row: Row
    arrivals: Sequence[Arrival]
    basis: str = "start"
    before: Card | None = None

    @property
    def state(self) -> str:
        """Of a deal in a setter's or a sales pipeline, and of a lead."""
        state: str = self.row["deal_state" if "deal_state" in self.row else "lead_state"]
        return state

    @property
    def came(self) -> Arrival:
        """Its first step."""
        return self.arrivals[0]

    @property
    def furthest(self) -> int:
        """The number of the furthest step."""
        return max(arrival.step for arrival in self.arrivals)

    @property
    def first_card(self) -> Card:
        """Of its journey."""
        return self if self.before is None else self.before.first_card


@dataclass(frozen=True)
class Step:
    """How a journey came to a step; seconds are since the step before, where that came first."""

    card_key: Any
    basis: str
    reached_at: dt.datetime
    previous: int | None
    seconds: float | None


@dataclass
class Journey:
    """A client's way through a funnel.

    Attributes:
        cards: of it.
        steps: from the one on with which it began, by number.
        entry: the visit with which it began.
        state: won, open, lost or other.
        won: deals won in sales pipelines.
        amount: of these; None without any amount.
        now: the card that shows how it stands.
    """

    cards: list[Card] = field(default_factory=list)
    steps: dict[int, Step] = field(default_factory=dict)
    entry: Row = field(default_factory=dict)
    state: str = ""
    won: int = 0
    amount: float | None = None
    now: Any = None

    @property
    def entered(self) -> int:
        """The number of the step at which it began."""
        return min(self.steps)

    @property
    def furthest(self) -> int:
        """The number of the furthest step."""
        return max(self.steps)

    @property
    def first_card(self) -> Card:
        """The card with which it began."""
        return next(card for card in self.cards if card.key == self.steps[self.entered].card_key)

    @property
    def days_to_furthest(self) -> float:
        """From its beginning; negative where it was there before."""
        took = self.steps[self.furthest].reached_at - self.entry["entered_at"]
        return took.total_seconds() / DAY_SECONDS


def places(facts: Facts, lines: Iterable[Mapping[str, str]]) -> dict[str, list[Place]]:
    """Lines of `journey_steps.csv` by funnel."""
    pipelines = {row["pipeline_id"]: row["pipeline_key"] for row in facts.tables["dim_pipelines"]}
    stages = {(row["pipeline_key"], row["stage_id"]): key for key, row in facts.stages.items()}
    found: dict[str, list[Place]] = defaultdict(list)
    for line in lines:
        named = line["pipeline_id"]
        pipeline = pipelines[LEADS if named == "leads" else int(named)]
        stage = stages[pipeline, line["stage_id"]] if line["stage_id"] else None
        found[line["funnel"]].append((int(line["step_number"]), pipeline, stage))
    return found


def journeys(facts: Facts, lines: Iterable[Mapping[str, str]]) -> dict[tuple[str, Any], Journey]:
    """By funnel and the key of the card with which each began."""
    found: dict[tuple[str, Any], Journey] = defaultdict(Journey)
    for funnel, its_places in places(facts, lines).items():
        cards = _cards(facts, its_places)
        _join(cards)
        for card in cards.values():
            found[funnel, card.first_card.key].cards.append(card)
    for journey in found.values():
        _tell(facts, journey)
    return {(funnel, journey.first_card.key): journey for (funnel, _), journey in found.items()}


def _cards(facts: Facts, its_places: Sequence[Place]) -> dict[Any, Card]:
    rows = {row["deal_key"]: row for row in facts.tables["fct_deals"]}
    rows |= {row["lead_key"]: {**row, "lead_key": None} for row in facts.tables["fct_leads"]}
    found: dict[Any, Card] = {}
    for key, visits in facts.visits.items():
        first: dict[int, Row] = {}
        for visit in visits:
            for step, pipeline, stage in its_places:
                if step not in first and _counts(facts, visit, pipeline, stage):
                    first[step] = visit
        if first:
            arrivals = sorted(
                (Arrival(step, visit) for step, visit in first.items()),
                key=lambda one: (one.at, one.visit["visit_number"], one.step),
            )
            found[key] = Card(key, rows[key], arrivals)
    return found


def _counts(facts: Facts, visit: Row, pipeline: Any, stage: Any) -> bool:
    if visit["pipeline_key"] != pipeline:
        return False
    if stage is None:
        return True
    position = facts.stages[visit["stage_key"]]["stage_position"]
    return (
        visit["stage_semantics"] != "lost"
        and position is not None
        and bool(position >= facts.stages[stage]["stage_position"])
    )


def _join(cards: Mapping[Any, Card]) -> None:
    """Say of every card which one it continues: by the link, else as the client's next deal."""
    continued: set[Any] = set()
    for card in cards.values():
        lead = cards.get(card.row["lead_key"])
        if lead is not None:
            card.basis, card.before = "link", lead
            continued.add(lead.key)
    of_clients: dict[Any, list[Card]] = defaultdict(list)
    in_turn = sorted(cards.values(), key=lambda card: (card.came.at, card.came.step, card.key))
    for card in in_turn:
        client = card.row["client_key"]
        if client is None:
            continue
        if card.before is None:
            candidates = [
                other
                for other in of_clients[client]
                if other.key not in continued
                and other.furthest < card.came.step
                and other.came.at < card.came.at
                and card.came.at - max(one.at for one in other.arrivals) <= NEXT_DEAL
            ]
            if candidates:
                before = max(candidates, key=lambda other: (other.furthest, other.came.at))
                card.basis, card.before = "client_next_deal", before
                continued.add(before.key)
        of_clients[client].append(card)


def _tell(facts: Facts, journey: Journey) -> None:
    """Steps and state, from the cards of the journey."""
    first: dict[int, tuple[Arrival, Card]] = {}
    for card in journey.cards:
        for arrival in card.arrivals:
            if arrival.step not in first or arrival.at < first[arrival.step][0].at:
                first[arrival.step] = (arrival, card)
    entered = min(first, key=lambda step: (first[step][0].at, step))
    journey.entry = first[entered][0].visit
    previous: int | None = None
    for step in sorted(number for number in first if number >= entered):
        arrival, card = first[step]
        seconds = None
        if previous is not None:
            took = (arrival.at - first[previous][0].at).total_seconds()
            seconds = took if took >= 0 else None
        journey.steps[step] = Step(
            card.key, _basis(card, arrival, previous), arrival.at, previous, seconds
        )
        previous = step
    won = [
        card
        for card in journey.cards
        if card.state == "won" and facts.roles[card.row["pipeline_key"]] == "sales"
    ]
    amounts = [
        float(card.row["company_amount"]) for card in won if card.row["company_amount"] is not None
    ]
    journey.won = len(won)
    journey.amount = sum(amounts) if amounts else None
    in_work = [
        card
        for card in journey.cards
        if card.state == "open" and facts.roles[card.row["pipeline_key"]] in (*WORK, "lead")
    ]
    last = _last(journey.cards)
    if won:
        journey.state = "won"
    elif in_work:
        journey.state = "open"
    else:
        journey.state = "lost" if last.state == "lost" else "other"
    journey.now = _last(won or in_work or journey.cards).key


def _last(cards: Sequence[Card]) -> Card:
    """Created last; of one instant the deal."""
    return max(cards, key=lambda card: (card.row["created_at"], "deal_state" in card.row))


def _basis(card: Card, arrival: Arrival, previous: int | None) -> str:
    if previous is None:
        return "start"
    place = card.arrivals.index(arrival)
    if place == 0:
        return card.basis
    before = card.arrivals[place - 1].visit
    is_here = before["pipeline_key"] == arrival.visit["pipeline_key"]
    return "stage" if is_here else "moved"


def by_step(
    of_funnels: Mapping[str, Sequence[int]],
    told: Mapping[tuple[str, Any], Journey],
    slice_of: Callable[[Journey], Hashable],
) -> dict[tuple[str, dt.date, Hashable, int], dict[str, float | None]]:
    """Numbers of every step that journeys could come to, by funnel, month of their beginning,
    slice and step.

    Args:
        of_funnels: numbers of the steps of each funnel, in their order.
        told: the journeys.
        slice_of: that of a journey.
    """
    groups: dict[tuple[str, dt.date, Hashable], list[Journey]] = defaultdict(list)
    for (funnel, _), one in told.items():
        groups[funnel, month_of(one.entry["entered_on"]), slice_of(one)].append(one)
    found: dict[tuple[str, dt.date, Hashable, int], dict[str, float | None]] = {}
    for (funnel, month, value), group in groups.items():
        for before, step in zip((None, *of_funnels[funnel]), of_funnels[funnel], strict=False):
            if any(one.entered <= step for one in group):
                found[funnel, month, value, step] = _step(
                    group, before, step, of_funnels[funnel][0]
                )
    return found


def _step(
    group: Sequence[Journey], before: int | None, step: int, first: int
) -> dict[str, float | None]:
    cohort = [one for one in group if one.entered <= step]
    reached = [one for one in cohort if one.furthest >= step]
    here = [one.steps[step] for one in reached if step in one.steps]
    seconds = [one.seconds for one in here if one.seconds is not None]
    amounts = [one.amount for one in reached if one.amount is not None]
    ways = Counter(one.basis for one in here)
    ends = Counter(one.state for one in group if one.furthest == step)
    at_first = [one for one in group if one.entered == first]
    from_before = [
        one for one in group if before is not None and one.entered < step and one.furthest >= before
    ]
    came = sum(one.entered < step for one in reached)
    through = sum(one.furthest >= step for one in at_first)
    return {
        "cohort_count": len(cohort),
        "reached_count": len(reached),
        "reached_share": _share(len(reached), len(cohort)),
        "previous_reached_count": len(from_before),
        "came_from_previous_count": came,
        "came_from_previous_share": _share(came, len(from_before)),
        "first_step_count": len(at_first),
        "first_step_reached_count": through,
        "first_step_reached_share": _share(through, len(at_first)),
        "began_here_count": ways["start"],
        "linked_count": ways["link"],
        "moved_count": ways["moved"],
        "next_deal_count": ways["client_next_deal"],
        "stage_count": ways["stage"],
        "passed_over_count": len(reached) - len(here),
        "open_here_count": ends["open"],
        "lost_here_count": ends["lost"],
        "won_here_count": ends["won"],
        "other_here_count": ends["other"],
        "won_amount": sum(amounts) if amounts else None,
        "timed_count": len(seconds),
        "days_from_previous_mean": statistics.fmean(seconds) / DAY_SECONDS if seconds else None,
        "days_from_previous_median": statistics.median(seconds) / DAY_SECONDS if seconds else None,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
