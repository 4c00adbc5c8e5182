"""Versions of what a system forgets: when a row is added, and when only its last sight moves."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from sources.bitrix24.history import ACTIVITIES, ARCHIVED, USERS, VERSIONED
from sources.bitrix24.tables import TABLES
from sources.history import VersionedTable, observe

MAIN = "bitrix24:main"
OWNERS = VersionedTable(
    "cards", "card_versions", key=("id",), content=("owner", "due"), refreshed=("login",)
)


def day(number: float) -> dt.datetime:
    return dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC) + dt.timedelta(days=number)


class Raw:
    """A raw table that is written as loads write it: the newest row of a key replaces the old."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, columns: str) -> None:
        self.connection, self.table = connection, f"raw_test.{table}"
        connection.execute(
            f"create table {self.table} (source_key varchar not null, {columns}, "
            "received_at timestamptz not null)"
        )

    def receive(self, at: dt.datetime, *rows: tuple[Any, ...], source_key: str = MAIN) -> None:
        for row in rows:
            self.connection.execute(
                f"delete from {self.table} where source_key = ? and id = ?", [source_key, row[0]]
            )
            marks = ", ".join("?" * (len(row) + 2))
            self.connection.execute(
                f"insert into {self.table} values ({marks})", [source_key, *row, at]
            )


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        opened.execute("create schema raw_test")
        yield opened


@pytest.fixture
def cards(connection: duckdb.DuckDBPyConnection) -> Raw:
    return Raw(connection, "cards", "id bigint, owner bigint, due timestamptz, login timestamptz")


def see(
    connection: duckdb.DuckDBPyConnection,
    cut_at: dt.datetime,
    table: VersionedTable = OWNERS,
    source_key: str = MAIN,
) -> int:
    return observe(connection, "raw_test", source_key, cut_at, [table])[table.versions]


def versions(
    connection: duckdb.DuckDBPyConnection,
    columns: str = "id, owner",
    table: str = "card_versions",
    source_key: str = MAIN,
) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        f"select {columns}, first_seen_at, last_seen_at from raw_test.{table} "
        "where source_key = ? order by id, first_seen_at",
        [source_key],
    ).fetchall()
    return [(*row[:-2], *(instant.astimezone(dt.UTC) for instant in row[-2:])) for row in rows]


