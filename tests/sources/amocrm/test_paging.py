"""Numbered pages of a list that changes while it is read: no row is skipped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from sources.amocrm.paging import Listing, PageReader, ids_of
from tests.support.fake_amo import ChangingList

LISTING = Listing("leads", {"order": {"id": "asc"}}, limit=3)


def cards(count: int) -> list[dict[str, Any]]:
    return [{"id": 10 * n} for n in range(1, count + 1)]


def unchanged(rows: list[dict[str, Any]]) -> None:
    pass


@pytest.fixture
def readers() -> Iterator[list[PageReader]]:
    made: list[PageReader] = []
    yield made
    for reader in made:
        reader.close()


def reader_of(made: list[PageReader], account: ChangingList, lanes: int = 4) -> PageReader:
    made.append(PageReader(account, lanes))  # type: ignore[arg-type]
    return made[-1]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, 29, 30, 31, 100])
def test_the_last_page_is_found_with_few_questions(readers: list[PageReader], count: int) -> None:
    account = ChangingList(cards(count), unchanged)
    assert reader_of(readers, account).last_page(LISTING) == -(-count // 3)
    assert len(account.asked) <= 12


@pytest.mark.parametrize("count", [0, 1, 3, 4, 20, 100])
@pytest.mark.parametrize("lanes", [1, 3, 4])
def test_a_list_that_stays_as_it_is_comes_whole(
    readers: list[PageReader], count: int, lanes: int
) -> None:
    account = ChangingList(cards(count), unchanged)
    pages = reader_of(readers, account, lanes).backwards(LISTING)
    found = {number for answer in pages for number in ids_of(answer.rows)}
    assert found == {10 * n for n in range(1, count + 1)}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("lanes", [1, 4])
def test_rows_that_vanish_and_enter_behind_cost_no_other(
    readers: list[PageReader], seed: int, lanes: int
) -> None:
    chance = random.Random(seed)
    rows = cards(chance.randrange(1, 120))
    begun = {row["id"] for row in rows}
    gone: set[int] = set()

    def changes(rows: list[dict[str, Any]]) -> None:
        for _ in range(chance.choice([0, 0, 1, 1, 5])):
            if rows:
                gone.add(rows.pop(chance.randrange(len(rows)))["id"])
        if chance.random() < 0.4:
            rows.append({"id": 10_000 + len(gone) + len(rows)})

    account = ChangingList(rows, changes)
    found = {
        number
        for answer in reader_of(readers, account, lanes).backwards(LISTING)
        for number in ids_of(answer.rows)
    }
    assert begun - gone - found == set()


def test_read_forwards_the_same_list_would_lose_rows(readers: list[PageReader]) -> None:
    """The test above can fail."""
    account = ChangingList(cards(30), lambda rows: rows.__delitem__(0))
    reader = reader_of(readers, account)
    found: set[int] = set()
    number, has_next = 1, True
    while has_next:
        answer = reader.page(LISTING, number)
        found |= set(ids_of(answer.rows))
        number, has_next = number + 1, answer.has_next
    assert {row["id"] for row in account.rows} - found != set()


def test_without_its_seams_a_list_in_lanes_would_lose_rows(
    readers: list[PageReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PageReader, "_seam", lambda self, listing, lower: iter(()))
    lost = 0
    for seed in range(20):
        chance = random.Random(seed)
        rows = cards(90)
        gone: set[int] = set()

        def changes(rows: list[dict[str, Any]], chance: Any = chance, gone: Any = gone) -> None:
            gone.add(rows.pop(chance.randrange(len(rows)))["id"])

        account = ChangingList(rows, changes)
        found = {
            number
            for answer in reader_of(readers, account).backwards(LISTING)
            for number in ids_of(answer.rows)
        }
        lost += len({10 * n for n in range(1, 91)} - gone - found)
    assert lost > 0


def test_every_page_is_asked_for_with_all_its_parameters() -> None:
    listing = Listing("leads", {"with": "contacts", "order": {"id": "asc"}})
    assert listing.page(3) == {
        "with": "contacts",
        "order": {"id": "asc"},
        "page": 3,
        "limit": 250,
    }
    assert Listing("events").page(1)["limit"] == 100
