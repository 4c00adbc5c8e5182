"""What loads leave in warehouse and archive, compared without tolerance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb

from sources.connection import Entity
from tests.support.faults.desk import Desk

Rows = Mapping[str, list[tuple[Any, ...]]]
"""Sorted rows by table."""

_BY_ENTITY = {"load_log", "deleted_records", "detail_reads", "quarantine"}


def rows_of(desk: Desk, only: Collection[str] = ()) -> Rows:
    """Every table of the raw schema and of the archive, sorted, without dlt's own columns.

    Args:
        desk: where.
        only: these entities' rows alone.
    """
    system = desk.system
    wanted = {entity for entity in system.entities if not only or entity in only}
    tables = {system.table_of(entity) for entity in wanted}
    tables |= {table.versions for table in system.versioned if table.table in tables}
    found: dict[str, list[tuple[Any, ...]]] = {}
    with desk.open() as connection:
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = ? "
            "and table_name not like '\\_dlt%' escape '\\'",
            [desk.schema],
        ).fetchall():
            if name in tables or name in _BY_ENTITY:
                condition = _condition(desk, name, wanted)
                source = f"{desk.schema}.{name} where {condition}"
                found[name] = _sorted_rows(connection, source, desk, name)
        for place in sorted(desk.archive.glob("*/*")):
            # Rows may stand in several files, and are the same in each.
            if list(place.glob("*/*.parquet")) and place.name in tables | _BY_ENTITY:
                source = f"read_parquet('{place}/*/*.parquet', union_by_name = true)"
                condition = _condition(desk, place.name, wanted)
                source = f"(select distinct * from {source}) where {condition}"
                found[f"archived {place.name}"] = _sorted_rows(connection, source, desk, place.name)
    return found


def _condition(desk: Desk, table: str, entities: Collection[str]) -> str:
    if table in _BY_ENTITY:
        listed = ", ".join(f"'{entity}'" for entity in entities)
        return f"entity in ({listed})"
    told = {
        desk.system.condition_of(entity)
        for entity in entities
        if desk.system.table_of(entity) == table
    }
    return " or ".join(sorted(told)) or "true"


def _sorted_rows(
    connection: duckdb.DuckDBPyConnection, source: str, desk: Desk, name: str
) -> list[Any]:
    unmatched = desk.system.unmatched.get(name, {})
    skipped = (*unmatched.get(None, ()), "_dlt_load_id", "_dlt_id")
    listed = ", ".join(f"'{column}'" for column in skipped)
    replaced = ", ".join(
        f"case when entity <> '{entity}' then {column} end as {column}"
        for entity, columns in unmatched.items()
        if entity is not None
        for column in columns
    )
    star = f"* replace ({replaced})" if replaced else "*"
    return connection.execute(
        f"select columns(c -> not list_contains([{listed}], c)) "
        f"from (select {star} from {source}) order by all"
    ).fetchall()


def differences(found: Rows, expected: Rows) -> list[str]:
    """What differs, a line per table with the first few rows; empty where nothing does."""
    told = []
    for name in sorted(found.keys() | expected.keys()):
        mine, theirs = found.get(name), expected.get(name)
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            told.append(f"{name} is {'missing' if mine is None else 'too much'}")
            continue
        # Rows hold lists (JSON is text): compared by their texts.
        lines = {str(row) for row in mine}, {str(row) for row in theirs}
        missing, added = sorted(lines[1] - lines[0]), sorted(lines[0] - lines[1])
        told.append(
            f"{name}: {len(mine)} rows, expected {len(theirs)}; missing {missing[:2]} "
            f"({len(missing)}), too much {added[:2]} ({len(added)})"
        )
    return told


def assert_same(found: Rows, expected: Rows) -> None:
    """Fail with what differs."""
    told = differences(found, expected)
    assert not told, "\n".join(told)


def logged_cuts(desk: Desk) -> list[dt.datetime]:
    """The cuts of the loads that count."""
    if not desk.warehouse.exists():
        return []
    with desk.open() as connection:
        has = connection.execute(
            "select count(*) from information_schema.tables where table_schema = ? "
            "and table_name = 'load_log'",
            [desk.schema],
        ).fetchone()
        if not has or not has[0]:
            return []
        return [
            row[0]
            for row in connection.execute(
                f"select distinct cut_at from {desk.schema}.load_log order by 1"
            ).fetchall()
        ]


def current_rows(desk: Desk, entities: Sequence[Entity]) -> Rows:
    """What raw holds of the account as it is: no deleted rows, no details that left their owner."""
    with desk.open() as connection:
        return {
            entity.name: connection.execute(
                "select columns(c -> not list_contains("
                "['_dlt_load_id', '_dlt_id', 'received_at'], c)) "
                f"from {desk.schema}.{entity.table} as records "
                f"where {entity.condition} and {desk.system.is_present(entity)} order by all"
            ).fetchall()
            for entity in entities
        }