def test_a_value_that_comes_back_makes_a_third_version(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    for number, owner in enumerate((7, 7, 8, 7)):
        cards.receive(day(number), (1, owner, None, None))
        see(connection, day(number))
    assert versions(connection) == [
        (1, 7, day(0), day(1)),
        (1, 8, day(2), day(2)),
        (1, 7, day(3), day(3)),
    ]


def test_null_is_a_value(connection: duckdb.DuckDBPyConnection, cards: Raw) -> None:
    for number, due in enumerate((None, day(9), None, None)):
        cards.receive(day(number), (1, 7, due, None))
        see(connection, day(number))
    assert [row[1:] for row in versions(connection, "id")] == [
        (day(0), day(0)),
        (day(1), day(1)),
        (day(2), day(3)),
    ]


def test_observing_twice_changes_nothing(connection: duckdb.DuckDBPyConnection, cards: Raw) -> None:
    cards.receive(day(0), (1, 7, None, None), (2, 8, None, None))
    assert see(connection, day(0)) == 2
    cards.receive(day(1), (1, 9, None, day(1)))
    assert see(connection, day(1)) == 1
    before = versions(connection, "id, owner, login")
    assert see(connection, day(1)) == 0
    assert see(connection, day(1.5)) == 0
    assert versions(connection, "id, owner, login") == before


def test_rows_of_a_load_that_died_before_the_observation_are_observed_by_the_next(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    cards.receive(day(0), (1, 7, None, None), (2, 7, None, None), (3, 7, None, None))
    see(connection, day(0))
    cards.receive(day(1), (1, 8, None, None), (2, 8, None, None))
    cards.receive(day(2), (2, 9, None, None))
    assert see(connection, day(2)) == 2
    assert versions(connection) == [
        (1, 7, day(0), day(0)),
        (1, 8, day(1), day(1)),
        (2, 7, day(0), day(0)),
        (2, 9, day(2), day(2)),
        (3, 7, day(0), day(0)),
    ]


def test_an_observation_that_is_rolled_back_is_made_up_for(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    cards.receive(day(0), (1, 7, None, None))
    connection.execute("begin")
    see(connection, day(0))
    connection.execute("rollback")
    cards.receive(day(1), (2, 7, None, None))
    connection.execute("begin")
    see(connection, day(1))
    connection.execute("commit")
    assert versions(connection) == [(1, 7, day(0), day(0)), (2, 7, day(1), day(1))]


def test_a_record_that_is_no_longer_returned_keeps_its_last_sight(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    cards.receive(day(0), (1, 7, None, None), (2, 7, None, None))
    see(connection, day(0))
    # Read whole: 2 was not in the answer.
    cards.receive(day(1), (1, 7, None, None))
    see(connection, day(1))
    assert versions(connection) == [(1, 7, day(0), day(1)), (2, 7, day(0), day(0))]


def test_refreshed_columns_follow_without_a_version(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    for number in range(3):
        cards.receive(day(number), (1, 7 if number < 2 else 8, None, day(number)))
        see(connection, day(number))
    assert [row[:3] for row in versions(connection, "id, owner, login")] == [
        (1, 7, day(1)),
        (1, 8, day(2)),
    ]


def test_connections_with_the_same_ids_stand_side_by_side(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    branch = "bitrix24:branch"
    # Their clocks are days apart: the one's last sight must not hide the other's rows.
    cards.receive(day(9), (1, 7, None, None))
    see(connection, day(9))
    cards.receive(day(0), (1, 5, None, None), source_key=branch)
    see(connection, day(0), source_key=branch)
    cards.receive(day(1), (1, 6, None, None), source_key=branch)
    see(connection, day(1), source_key=branch)
    assert versions(connection) == [(1, 7, day(9), day(9))]
    assert versions(connection, source_key=branch) == [
        (1, 5, day(0), day(0)),
        (1, 6, day(1), day(1)),
    ]


def test_a_clock_that_was_set_back_hides_no_row_and_turns_no_order(
    connection: duckdb.DuckDBPyConnection, cards: Raw
) -> None:
    cards.receive(day(5), (1, 7, None, None))
    see(connection, day(5))
    cards.receive(day(2), (1, 8, None, None))
    assert see(connection, day(2)) == 1
    cards.receive(day(2), (1, 9, None, None))
    assert see(connection, day(2)) == 1
    found = versions(connection)
    assert [row[1] for row in found] == [7, 8, 9]
    assert len({row[2] for row in found}) == 3


def test_a_planned_activity_is_followed_to_its_end_and_a_finished_one_is_not_begun(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    raw = Raw(
        connection,
        "activities",
        "id bigint, deadline timestamptz, completed boolean, status bigint, responsible_id bigint",
    )
    raw.receive(day(0), (1, day(3), False, 1, 7), (2, day(0), True, 2, 7))
    see(connection, day(0), ACTIVITIES)
    raw.receive(day(1), (1, day(6), False, 1, 7), (2, day(0), True, 2, 8))
    see(connection, day(1), ACTIVITIES)
    raw.receive(day(2), (1, day(6), True, 2, 7))
    see(connection, day(2), ACTIVITIES)
    found = versions(connection, "id, deadline, completed", "activity_versions")
    assert found == [
        (1, day(3), False, day(0), day(0)),
        (1, day(6), False, day(1), day(1)),
        (1, day(6), True, day(2), day(2)),
    ]


def test_a_user_moves_to_another_department_and_becomes_inactive(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    raw = Raw(
        connection,
        "users",
        "id bigint, active boolean, name varchar, last_name varchar, second_name varchar, "
        "uf_department json, work_position varchar, uf_phone_inner varchar, user_type varchar, "
        "last_login timestamptz, last_activity_date timestamptz",
    )
    for number, (active, department) in enumerate(
        ((True, "[1]"), (True, "[1, 2]"), (False, "[1, 2]"))
    ):
        raw.receive(
            day(number),
            (1, active, "Anna", "Test", None, department, None, "101", "employee", None, None),
        )
        see(connection, day(number), USERS)
    assert versions(connection, "id, active, uf_department", "user_versions") == [
        (1, True, "[1]", day(0), day(0)),
        (1, True, "[1, 2]", day(1), day(1)),
        (1, False, "[1, 2]", day(2), day(2)),
    ]


def test_a_newly_kept_column_is_added(connection: duckdb.DuckDBPyConnection, cards: Raw) -> None:
    earlier = VersionedTable("cards", "card_versions", key=("id",), content=("owner",))
    cards.receive(day(0), (1, 7, None, None))
    see(connection, day(0), earlier)
    cards.receive(day(1), (1, 7, day(4), None))
    see(connection, day(1))
    assert [row[2] for row in versions(connection, "id, owner, due")] == [None, day(4)]


def test_a_table_that_is_not_loaded_is_passed_over(connection: duckdb.DuckDBPyConnection) -> None:
    assert observe(connection, "raw_test", MAIN, day(0), [OWNERS]) == {}


@pytest.mark.parametrize("seed", range(5))
def test_versions_equal_a_plain_reference_on_random_loads(
    connection: duckdb.DuckDBPyConnection, cards: Raw, seed: int
) -> None:
    chance = random.Random(seed)
    expected: dict[int, list[list[Any]]] = {}
    waiting: dict[int, tuple[Any, dt.datetime]] = {}
    for number in range(12):
        received = chance.sample(range(8), chance.randint(0, 8))
        for card in received:
            owner = chance.choice((None, 1, 2))
            cards.receive(day(number), (card, owner, None, None))
            waiting[card] = (owner, day(number))
        # Every third load dies before it observes; what is overwritten until then is lost.
        if chance.random() < 0.33:
            continue
        see(connection, day(number))
        for card, (owner, at) in waiting.items():
            seen = expected.setdefault(card, [])
            if seen and seen[-1][0] == owner:
                seen[-1][2] = at
            else:
                seen.append([owner, at, at])
        waiting.clear()
    assert versions(connection) == [
        (card, *version) for card in sorted(expected) for version in expected[card]
    ]


def test_versioned_columns_are_columns_of_raw() -> None:
    archived = {table.table for table in ARCHIVED}
    for table in VERSIONED:
        raw = TABLES.get(table.table)
        assert raw is not None, table.table
        assert raw.primary_key == ("source_key", *table.key)
        assert {*table.content, *table.refreshed} <= set(raw.schema.names), table.table
        assert table.versions in archived
