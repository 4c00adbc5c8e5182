"""What a load writes about itself, on raw tables made by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sources.bookkeeping import Books, EntityLoad
from sources.connection import Entity
from tests.support.portals import NOON

KEY = "bitrix24:main"
OTHER = "bitrix24:branch"
DEALS = Entity("deals", "deals")
ITEMS = Entity("smart_items_177", "smart_items", condition="entity_type_id = 177")


def hours(number: float) -> dt.datetime:
    return NOON + dt.timedelta(hours=number)


@pytest.fixture
def books() -> Iterator[Books]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        books = Books(connection, "raw", KEY)
        for table in ("deals", "smart_items", "users"):
            connection.execute(
                f"create table raw.{table} (source_key varchar, id bigint, "
                "entity_type_id bigint, received_at timestamptz, _dlt_load_id varchar)"
            )
        connection.execute(
            "create table raw.quarantine (source_key varchar, entity varchar, "
            "record_id bigint, received_at timestamptz)"
        )
        yield books


def hold(
    books: Books, ids: Sequence[int], at: dt.datetime = NOON, key: str = KEY, **row: Any
) -> None:
    table = row.get("table", "deals")
    for number in ids:
        books.connection.execute(
            f"insert into raw.{table} values (?, ?, ?, ?, ?)",
            [key, number, row.get("kind"), at, row.get("load", "1")],
        )


def receive_again(books: Books, number: int, at: dt.datetime) -> None:
    books.connection.execute(
        "update raw.deals set received_at = ? where source_key = ? and id = ?", [at, KEY, number]
    )


def refuse(books: Books, number: int | None, at: dt.datetime = NOON, key: str = KEY) -> None:
    books.connection.execute(
        "insert into raw.quarantine values (?, 'deals', ?, ?)", [key, number, at]
    )


def compare(books: Books, ids: Sequence[int | None], upper: int = 100) -> tuple[Any, ...]:
    swept = books.compare(DEALS, pa.array(ids, pa.int64()), upper)
    return sorted(swept.missing), sorted(swept.gone), swept.held, swept.unreadable


# Comparing ids


def test_missing_and_gone_ids_are_told_apart(books: Books) -> None:
    hold(books, [1, 2, 3, 200])
    hold(books, [4], key=OTHER)
    assert compare(books, [2, 3, 4, None]) == ([4], [1], 3, 1)


def test_an_empty_system_and_an_empty_raw(books: Books) -> None:
    assert compare(books, []) == ([], [], 0, 0)
    hold(books, [1, 2])
    assert compare(books, []) == ([], [1, 2], 2, 0)


def test_an_id_that_comes_twice_is_one(books: Books) -> None:
    assert compare(books, [1, 1, 2])[0] == [1, 2]


def test_a_deleted_record_is_not_gone_again_and_missing_when_it_is_back(books: Books) -> None:
    hold(books, [1, 2])
    books.mark_deleted(DEALS, [2], hours(1))
    assert books.rows_deleted(DEALS, 100) == 1
    assert compare(books, [1]) == ([], [], 1, 0)
    assert compare(books, [1, 2]) == ([2], [], 1, 0)
    receive_again(books, 2, hours(2))
    assert books.rows_deleted(DEALS, 100) == 0
    assert compare(books, [1, 2]) == ([], [], 2, 0)


def test_a_record_deleted_twice_has_one_mark(books: Books) -> None:
    hold(books, [1])
    books.mark_deleted(DEALS, [1], hours(1))
    receive_again(books, 1, hours(2))
    books.mark_deleted(DEALS, [1], hours(3))
    marks = books.connection.execute("select id, noticed_at from raw.deleted_records").fetchall()
    assert marks == [(1, hours(3))]
    assert books.rows_deleted(DEALS, 100) == 1


def test_a_record_is_never_marked_before_it_was_received(books: Books) -> None:
    hold(books, [1], hours(5))
    books.mark_deleted(DEALS, [1], hours(1))
    assert books.rows_deleted(DEALS, 100) == 1


def test_an_unreadable_record_is_read_again_by_a_sweep(books: Books) -> None:
    hold(books, [1])
    refuse(books, 2)
    assert books.rows_unreadable(DEALS, 100) == 1
    assert compare(books, [1, 2]) == ([2], [], 1, 0)
    hold(books, [2], hours(1))
    assert books.rows_unreadable(DEALS, 100) == 0
    assert compare(books, [1, 2]) == ([], [], 2, 0)


def test_an_unreadable_record_that_is_gone_leaves_the_count(books: Books) -> None:
    refuse(books, 2)
    refuse(books, 2, hours(1))
    assert compare(books, []) == ([], [2], 0, 0)
    books.mark_deleted(DEALS, [2], hours(2))
    assert books.rows_unreadable(DEALS, 100) == 0
    assert compare(books, []) == ([], [], 0, 0)


def test_unreadable_records_are_counted_per_connection_and_up_to_an_id(books: Books) -> None:
    refuse(books, 5)
    refuse(books, 50)
    refuse(books, 6, key=OTHER)
    refuse(books, None)
    assert books.rows_unreadable(DEALS, 10) == 1


def test_entities_of_one_table_are_kept_apart(books: Books) -> None:
    hold(books, [1, 2], table="smart_items", kind=177)
    hold(books, [1, 3], table="smart_items", kind=181)
    assert books.rows_held(ITEMS, None) == 2
    swept = books.compare(ITEMS, pa.array([1], pa.int64()), 100)
    assert (swept.missing, swept.gone, swept.held) == ([], [2], 2)
    books.mark_deleted(ITEMS, [2], hours(1))
    assert books.rows_deleted(ITEMS, 100) == 1
    other = Entity("smart_items_181", "smart_items", condition="entity_type_id = 181")
    assert books.rows_deleted(other, 100) == 0


def test_rows_that_a_dictionary_no_longer_returns_are_counted(books: Books) -> None:
    hold(books, [1], table="users", load="first")
    hold(books, [2], table="users", load="second")
    hold(books, [3], table="users", load="third", key=OTHER)
    users = Entity("users", "users", is_listed=False)
    assert books.rows_not_returned(users, ["second", "later"]) == 1


def test_a_table_that_does_not_exist_holds_nothing(books: Books) -> None:
    assert books.rows_held(Entity("tasks", "tasks"), None) == 0
    assert not books.has("tasks")
    assert books.has("deals")


# The log


def test_the_log_of_a_cut_is_replaced_and_others_stay(books: Books) -> None:
    books.write_log(hours(0), [EntityLoad("deals", "deals", upper_id=10, rows_reported=5)])
    books.write_log(hours(1), [EntityLoad("deals", "deals", upper_id=8, rows_reported=4)])
    books.write_log(hours(1), [EntityLoad("deals", "deals", upper_id=9, rows_reported=6)])
    rows = books.connection.execute(
        "select cut_at, upper_id, rows_reported from raw.load_log order by cut_at"
    ).fetchall()
    assert rows == [(hours(0), 10, 5), (hours(1), 9, 6)]
    assert books.upper_ids() == {"deals": 10}


def test_connections_have_their_own_log(books: Books) -> None:
    other = Books(books.connection, "raw", OTHER)
    other.write_log(
        hours(1), [EntityLoad("deals", "deals", upper_id=99, rows_reported=7, was_swept=True)]
    )
    books.write_log(
        hours(1), [EntityLoad("deals", "deals", upper_id=10, rows_received=5, rows_deleted=2)]
    )
    assert (books.upper_ids(), other.upper_ids()) == ({"deals": 10}, {"deals": 99})
    assert books.last_loads()["deals"][0] == 2


def test_the_first_load_counts_as_a_sweep(books: Books) -> None:
    books.write_log(hours(0), [EntityLoad("deals", "deals")])
    books.write_log(hours(1), [EntityLoad("deals", "deals")])
    assert books.last_swept_at() == {"deals": hours(0)}
    books.write_log(hours(2), [EntityLoad("deals", "deals", was_swept=True)])
    books.write_log(hours(3), [EntityLoad("deals", "deals")])
    assert books.last_swept_at() == {"deals": hours(2)}


def test_what_was_gone_outlasts_a_load_that_could_not_read(books: Books) -> None:
    books.write_log(
        hours(0),
        [EntityLoad("users", "users", rows_received=9, rows_deleted=7, complete_up_to=hours(0))],
    )
    books.write_log(
        hours(1), [EntityLoad("users", "users", problem="refused.", complete_up_to=hours(0))]
    )
    assert books.last_loads() == {"users": (7, hours(0))}


def test_a_failed_transaction_writes_nothing(books: Books) -> None:
    hold(books, [1])

    def fail() -> None:
        with books.transaction():
            books.mark_deleted(DEALS, [1], hours(1))
            books.write_log(hours(1), [EntityLoad("deals", "deals")])
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    for table in ("load_log", "deleted_records"):
        assert books.connection.execute(f"select count(*) from raw.{table}").fetchone() == (0,)


@pytest.mark.parametrize(
    ("load", "unexplained"),
    [
        (EntityLoad("deals", "deals", rows_raw=5), 0),
        (EntityLoad("deals", "deals", rows_reported=5, rows_raw=5), 0),
        (EntityLoad("deals", "deals", rows_reported=5, rows_raw=7, rows_deleted=2), 0),
        (EntityLoad("deals", "deals", rows_reported=5, rows_raw=4, rows_quarantined=1), 0),
        (EntityLoad("deals", "deals", rows_reported=5, rows_raw=4), 1),
        (EntityLoad("deals", "deals", rows_reported=5, rows_raw=6), -1),
    ],
)
def test_reported_rows_are_held_deleted_or_quarantined(load: EntityLoad, unexplained: int) -> None:
    assert load.unexplained == unexplained
