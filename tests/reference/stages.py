"""Stage visits and closes of deals (SPEC §2, "Stage visits" and "Closes")."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from tests.reference.records import Deal, HistoryRow, Portal
from tests.reference.rules import Rules

Semantics = Literal["open", "won", "lost"]
StageKey = tuple[int, str]
"""(category id, status id): the same status id in two pipelines is two stages."""

_SEMANTICS: Mapping[str, Semantics] = {"S": "won", "F": "lost"}


@dataclass(frozen=True)
class Visit:
    """One uninterrupted stay of a deal on one stage: `[entered_at, left_at)`."""

    deal_id: int
    position: int
    category_id: int
    stage_id: str | None
    """None: the unknown open stage of a closed deal without history."""
    semantics: Semantics
    entered_at: int
    left_at: int | None
    is_inferred: bool
    is_before_creation: bool


@dataclass(frozen=True)
class DealClose:
    """The state of one deal as of the cut."""

    deal_id: int
    outcome: Semantics
    closed_at: int | None
    category_id: int
    stage_id: str | None
    first_closed_at: int | None


def known_deals(portal: Portal, rules: Rules) -> list[Deal]:
    """The deals that count, by id: created up to the cut, no templates of recurring deals."""
    cut = rules.cut_of(portal)
    deals = (d for d in portal.deals if not d.is_recurring and d.date_create <= cut)
    return sorted(deals, key=lambda deal: deal.id)


def visits(portal: Portal, rules: Rules) -> list[Visit]:
    """Every stage visit of every deal that counts, by deal and position."""
    return [visit for stays in visits_by_deal(portal, rules).values() for visit in stays]


def visits_by_deal(portal: Portal, rules: Rules) -> dict[int, list[Visit]]:
    """The visits of each deal that counts, in order; never empty."""
    cut = rules.cut_of(portal)
    dictionary = stage_dictionary(portal)
    history: dict[int, list[HistoryRow]] = defaultdict(list)
    for row in portal.stage_history:
        if row.created_time <= cut:
            history[row.owner_id].append(row)
    return {
        deal.id: (
            _visits_from_history(deal, history[deal.id], dictionary)
            if deal.id in history
            # Gap: a deal whose every history row waits for the next load has no history yet.
            else _inferred_visits(deal, dictionary, cut)
        )
        for deal in known_deals(portal, rules)
    }


def deal_closes(portal: Portal, rules: Rules) -> list[DealClose]:
    """One row per deal that counts, by id."""
    closes = []
    for deal_id, stays in visits_by_deal(portal, rules).items():
        # Gap: "current" is the last visit, not the card's own row, which may be newer than the cut.
        current = stays[-1]
        is_open = current.semantics == "open"
        closes.append(
            DealClose(
                deal_id=deal_id,
                outcome=current.semantics,
                closed_at=None if is_open else run_start(stays, len(stays) - 1),
                category_id=current.category_id,
                stage_id=current.stage_id,
                # Gap: the first entry ever into a won or lost stage, in whatever pipeline.
                first_closed_at=next((v.entered_at for v in stays if v.semantics != "open"), None),
            )
        )
    return closes


def stage_dictionary(portal: Portal) -> dict[StageKey, Semantics]:
    """Semantics of every deal stage in the status dictionary; all but S and F is open."""
    dictionary: dict[StageKey, Semantics] = {}
    for status in portal.statuses:
        if status.entity_id == "DEAL_STAGE":
            category_id = 0
        elif status.entity_id.startswith("DEAL_STAGE_"):
            category_id = int(status.entity_id.removeprefix("DEAL_STAGE_"))
        else:
            continue
        dictionary[category_id, status.status_id] = _semantics_of_code(status.semantics)
    return dictionary


def index_at(stays: Sequence[Visit], instant: int) -> int:
    """Index of the visit that contains the instant; -1 before the deal's creation.

    Of the visits entered up to the instant it is the last: an earlier one has been left by then,
    and one of zero seconds contains nothing.
    """
    return bisect_right(stays, instant, key=lambda visit: visit.entered_at) - 1


def run_start(stays: Sequence[Visit], index: int) -> int:
    """Start of the run of visits of the same semantics in one pipeline that ends at `index`."""
    # Gap: a zero-second visit is a visit: lost, reopened and lost again in one second re-dates.
    last = stays[index]
    while index > 0 and (stays[index - 1].category_id, stays[index - 1].semantics) == (
        last.category_id,
        last.semantics,
    ):
        index -= 1
    return stays[index].entered_at


def _semantics_of_code(code: str | None) -> Semantics:
    return _SEMANTICS.get(code or "", "open")


def _semantics(
    dictionary: Mapping[StageKey, Semantics], stage: StageKey, code_of_row: str | None
) -> Semantics:
    """The dictionary's word; the row's own for a stage that the dictionary doesn't know."""
    return dictionary[stage] if stage in dictionary else _semantics_of_code(code_of_row)


def _visits_from_history(
    deal: Deal, rows: Sequence[HistoryRow], dictionary: Mapping[StageKey, Semantics]
) -> list[Visit]:
    entries: list[Visit] = []
    # Gap: rows before creation keep the order of their real times; only then they count at
    # creation.
    for row in sorted(rows, key=lambda row: (row.created_time, row.id)):
        stage = (row.category_id, row.stage_id)
        if entries and (entries[-1].category_id, entries[-1].stage_id) == stage:
            # Gap: a collapsed visit keeps the semantics and the flag of its first row.
            continue
        entries.append(
            Visit(
                deal_id=deal.id,
                position=len(entries) + 1,
                category_id=row.category_id,
                stage_id=row.stage_id,
                semantics=_semantics(dictionary, stage, row.stage_semantic_id),
                entered_at=max(row.created_time, deal.date_create) if entries else deal.date_create,
                left_at=None,
                is_inferred=False,
                is_before_creation=row.created_time < deal.date_create,
            )
        )
    return _with_ends(entries)


def _inferred_visits(deal: Deal, dictionary: Mapping[StageKey, Semantics], cut: int) -> list[Visit]:
    # Gap: closed is what the current stage's semantics say, not the field CLOSED.
    semantics = _semantics(dictionary, (deal.category_id, deal.stage_id), deal.stage_semantic_id)
    current = Visit(
        deal_id=deal.id,
        position=1,
        category_id=deal.category_id,
        stage_id=deal.stage_id,
        semantics=semantics,
        entered_at=deal.date_create,
        left_at=None,
        is_inferred=True,
        is_before_creation=False,
    )
    if semantics == "open":
        return [current]
    before = replace(current, stage_id=None, semantics="open")
    # Gap: without MOVED_TIME the deal counts as closed at its creation.
    moved = deal.date_create if deal.moved_time is None else deal.moved_time
    if moved > cut:
        # Gap: a close after the cut waits like a history row; until then the deal is open.
        return [before]
    # Gap: a close before creation counts at creation, flagged like a history row.
    final = replace(
        current,
        position=2,
        entered_at=max(moved, deal.date_create),
        is_before_creation=moved < deal.date_create,
    )
    return _with_ends([before, final])


def _with_ends(entries: Sequence[Visit]) -> list[Visit]:
    """Each visit ends where the next begins; the last stays open-ended."""
    ended = [replace(visit, left_at=later.entered_at) for visit, later in pairwise(entries)]
    return [*ended, entries[-1]]
