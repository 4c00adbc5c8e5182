"""Which cards of a client are one journey through a funnel.

A deal continues the lead that it was made from. A card without such a lead continues a card of its
client on an earlier step: of those that came into the funnel before it, took their last step no
longer ago than the window, and are continued by nothing else, the one on the furthest step, of
these the one that came last. Cards are gone through in the order in which they came (of one
instant: by their first step, then by key), so that each continues one and is continued by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Card(NamedTuple):
    """A card of a funnel.

    Attributes:
        funnel: a number for connection and funnel.
        card: its key.
        client: the key of its client; None where nobody knows it.
        lead: the key of the lead that it was made from.
        first_step, last_step: the numbers of the lowest and of the furthest step that it reached.
        entered_at, last_at: when it reached the first of its steps and the last, in microseconds.
    """

    funnel: int
    card: int
    client: int | None
    lead: int | None
    first_step: int
    last_step: int
    entered_at: int
    last_at: int


class Placed(NamedTuple):
    """A card in its journey: `root` is the journey's first card, `previous` what it continues."""

    funnel: int
    card: int
    root: int
    previous: int | None
    basis: str
    """start, link or client_next_deal."""


def join_journeys(cards: Iterable[Card], window: int) -> Iterator[Placed]:
    """Every card in its journey.

    Args:
        cards: in any order.
        window: in microseconds, from a card's last step to the entry of what continues it.

    Yields:
        One row per card.
    """
    known = {(card.funnel, card.card): card for card in cards}
    previous: dict[tuple[int, int], tuple[int, str]] = {}
    continued: set[tuple[int, int]] = set()
    for key, card in known.items():
        # Steps never fall along a journey, or two cards might continue each other.
        lead = known.get((card.funnel, card.lead)) if card.lead is not None else None
        if lead is not None and lead.first_step <= card.first_step:
            previous[key] = (lead.card, "link")
            continued.add((card.funnel, lead.card))
    waiting: dict[tuple[int, int], dict[int, list[Card]]] = defaultdict(lambda: defaultdict(list))
    for card in sorted(known.values(), key=lambda one: (one.entered_at, one.first_step, one.card)):
        if card.client is None:
            continue
        of_client = waiting[card.funnel, card.client]
        key = (card.funnel, card.card)
        if key not in previous:
            found = _latest_before(card, of_client, window)
            if found is not None:
                previous[key] = (found.card, "client_next_deal")
        if key not in continued:
            of_client[card.last_step].append(card)
    for (funnel, number), card in known.items():
        root = number
        while (funnel, root) in previous:
            root = previous[funnel, root][0]
        before, basis = previous.get((funnel, card.card), (None, "start"))
        yield Placed(funnel, number, root, before, basis)


def _latest_before(card: Card, waiting: dict[int, list[Card]], window: int) -> Card | None:
    for step in sorted((step for step in waiting if step < card.first_step), reverse=True):
        stack = waiting[step]
        while stack:
            found = stack.pop()
            # Whose time is over for this card, it is over for all that come later.
            if card.entered_at <= found.last_at + window:
                return found
    return None
