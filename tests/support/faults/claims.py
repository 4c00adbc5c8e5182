"""What a load says of itself, against what the portal held all the while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import duckdb

from sources.demo.record_store import RecordStore
from tests.support.faults.desk import Desk
from tests.support.faults.system import System, is_deleted

HeldKeys = Mapping[str, set[int | str]]
"""Keys of the records that an account gives, by entity."""

_KEYS = {
    "detail_reads": "entity, owner_type, owner_id",
    "deleted_records": "entity, id",
    "load_log": "entity, cut_at",
    "quarantine": "entity, payload_hash",
}
"""What may not stand twice in the tables that every system has."""


def held_by(system: System, store: RecordStore) -> HeldKeys:
    """What the account gives at this moment."""
    return {
        entity: {
            row[0]
            for row in store.query(f"select {held.key} from {held.stored} where {held.condition}")
        }
        for entity, held in system.held.items()
    }


def assert_claims_hold(desk: Desk, cut_at: dt.datetime, before: HeldKeys, after: HeldKeys) -> None:
    """What the log calls complete has no gap, and no record stands twice.

    Args:
        desk: after a load while the account was changing.
        cut_at: the load's.
        before: what the account held when the load began.
        after: what it held when the load ended; records that came or went are not looked for.
    """
    with desk.open() as connection:
        claims = connection.execute(
            f"select entity, upper_id from {desk.schema}.load_log "
            "where cut_at = $cut_at and complete_up_to = $cut_at",
            {"cut_at": cut_at},
        ).fetchall()
        assert claims, "the load calls nothing complete"
        gaps = {
            entity: _missing(desk, connection, entity, upper_id, before[entity] & after[entity])
            for entity, upper_id in claims
        }
        twice = {
            table: _standing_twice(desk, connection, table)
            for (table,) in connection.execute(
                "select table_name from information_schema.tables "
                "where table_schema = ? and not starts_with(table_name, '_dlt')",
                [desk.schema],
            ).fetchall()
        }
    assert not any(gaps.values()), {name: keys for name, keys in gaps.items() if keys}
    assert not any(twice.values()), {name: keys for name, keys in twice.items() if keys}


def _missing(
    desk: Desk,
    connection: duckdb.DuckDBPyConnection,
    entity: str,
    upper_id: int | None,
    held: set[int | str],
) -> list[int | str]:
    """Keys of the account up to an id that raw lacks, or has as deleted."""
    system = desk.system
    wanted = {key for key in held if upper_id is None or int(key) <= upper_id}
    # Only what is listed by id is ever noted as deleted.
    condition = "true" if upper_id is None else f"not {is_deleted(system.name, entity)}"
    found = connection.execute(
        f"select {system.held[entity].raw_key} from {desk.schema}.{system.table_of(entity)} "
        f"as records where {system.condition_of(entity)} and {condition}"
    ).fetchall()
    return sorted(wanted - {row[0] for row in found}, key=str)


def _standing_twice(
    desk: Desk, connection: duckdb.DuckDBPyConnection, table: str
) -> list[tuple[int | str | dt.datetime, ...]]:
    is_versions = table.endswith("_versions")
    key = {**_KEYS, **desk.system.keys}.get(table, "id, first_seen_at" if is_versions else "id")
    return connection.execute(
        f"select source_key, {key} from {desk.schema}.{table} group by all having count(*) > 1"
    ).fetchall()
