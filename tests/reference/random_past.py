"""What lies behind a random portal: earlier loads, deletions, lines of the company's files."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from tests.reference.random_portal import PEOPLE, RANDOM_RULES
from tests.reference.records import (
    Deal,
    Lead,
    OwnerLine,
    OwnerSight,
    Past,
    Portal,
    User,
    UserSight,
)
from tests.reference.rules import SECOND, local_date

_LAGS = (0, SECOND, 45 * SECOND)
"""A load's rows come later than its cut: on the next day, too."""


def random_past(rng: random.Random, portal: Portal) -> tuple[Portal, Past]:
    """A past for a random portal, and the portal as it then is.

    Where duplicates were merged, their numbers are the survivor's as well. Raw holds what has been
    deleted; `without_deleted` leaves it out.

    Args:
        rng: the same state gives the same past.
        portal: without one.
    """
    cards: list[Deal | Lead] = [*portal.deals, *portal.leads]
    moments = sorted({card.date_create for card in cards if card.date_create < portal.clock})
    cuts = sorted(rng.sample(moments, min(len(moments), rng.choice([0, 2, 3, 4]))))
    # What each load has seen comes a moment later; of the last one at its cut.
    seen = [
        cut + rng.choice([lag for lag in _LAGS if cut + lag < later])
        for cut, later in pairwise([*cuts, portal.clock])
    ]
    seen.append(portal.clock)
    portal, deleted = _deletions(rng, portal)
    return portal, Past(
        # A load that died before its log has left what it saw.
        loads=(*(cut for cut in cuts if rng.random() < 0.8), portal.clock),
        users=tuple(
            sight
            for number in PEOPLE
            for sight in _sights(rng, number, _listed(portal, number), seen)
        ),
        owners=tuple(
            sight for card in (*portal.deals, *portal.leads) for sight in _owners(rng, card, seen)
        ),
        deleted=deleted,
        owner_lines=tuple(
            line for deal in portal.deals if rng.random() < 0.3 for line in _lines(rng, deal, seen)
        ),
        dismissals={
            number: _day(rng, seen)
            for number in PEOPLE
            if rng.random() < 0.15 and _is_known(portal, number)
        },
    )


def _deletions(
    rng: random.Random, portal: Portal
) -> tuple[Portal, frozenset[tuple[Literal["deal", "lead", "contact"], int]]]:
    deals = [deal.id for deal in portal.deals if rng.random() < 0.05]
    leads = [lead.id for lead in portal.leads if rng.random() < 0.05]
    merged = [contact for contact in portal.contacts if rng.random() < 0.1]
    gone = {contact.id for contact in merged}
    survivors = [contact.id for contact in portal.contacts if contact.id not in gone]
    took_over = rng.choice(survivors) if survivors and rng.random() < 0.7 else None
    numbers = tuple(phone for contact in merged for phone in contact.phones)

    def client(card: Deal | Lead) -> int | None:
        # The portal hangs cards over, and leaves calls as they are.
        return took_over if took_over and card.contact_id in gone else card.contact_id

    portal = replace(
        portal,
        contacts=tuple(
            replace(one, phones=tuple(dict.fromkeys((*one.phones, *numbers))))
            if one.id == took_over
            else one
            for one in portal.contacts
        ),
        deals=tuple(replace(deal, contact_id=client(deal)) for deal in portal.deals),
        leads=tuple(replace(lead, contact_id=client(lead)) for lead in portal.leads),
    )
    return portal, frozenset(
        [
            *(("deal", number) for number in deals),
            *(("lead", number) for number in leads),
            *(("contact", number) for number in gone),
        ]
    )


def _listed(portal: Portal, number: int) -> User | None:
    return next((user for user in portal.users if user.id == number), None)


def _is_known(portal: Portal, number: int) -> bool:
    return _listed(portal, number) is not None


def _sights(
    rng: random.Random, number: int, now: User | None, seen: Sequence[int]
) -> list[UserSight]:
    """The versions of one account; none of one that no load has listed."""
    if now is None and (len(seen) == 1 or rng.random() < 0.3):
        return []
    shown = seen if now else seen[: rng.randrange(1, len(seen))]
    shown = shown[rng.randrange(len(shown)) :]
    found: list[UserSight] = []
    is_active, name = rng.random() < 0.8, f"Anna Employee {number}"
    for at in shown:
        if rng.random() < 0.3:
            is_active = not is_active
        if rng.random() < 0.15:
            name = f"Anna Married {at // SECOND % 1000}"
        login, activity = None, None
        if now and at == shown[-1]:
            is_active, name = now.is_active, now.name
            login, activity = now.last_login, now.last_activity
        if found and (found[-1].is_active, found[-1].name) == (is_active, name):
            last = found.pop()
            found.append(replace(last, last_seen_at=at, last_login=login, last_activity=activity))
        else:
            found.append(UserSight(number, is_active, name, at, at, login, activity))
    return found


def _owners(rng: random.Random, card: Deal | Lead, seen: Sequence[int]) -> list[OwnerSight]:
    card_type: Literal["deal", "lead"] = "deal" if isinstance(card, Deal) else "lead"
    moments = [at for at in seen if at >= card.date_create]
    if not moments or rng.random() < 0.2:
        return []
    moments = moments[rng.randrange(len(moments)) :]
    # Versions differ in more than the owner.
    found = [rng.choice([card.assigned_by_id, None, 0, *PEOPLE]) for _ in moments[:-1]]
    return [
        OwnerSight(card_type, card.id, at, owner)
        for at, owner in zip(moments, [*found, card.assigned_by_id], strict=True)
    ]


def _lines(rng: random.Random, deal: Deal, seen: Sequence[int]) -> list[OwnerLine]:
    days: set[dt.date | None] = {rng.choice([None, _day(rng, seen)]) for _ in range(3)}
    days.add(local_date(deal.date_create, RANDOM_RULES))
    chosen = rng.sample(sorted(days, key=lambda day: day or dt.date.min), rng.randint(1, len(days)))
    return [OwnerLine(deal.id, rng.choice(PEOPLE), day) for day in chosen]


def _day(rng: random.Random, seen: Sequence[int]) -> dt.date:
    steps = rng.choice([-1, 0, 0, 1])
    return local_date(rng.choice(seen), RANDOM_RULES) + dt.timedelta(days=steps)
