"""Stage visits of deals and leads, and closes (SPEC §2, "Stage visits" and "Closes")."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Literal

from tests.reference.records import Deal, HistoryRow, Lead, Portal
from tests.reference.rules import Rules

CardType = Literal["deal", "lead"]
CardKey = tuple[CardType, int]
"""In this order ties are broken: deals before leads, then the lowest id."""
Client = tuple[Literal["contact", "company"], int]
Semantics = Literal["open", "won", "lost"]
StageKey = tuple[int, str]
"""(category id, status id): the same status id in two pipelines is two stages."""

LEADS_PIPELINE = -1
"""Category id of the pipeline in which all leads stand."""

_SEMANTICS: Mapping[str, Semantics] = {"S": "won", "F": "lost"}


@dataclass(frozen=True)
class Visit:
    """One uninterrupted stay of a card on one stage: `[entered_at, left_at)`."""

    card_type: CardType
    card_id: int
    position: int
    category_id: int
    stage_id: str | None
    """None: the unknown open stage of a closed card without history."""
    semantics: Semantics
    entered_at: int
    left_at: int | None
    is_inferred: bool
    is_before_creation: bool

    @property
    def card(self) -> CardKey:
        return self.card_type, self.card_id


@dataclass(frozen=True)
class DealClose:
    """The state of one deal as of the cut."""

    deal_id: int
    outcome: Semantics
    closed_at: int | None
    category_id: int
    stage_id: str | None
    first_closed_at: int | None


@dataclass(frozen=True)
class LeadClose:
    """The state of one lead as of the cut: converted is won, junk is lost."""

    lead_id: int
    outcome: Semantics
    closed_at: int | None
    stage_id: str | None
    first_closed_at: int | None


@dataclass(frozen=True)
class Close:
    """One run of won or lost visits of a deal."""

    deal_id: int
    number: int
    """1 to n by time within the deal."""
    outcome: Literal["won", "lost"]
    category_id: int
    stage_id: str
    """The first of the run."""
    closed_at: int
    ended_at: int | None
    """None while it stands."""
    is_reopened: bool
    is_counted: bool


def known_deals(portal: Portal, rules: Rules) -> list[Deal]:
    """The deals that count, by id: created up to the cut, no templates of recurring deals."""
    cut = rules.cut_of(portal)
    deals = (d for d in portal.deals if not d.is_recurring and d.date_create <= cut)
    return sorted(deals, key=lambda deal: deal.id)


def known_leads(portal: Portal, rules: Rules) -> list[Lead]:
    """The leads that count, by id: created up to the cut."""
    cut = rules.cut_of(portal)
    leads = (lead for lead in portal.leads if lead.date_create <= cut)
    return sorted(leads, key=lambda lead: lead.id)


def client_of_card(card: Deal | Lead) -> Client | None:
    """The company if set, else the main contact."""
    # Gap: the main contact is the client itself, even if the contact belongs to a company.
    if card.company_id:
        return ("company", card.company_id)
    return ("contact", card.contact_id) if card.contact_id else None


def visits(portal: Portal, rules: Rules) -> list[Visit]:
    """Every stage visit of every card that counts, by card (deals first) and position."""
    return [visit for stays in visits_by_card(portal, rules).values() for visit in stays]


def visits_by_card(portal: Portal, rules: Rules) -> dict[CardKey, list[Visit]]:
    """The visits of each card that counts, in order; never empty."""
    cut = rules.cut_of(portal)
    dictionary = stage_dictionary(portal)
    found: dict[CardKey, list[Visit]] = {}
    history = _by_owner(portal.stage_history, cut)
    for deal in known_deals(portal, rules):
        found["deal", deal.id] = _visits_of("deal", deal, history.get(deal.id), dictionary, cut)
    history = _by_owner(
        (
            HistoryRow(
                id=row.id,
                owner_id=row.owner_id,
                created_time=row.created_time,
                category_id=LEADS_PIPELINE,
                stage_id=row.status_id,
                stage_semantic_id=row.status_semantic_id,
            )
            for row in portal.lead_history
        ),
        cut,
    )
    for lead in known_leads(portal, rules):
        rows = history.get(lead.id)
        found["lead", lead.id] = _visits_of("lead", _as_deal(lead), rows, dictionary, cut)
    return found


def deal_closes(portal: Portal, rules: Rules) -> list[DealClose]:
    """One row per deal that counts, by id."""
    return [
        DealClose(
            deal_id=stays[-1].card_id,
            # Gap: "current" is the last visit, not the card's own row, which may be newer than the
            # cut.
            outcome=stays[-1].semantics,
            closed_at=_closed_at(stays),
            category_id=stays[-1].category_id,
            stage_id=stays[-1].stage_id,
            first_closed_at=_first_closed_at(stays),
        )
        for (card_type, _), stays in visits_by_card(portal, rules).items()
        if card_type == "deal"
    ]


def lead_closes(portal: Portal, rules: Rules) -> list[LeadClose]:
    """One row per lead that counts, by id."""
    return [
        LeadClose(
            lead_id=stays[-1].card_id,
            outcome=stays[-1].semantics,
            closed_at=_closed_at(stays),
            stage_id=stays[-1].stage_id,
            first_closed_at=_first_closed_at(stays),
        )
        for (card_type, _), stays in visits_by_card(portal, rules).items()
        if card_type == "lead"
    ]


def closes(portal: Portal, rules: Rules) -> list[Close]:
    """Every run of won or lost visits of every deal that counts, by deal and time."""
    return [
        close
        for (card_type, _), stays in visits_by_card(portal, rules).items()
        if card_type == "deal"
        for close in _closes_of(stays, rules)
    ]


def repeat_deals(portal: Portal, rules: Rules) -> dict[int, bool]:
    """By deal that counts whether its client had a won deal before."""
    deals = {deal.id: deal for deal in known_deals(portal, rules)}
    wins: dict[Client, list[Close]] = defaultdict(list)
    for close in closes(portal, rules):
        client = client_of_card(deals[close.deal_id])
        # Gap: a win that has been undone since makes nobody a repeat client: what is counted, is
        # counted as of the cut.
        is_win = close.outcome == "won" and close.is_counted
        if client is not None and is_win and rules.role_of(close.category_id) == "sales":
            wins[client].append(close)

    def is_repeat(deal: Deal) -> bool:
        client = client_of_card(deal)
        # Gap: a win in the very instant of the creation is not before it.
        return client is not None and any(
            win.deal_id != deal.id and win.closed_at < deal.date_create
            for win in wins.get(client, ())
        )

    return {deal.id: is_repeat(deal) for deal in deals.values()}


def stage_dictionary(portal: Portal) -> dict[StageKey, Semantics]:
    """Semantics of every card's stage in the status dictionary; all but S and F is open."""
    dictionary: dict[StageKey, Semantics] = {}
    for status in portal.statuses:
        if status.entity_id == "DEAL_STAGE":
            category_id = 0
        elif status.entity_id.startswith("DEAL_STAGE_"):
            category_id = int(status.entity_id.removeprefix("DEAL_STAGE_"))
        elif status.entity_id == "STATUS":
            category_id = LEADS_PIPELINE
        else:
            continue
        dictionary[category_id, status.status_id] = _semantics_of_code(status.semantics)
    return dictionary


