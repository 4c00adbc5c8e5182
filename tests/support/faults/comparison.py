"""What loads leave in warehouse and archive, compared without tolerance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb

from sources.bitrix24.history import VERSIONED
from sources.connection import Entity
from tests.support.faults.desk import SCHEMA, Desk
from tests.support.faults.entities import READS, table_of

Rows = Mapping[str, list[tuple[Any, ...]]]
"""Sorted rows by table."""

_DIFFERING = {"load_log": ("rows_received", "was_swept", "rows_fewer")}
"""What a load that goes on where another stopped says otherwise: it has less left to read.

What is gone from a dictionary is told once, by the load that saw it (`World.problems`); the clock
stands still, so the row of the one that goes on replaces that load's.
"""
_BY_ENTITY = {"load_log", "deleted_records", "detail_reads", "quarantine"}
_OWNERS = {
    "product_rows": ("'deal'", "owner_id"),
    "activity_bindings": ("'activity'", "activity_id"),
    "task_history": ("'task'", "task_id"),
    "timeline_comments": ("records.entity_type", "entity_id"),
}
"""SQL of the type of a detail's owner, and the column of its id."""


def rows_of(desk: Desk, only: Collection[str] = ()) -> Rows:
    """Every table of the raw schema and of the archive, sorted, without dlt's own columns.

    Args:
        desk: where.
        only: these entities' rows alone.
    """
    wanted = {entity for entity in READS if not only or entity in only}
    tables = {table_of(entity) for entity in wanted}
    tables |= {table.versions for table in VERSIONED if table.table in tables}
    found: dict[str, list[tuple[Any, ...]]] = {}
    with desk.open() as connection:
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = ? "
            "and table_name not like '\\_dlt%' escape '\\'",
            [SCHEMA],
        ).fetchall():
            if name in tables or name in _BY_ENTITY:
                condition = _condition(name, wanted)
                found[name] = _sorted_rows(connection, f"{SCHEMA}.{name} where {condition}", name)
        for place in sorted(desk.archive.glob("*/*")):
            # Rows may stand in several files, and are the same in each.
            if list(place.glob("*/*.parquet")) and place.name in tables | _BY_ENTITY:
                source = f"read_parquet('{place}/*/*.parquet', union_by_name = true)"
                found[f"archived {place.name}"] = _sorted_rows(
                    connection,
                    f"(select distinct * from {source}) where {_condition(place.name, wanted)}",
                    place.name,
                )
    return found


def _condition(table: str, entities: Collection[str]) -> str:
    listed = ", ".join(f"'{entity}'" for entity in entities)
    return f"entity in ({listed})" if table in _BY_ENTITY else "true"


def _sorted_rows(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> list[Any]:
    skipped = (*_DIFFERING.get(name, ()), "_dlt_load_id", "_dlt_id")
    listed = ", ".join(f"'{column}'" for column in skipped)
    return connection.execute(
        f"select columns(c -> not list_contains([{listed}], c)) from {source} order by all"
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
            [SCHEMA],
        ).fetchone()
        if not has or not has[0]:
            return []
        return [
            row[0]
            for row in connection.execute(
                f"select distinct cut_at from {SCHEMA}.load_log order by 1"
            ).fetchall()
        ]


def current_rows(desk: Desk, entities: Sequence[Entity]) -> Rows:
    """What raw holds of the portal as it is: no deleted rows, no details that left their owner."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with desk.open() as connection:
        for entity in entities:
            table = f"{SCHEMA}.{entity.table}"
            if entity.is_listed:
                condition = (
                    f"not exists (select 1 from {SCHEMA}.deleted_records as deleted "
                    f"where deleted.entity = '{entity.name}' and deleted.id = records.id "
                    "and deleted.noticed_at >= records.received_at)"
                )
            elif entity.is_detail:
                type_, id_ = _OWNERS[entity.name]
                condition = (
                    f"exists (select 1 from {SCHEMA}.detail_reads as reads "
                    f"where reads.entity = '{entity.name}' and reads.owner_type = {type_} "
                    f"and reads.owner_id = records.{id_} "
                    "and records.received_at >= reads.read_at) "
                    f"and not exists (select 1 from {SCHEMA}.deleted_records as deleted "
                    f"where deleted.entity = case {type_} when 'activity' then 'activities' "
                    f"else {type_} || 's' end and deleted.id = records.{id_})"
                )
            else:
                condition = f"_dlt_load_id = (select max(_dlt_load_id) from {table})"
            found[entity.name] = connection.execute(
                "select columns(c -> not list_contains("
                "['_dlt_load_id', '_dlt_id', 'received_at'], c)) "
                f"from {table} as records where {entity.condition} and {condition} order by all"
            ).fetchall()
    return found
