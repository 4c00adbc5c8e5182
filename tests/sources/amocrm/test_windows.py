"""Events by closed windows: each exactly once, whatever happens meanwhile."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sources.amocrm.errors import AmoError
from sources.amocrm.paging import PageReader
from sources.amocrm.windows import EventReader, split
from tests.support.fake_amo import ChangingEvents


def event(number: int, created_at: int) -> dict[str, Any]:
    return {"id": f"e{number:05}", "type": "lead_added", "created_at": created_at}


def read(account: ChangingEvents, first: int, last: int, pages: int, limit: int) -> list[str]:
    reader = PageReader(account)  # type: ignore[arg-type]
    try:
        windows = list(EventReader(reader, pages, limit).read(first, last))
    finally:
        reader.close()
    assert [window.last for window in windows] == sorted({window.last for window in windows})
    return [row["id"] for window in windows for row in window.rows]


@pytest.mark.parametrize("seed", range(80))
def test_every_event_comes_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    first, last = chance.randrange(1, 50), chance.randrange(50, 2_000)
    crowded = [chance.randrange(0, 2_100) for _ in range(5)]
    events = [
        event(n, chance.choice([chance.randrange(0, 2_100), chance.choice(crowded)]))
        for n in range(chance.randrange(0, 200))
    ]
    wanted = {row["id"] for row in events if first <= row["created_at"] <= last}
    gone: set[str] = set()

    def changes(rows: list[dict[str, Any]]) -> None:
        if rows and seed % 2 and chance.random() < 0.02:
            gone.add(rows.pop(chance.randrange(len(rows)))["id"])

    account = ChangingEvents(events, changes)
    account.is_inclusive = bool(seed % 3)
    found = read(account, first, last, chance.randrange(1, 5), chance.randrange(1, 8))
    assert len(found) == len(set(found))
    assert wanted - gone - set(found) == set()
    assert set(found) - wanted == set()


def test_windows_cover_every_second_once() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        first = chance.randrange(0, 100)
        last = first + chance.randrange(0, 500)
        found = list(split(first, last, lambda low, high, chance=chance: chance.random() < 0.3))
        seconds = [second for low, high in found for second in range(low, high + 1)]
        assert seconds == list(range(first, last + 1))
    assert list(split(5, 4, lambda low, high: True)) == []


def test_a_window_that_never_adds_up_is_told() -> None:
    late = iter(range(1_000, 9_999))

    def grows_within(rows: list[dict[str, Any]]) -> None:
        # Newest first: it enters in front and pushes the others on.
        rows.append(event(next(late), 99))

    account = ChangingEvents([event(n, n % 90) for n in range(40)], grows_within)
    with pytest.raises(AmoError, match="another list of events each time"):
        read(account, 1, 100, pages=99, limit=5)


def test_a_window_that_did_not_add_up_is_read_again() -> None:
    late = iter([500])

    def one_comes_late(rows: list[dict[str, Any]]) -> None:
        if len(account.asked) == 9 and (number := next(late, None)):
            rows.append(event(number, 99))

    account = ChangingEvents([event(n, n + 1) for n in range(20)], one_comes_late)
    found = read(account, 1, 100, pages=99, limit=5)
    assert sorted(found) == sorted(row["id"] for row in account.rows)
    assert len(found) == 21
