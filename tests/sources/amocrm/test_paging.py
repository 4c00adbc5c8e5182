"""Numbered pages of a list that changes while it is read: no row is skipped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from sources.amocrm.errors import AmoError
from sources.amocrm.paging import Listing, PageReader, ids_of
from tests.support.fake_amo import ChangingList, ConfusedList

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


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("given", [1, 4, 7, 99])
def test_a_page_that_repeats_another_one_or_is_empty_is_asked_for_again(
    readers: list[PageReader], given: int, times: int, lanes: int
) -> None:
    for asked in {*range(2, 20)} - {given}:
        account = ConfusedList(cards(55), {asked: given}, times)
        pages = reader_of(readers, account, lanes).backwards(LISTING)
        found = {number for answer in pages for number in ids_of(answer.rows)}
        assert found == {10 * n for n in range(1, 56)}, asked


@pytest.mark.parametrize("confused", [dict.fromkeys(range(1_000), 1), {7: 6}, {7: 99}, {18: 3}])
def test_pages_that_contradict_each_other_for_good_are_told(
    readers: list[PageReader], confused: dict[int, int]
) -> None:
    account = ConfusedList(cards(55), confused, 1_000)
    with pytest.raises(AmoError, match=r"leads with a page that repeats .* run again"):
        list(reader_of(readers, account).backwards(LISTING))
    assert len(account.asked) < 150


def test_a_row_that_moves_to_the_end_is_read_there(readers: list[PageReader]) -> None:
    def changes(rows: list[dict[str, Any]]) -> None:
        if len(account.asked) == 7 and rows[0]["id"] == 10:
            rows.append(rows.pop(0))

    account = ChangingList(cards(12), changes)
    reader = reader_of(readers, account)
    answers = list(reader.backwards(LISTING, lanes=1, moves_to_end=True))
    assert {number for answer in answers for number in ids_of(answer.rows)} == {
        10 * n for n in range(1, 13)
    }
    assert account.rows[-1]["id"] == 10


def test_every_page_is_asked_for_with_all_its_parameters() -> None:
    listing = Listing("leads", {"with": "contacts", "order": {"id": "asc"}})
    assert listing.page(3) == {
        "with": "contacts",
        "order": {"id": "asc"},
        "page": 3,
        "limit": 250,
    }
    assert Listing("events").page(1)["limit"] == 100
