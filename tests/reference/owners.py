"""Who was responsible for a card when, and who is credited (SPEC §2, "Owners" and "Credit")."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.reference.employees import Staff
from tests.reference.records import Deal, OwnerLine, Past, Portal
from tests.reference.rules import Rules, day_start
from tests.reference.stages import CardKey, Close, closes, known_deals, known_leads

OwnerBasis = Literal["current", "snapshot", "history", "file", "mover"]


@dataclass(frozen=True)
class Owned:
    """One uninterrupted time of a card under one owner: `[since, until)`."""

    card: CardKey
    since: int
    until: int | None
    owner_id: int | None
    basis: OwnerBasis


@dataclass(frozen=True)
class Credit:
    """Whose a close is."""

    close: Close
    owner_id: int | None
    basis: OwnerBasis


Beginning = tuple[int, int | None, OwnerBasis]
"""From when on who is responsible, and how that is known."""


def owned(portal: Portal, past: Past, rules: Rules) -> dict[CardKey, list[Owned]]:
    """The owners of every card that counts, in order; never empty."""
    seen: dict[CardKey, list[Beginning]] = defaultdict(list)
    for sight in sorted(past.owners, key=lambda sight: sight.seen_at):
        card: CardKey = (sight.card_type, sight.card_id)
        seen[card].append((sight.seen_at, sight.owner_id or None, "snapshot"))
    lines: dict[int, list[OwnerLine]] = defaultdict(list)
    for line in past.owner_lines:
        lines[line.deal_id].append(line)
    found: dict[CardKey, list[Owned]] = {}
    for deal in known_deals(portal, rules):
        card = ("deal", deal.id)
        told = _with_file(
            _from_creation(deal.date_create, deal.assigned_by_id or None, seen[card]),
            _beginnings(lines[deal.id], deal.date_create, rules.cut_of(portal), rules),
        )
        found[card] = intervals(card, told)
    for lead in known_leads(portal, rules):
        card = ("lead", lead.id)
        told = _from_creation(lead.date_create, lead.assigned_by_id or None, seen[card])
        found[card] = intervals(card, told)
    return found


def owner_at(times: Sequence[Owned], instant: int) -> Owned:
    """Who was responsible at an instant from the card's creation on."""
    return next(one for one in reversed(times) if one.since <= instant)


def credits(portal: Portal, past: Past, rules: Rules, staff: Staff) -> list[Credit]:
    """Whose every close of a deal is."""
    deals = {deal.id: deal for deal in known_deals(portal, rules)}
    owners = owned(portal, past, rules)
    return [
        _credit(close, deals[close.deal_id], owners["deal", close.deal_id], staff)
        for close in closes(portal, rules)
    ]


def intervals(card: CardKey, told: Sequence[Beginning]) -> list[Owned]:
    """The times between the beginnings, which stand in their order."""
    found: list[Owned] = []
    for place, (since, owner_id, basis) in enumerate(told):
        later = told[place + 1][0] if place + 1 < len(told) else None
        # Gap: of several that begin at once the last counts; who was responsible for no time has no
        # interval.
        if since == later:
            continue
        if found and (found[-1].owner_id, found[-1].basis) == (owner_id, basis):
            found[-1] = Owned(card, found[-1].since, later, owner_id, basis)
        else:
            found.append(Owned(card, since, later, owner_id, basis))
    return found


def _credit(close: Close, deal: Deal, times: Sequence[Owned], staff: Staff) -> Credit:
    then = owner_at(times, close.closed_at)
    if then.basis != "current":
        return Credit(close, then.owner_id, then.basis)
    mover = deal.moved_by_id
    if deal.moved_time == close.closed_at and staff.is_person_on(mover, close.closed_at):
        return Credit(close, mover, "mover")
    return Credit(close, then.owner_id, "current")


def _from_creation(created: int, now: int | None, told: Sequence[Beginning]) -> list[Beginning]:
    """Before the first that is told goes to the same owner; without any, all the time to now's."""
    first = told[0][1] if told else now
    return [(created, first, "current"), *told]


def _beginnings(
    lines: Sequence[OwnerLine], created: int, cut: int, rules: Rules
) -> list[Beginning]:
    """When lines of the file begin; a day that has not come yet waits."""
    ordered = sorted(lines, key=lambda line: (line.owned_from is not None, line.owned_from))
    starts = [
        (created if line.owned_from is None else day_start(line.owned_from, rules), line)
        for line in ordered
    ]
    return [(max(at, created), line.employee_id, "file") for at, line in starts if at <= cut]


def _with_file(told: list[Beginning], lines: Sequence[Beginning]) -> list[Beginning]:
    """The file holds from its first line on, for ever."""
    if not lines:
        return told
    return [one for one in told if one[0] < lines[0][0]] + list(lines)
