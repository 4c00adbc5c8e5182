"""Who was responsible for leads of amoCRM, by its events (SPEC §2, "Owners")."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tests.reference.owners import Beginning, Owned, intervals
from tests.reference.stages import CardKey


@dataclass(frozen=True)
class AmoLead:
    """A lead, which is a deal to the reports."""

    id: int
    created_at: int
    modified_at: int
    owner_id: int
    """0 is nobody."""
    is_creation_told: bool
    """Whether events reach back to its creation."""
    is_deleted: bool = False


@dataclass(frozen=True)
class Handover:
    """The event of a change of who is responsible; of one second the lower number came first."""

    number: int
    lead_id: int
    changed_at: int
    before: int
    after: int


@dataclass(frozen=True)
class Account:
    """An account's records and its clock, which is the cut as well."""

    clock: int
    leads: tuple[AmoLead, ...]
    handovers: tuple[Handover, ...]


def owned_in(account: Account) -> dict[CardKey, list[Owned]]:
    """The owners of every lead that counts, in order."""
    changes: dict[int, list[Handover]] = defaultdict(list)
    for change in sorted(account.handovers, key=lambda one: (one.changed_at, one.number)):
        # To whom it was before is no change; what has not come yet waits.
        if change.before != change.after and change.changed_at <= account.clock:
            changes[change.lead_id].append(change)
    return {
        ("deal", lead.id): _owned(lead, changes[lead.id], account.clock)
        for lead in account.leads
        if not lead.is_deleted and lead.created_at <= account.clock
    }


def _owned(lead: AmoLead, changes: list[Handover], clock: int) -> list[Owned]:
    first = changes[0].before if changes else lead.owner_id
    # Without a change the owner has been the same only if none can be on its way.
    is_known = lead.is_creation_told and (bool(changes) or lead.modified_at <= clock)
    told: list[Beginning] = [(lead.created_at, first or None, "history" if is_known else "current")]
    told += [
        (max(change.changed_at, lead.created_at), change.after or None, "history")
        for change in changes
    ]
    return intervals(("deal", lead.id), told)
