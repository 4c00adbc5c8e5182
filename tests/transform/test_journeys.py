"""Joining the cards of a client to journeys, against the rule taken literally."""

from __future__ import annotations

import random

import pytest

from transform.journeys import Card, Placed, join_journeys

WINDOW = 90


def card(
    number: int,
    entered_at: int,
    *steps: int,
    last_at: int | None = None,
    client: int | None = 1,
    lead: int | None = None,
    funnel: int = 1,
) -> Card:
    last = entered_at if last_at is None else last_at
    return Card(funnel, number, client, lead, min(steps), max(steps), entered_at, last)


def previous_of(*cards: Card) -> dict[int, tuple[int | None, str]]:
    return {one.card: (one.previous, one.basis) for one in join_journeys(cards, WINDOW)}


def literally(cards: list[Card], window: int) -> set[Placed]:
    """Each card in its turn looks at all that came before it."""
    known = {(one.funnel, one.card): one for one in cards}
    previous: dict[tuple[int, int], tuple[Card, str]] = {}
    for one in cards:
        lead = known.get((one.funnel, one.lead or 0))
        if lead is not None and one.first_step >= lead.first_step:
            previous[one.funnel, one.card] = (lead, "link")
    turns = sorted(cards, key=lambda one: (one.entered_at, one.first_step, one.card))
    for turn, one in enumerate(turns):
        if (one.funnel, one.card) in previous or one.client is None:
            continue
        taken = {(before.funnel, before.card) for before, _ in previous.values()}
        possible = [
            (before.last_step, place)
            for place, before in enumerate(turns[:turn])
            if (before.funnel, before.client) == (one.funnel, one.client)
            and (before.funnel, before.card) not in taken
            and before.last_step < one.first_step
            and one.entered_at - before.last_at <= window
        ]
        if possible:
            previous[one.funnel, one.card] = (turns[max(possible)[1]], "client_next_deal")

    def root(one: Card) -> int:
        found = previous.get((one.funnel, one.card))
        return one.card if found is None else root(found[0])

    placed = set()
    for one in cards:
        before, basis = previous.get((one.funnel, one.card), (None, "start"))
        number = before.card if before else None
        placed.add(Placed(one.funnel, one.card, root(one), number, basis))
    return placed


def test_a_deal_continues_its_lead_and_not_an_earlier_one() -> None:
    found = previous_of(card(1, 0, 1), card(2, 1, 1), card(3, 5, 2, lead=1), card(4, 200, 1))
    assert found == {1: (None, "start"), 2: (None, "start"), 3: (1, "link"), 4: (None, "start")}


def test_a_deal_is_used_once_and_by_the_first_that_comes() -> None:
    found = previous_of(card(1, 0, 1), card(2, 5, 2), card(3, 6, 2))
    assert found == {1: (None, "start"), 2: (1, "client_next_deal"), 3: (None, "start")}


def test_of_several_the_one_on_the_furthest_step_then_the_last_is_continued() -> None:
    found = previous_of(card(1, 0, 2), card(2, 1, 1), card(3, 2, 1), card(4, 9, 3), card(5, 10, 2))
    assert (found[4], found[5]) == ((1, "client_next_deal"), (3, "client_next_deal"))


@pytest.mark.parametrize(("entered_at", "is_joined"), [(130, True), (131, False), (39, True)])
def test_the_window_begins_with_the_last_step(entered_at: int, is_joined: bool) -> None:
    """The next deal may come before the last step of what it continues."""
    found = previous_of(card(1, 0, 1, 2, last_at=40), card(2, entered_at, 3))
    assert (found[2] == (1, "client_next_deal")) is is_joined


def test_cards_without_a_client_are_only_linked() -> None:
    found = previous_of(
        card(1, 0, 1, client=None), card(2, 1, 2, client=None), card(3, 1, 2, client=None, lead=1)
    )
    assert found == {1: (None, "start"), 2: (None, "start"), 3: (1, "link")}


def test_a_client_with_many_cards_is_gone_through_once() -> None:
    """Looking at every pair would be 10¹⁰ of them."""
    leads = [card(number, number, 1) for number in range(100_000)]
    deals = [card(number, number, 2) for number in range(100_000, 200_000)]
    found = list(join_journeys([*leads, *deals], WINDOW))
    # The first deal comes 1 after the last lead, the second 3 after the last but one, …
    assert sum(one.basis == "client_next_deal" for one in found) == 45


@pytest.mark.parametrize("seed", range(300))
def test_random_cards_are_joined_as_the_rule_says(seed: int) -> None:
    rng = random.Random(seed)
    cards = []
    for number in rng.sample(range(1, 1000), rng.randint(1, 25)):
        entered = rng.randrange(0, 300, rng.choice([1, 30]))
        first = rng.randint(1, 4)
        leads = [one.card for one in cards if one.lead is None and one.client != 3]
        cards.append(
            Card(
                funnel=rng.randint(1, 2),
                card=number,
                client=rng.choice([None, 1, 1, 2, 3]),
                lead=rng.choice(leads) if leads and rng.random() < 0.2 else None,
                first_step=first,
                last_step=rng.randint(first, 4),
                entered_at=entered,
                last_at=entered + rng.choice([0, 0, 20, 100]),
            )
        )
    found = list(join_journeys(cards, WINDOW))
    assert len(found) == len(cards)
    assert set(found) == literally(cards, WINDOW)
