"""Small adversarial accounts of amoCRM, whose leads go from hand to hand."""

from __future__ import annotations

import random

from tests.reference.handovers import Account, AmoLead, Handover
from tests.reference.random_portal import random_ids
from tests.reference.rules import SECOND

_BASE = 1_711_835_970
_STEPS = (-3600, 0, 0, 1, 40, 3600, 86_400, 30 * 86_400)
"""Seconds; the hand-overs crowd on them, also before the creation of their lead."""
_CLOCK = _BASE + 30 * 86_400
_OWNERS = (0, 1, 2, 9, 10)


def random_account(rng: random.Random, leads: int = 6) -> Account:
    """An account of so many leads; the same state gives the same account."""
    found: list[AmoLead] = []
    handovers: list[Handover] = []
    # Numbers that don't follow time: at ties they decide, elsewhere they must not.
    numbers = random_ids(rng, 4 * leads)
    rng.shuffle(numbers)
    for lead_id in random_ids(rng, leads):
        created = _BASE + rng.choice(_STEPS[:-1])
        owner = rng.choice(_OWNERS)
        times = sorted(_BASE + rng.choice(_STEPS) for _ in range(rng.choice([0, 0, 1, 2, 4])))
        for at in times:
            # Mostly one after the other; some events tell of no change, some contradict.
            before = owner if rng.random() < 0.8 else rng.choice(_OWNERS)
            owner = rng.choice(_OWNERS)
            number = numbers[len(handovers)]
            handovers.append(Handover(number, lead_id, at * SECOND, before, owner))
        found.append(
            AmoLead(
                lead_id,
                created * SECOND,
                rng.choice([created, _CLOCK, _CLOCK + 60]) * SECOND,
                owner if rng.random() < 0.8 else rng.choice(_OWNERS),
                is_creation_told=rng.random() < 0.6,
                is_deleted=rng.random() < 0.1,
            )
        )
    return Account(_CLOCK * SECOND, tuple(found), tuple(handovers))