def index_at(stays: Sequence[Visit], instant: int) -> int:
    """Index of the visit that contains the instant; -1 before the card's creation.

    Of the visits entered up to the instant it is the last: an earlier one has been left by then,
    and one of zero seconds contains nothing.
    """
    return bisect_right(stays, instant, key=lambda visit: visit.entered_at) - 1


def run_start(stays: Sequence[Visit], index: int) -> int:
    """Start of the run of visits of the same semantics in one pipeline that ends at `index`."""
    # Gap: a zero-second visit is a visit: lost, reopened and lost again in one second re-dates.
    while index > 0 and _run(stays[index - 1]) == _run(stays[index]):
        index -= 1
    return stays[index].entered_at


def _run(visit: Visit) -> tuple[int, Semantics]:
    return visit.category_id, visit.semantics


def _closed_at(stays: Sequence[Visit]) -> int | None:
    return None if stays[-1].semantics == "open" else run_start(stays, len(stays) - 1)


def _first_closed_at(stays: Sequence[Visit]) -> int | None:
    # Gap: the first entry ever into a won or lost stage, in whatever pipeline.
    return next((visit.entered_at for visit in stays if visit.semantics != "open"), None)


def _closes_of(stays: Sequence[Visit], rules: Rules) -> list[Close]:
    runs = [next(visits_of_run) for _, visits_of_run in groupby(stays, key=_run)]
    # The run of the last win in each pipeline.
    last_win = {run.category_id: run for run in runs if run.semantics == "won"}
    found: list[Close] = []
    for run, later in zip(runs, [*runs[1:], None], strict=True):
        if run.semantics == "open":
            continue
        assert run.stage_id is not None
        is_setters_win = (
            rules.role_of(run.category_id) == "setter"
            and run is last_win.get(run.category_id)
            and later is not None
            and later.category_id != run.category_id
        )
        found.append(
            Close(
                deal_id=run.card_id,
                number=len(found) + 1,
                outcome=run.semantics,
                category_id=run.category_id,
                stage_id=run.stage_id,
                closed_at=run.entered_at,
                ended_at=None if later is None else later.entered_at,
                # Gap: into an open visit of another pipeline it is a reopening too, but for a
                # setter's win that counts.
                is_reopened=(
                    later is not None and later.semantics == "open" and not is_setters_win
                ),
                is_counted=later is None or is_setters_win,
            )
        )
    return found


def _semantics_of_code(code: str | None) -> Semantics:
    return _SEMANTICS.get(code or "", "open")


def _semantics(
    dictionary: Mapping[StageKey, Semantics], stage: StageKey, code_of_row: str | None
) -> Semantics:
    """The dictionary's word; the row's own for a stage that the dictionary doesn't know."""
    return dictionary[stage] if stage in dictionary else _semantics_of_code(code_of_row)


def _by_owner(rows: Iterable[HistoryRow], cut: int) -> dict[int, list[HistoryRow]]:
    # Gap: a card whose every history row waits for the next load has no history yet.
    history: dict[int, list[HistoryRow]] = defaultdict(list)
    for row in rows:
        if row.created_time <= cut:
            history[row.owner_id].append(row)
    return history


def _as_deal(lead: Lead) -> Deal:
    """A lead with the names that the fields of deals have."""
    return Deal(
        id=lead.id,
        date_create=lead.date_create,
        category_id=LEADS_PIPELINE,
        stage_id=lead.status_id,
        stage_semantic_id=lead.status_semantic_id,
        moved_time=lead.date_closed,
    )


def _visits_of(
    card_type: CardType,
    card: Deal,
    rows: Sequence[HistoryRow] | None,
    dictionary: Mapping[StageKey, Semantics],
    cut: int,
) -> list[Visit]:
    if rows:
        return _with_ends(_visits_from_history(card_type, card, rows, dictionary))
    return _with_ends(_inferred_visits(card_type, card, dictionary, cut))


def _visits_from_history(
    card_type: CardType,
    card: Deal,
    rows: Sequence[HistoryRow],
    dictionary: Mapping[StageKey, Semantics],
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
                card_type=card_type,
                card_id=card.id,
                position=len(entries) + 1,
                category_id=row.category_id,
                stage_id=row.stage_id,
                semantics=_semantics(dictionary, stage, row.stage_semantic_id),
                entered_at=max(row.created_time, card.date_create) if entries else card.date_create,
                left_at=None,
                is_inferred=False,
                is_before_creation=row.created_time < card.date_create,
            )
        )
    return entries


def _inferred_visits(
    card_type: CardType, card: Deal, dictionary: Mapping[StageKey, Semantics], cut: int
) -> list[Visit]:
    # Gap: closed is what the current stage's semantics say, not the field CLOSED.
    semantics = _semantics(dictionary, (card.category_id, card.stage_id), card.stage_semantic_id)
    current = Visit(
        card_type=card_type,
        card_id=card.id,
        position=1,
        category_id=card.category_id,
        stage_id=card.stage_id,
        semantics=semantics,
        entered_at=card.date_create,
        left_at=None,
        is_inferred=True,
        is_before_creation=False,
    )
    if semantics == "open":
        return [current]
    before = replace(current, stage_id=None, semantics="open")
    # Gap: without MOVED_TIME (of leads DATE_CLOSED) the card counts as closed at its creation.
    moved = card.date_create if card.moved_time is None else card.moved_time
    if moved > cut:
        # Gap: a close after the cut waits like a history row; until then the card is open.
        return [before]
    # Gap: a close before creation counts at creation, flagged like a history row.
    final = replace(
        current,
        position=2,
        entered_at=max(moved, card.date_create),
        is_before_creation=moved < card.date_create,
    )
    return [before, final]


def _with_ends(entries: Sequence[Visit]) -> list[Visit]:
    """Each visit ends where the next begins; the last stays open-ended."""
    ended = [replace(visit, left_at=later.entered_at) for visit, later in pairwise(entries)]
    return [*ended, entries[-1]]
