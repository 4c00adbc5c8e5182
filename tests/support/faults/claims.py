"""What a load says of itself, against what the portal held all the while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import duckdb

from sources.demo.store import PortalStore
from tests.support.faults.desk import SCHEMA, Desk
from tests.support.faults.entities import STORED, table_of

Held = Mapping[str, set[int | str]]
"""Keys of the records that a portal gives, by entity."""

_BINDING = "activity_id || ' to ' || entity_type_id || ' ' || entity_id"
_NAMES = {
    "currencies": ("currency", "currency"),
    "custom_fields": ("field_name", "field"),
    "custom_field_options": ("field_name", "field"),
    "activity_bindings": (_BINDING, _BINDING),
}
"""SQL that tells the records apart, in the portal's store and in raw, where it is not the id."""
_ID = ("id", "id")
_GIVEN = {
    "product_rows": "owner_id in (select id from deal)",
    "activity_bindings": "activity_id in (select id from activity where type_id = 2)",
    "task_history": "task_id in (select id from task)",
    "timeline_comments": "(entity_type = 'deal' and entity_id in (select id from deal)) "
    "or (entity_type = 'lead' and entity_id in (select id from lead))",
}
"""Which details the portal is asked for: those of the owners that it has."""
_KEYS = {
    "categories": "entity_type_id, id",
    "category_versions": "entity_type_id, id, first_seen_at",
    "statuses": "entity_id, status_id",
    "status_versions": "entity_id, status_id, first_seen_at",
    "currencies": "currency",
    "custom_fields": "entity_type, field",
    "custom_field_options": "entity_type, field, option_id",
    "smart_items": "entity_type_id, id",
    "smart_item_versions": "entity_type_id, id, first_seen_at",
    "activity_bindings": "activity_id, entity_type_id, entity_id",
    "timeline_comments": "entity_type, entity_id, id",
    "detail_reads": "entity, owner_type, owner_id",
    "deleted_records": "entity, id",
    "load_log": "entity, cut_at",
    "quarantine": "entity, payload_hash",
}
"""What may not stand twice in a raw table, where it is not the id (of versions: and the time)."""


def held_by(store: PortalStore) -> Held:
    """What the portal gives at this moment."""
    return {
        entity: {
            row[0]
            for row in store.query(
                f"select {_NAMES.get(entity, _ID)[0]} from {stored} "
                f"where {_GIVEN.get(entity, 'true')}"
            )
        }
        for entity, stored in STORED.items()
    }


def assert_claims_hold(desk: Desk, cut_at: dt.datetime, before: Held, after: Held) -> None:
    """What the log calls complete has no gap, and no record stands twice.

    Args:
        desk: after a load while the portal was changing.
        cut_at: the load's.
        before: what the portal held when the load began.
        after: what it held when the load ended; records that came or went are not looked for.
    """
    with desk.open() as connection:
        claims = connection.execute(
            f"select entity, upper_id from {SCHEMA}.load_log "
            "where cut_at = $cut_at and complete_up_to = $cut_at",
            {"cut_at": cut_at},
        ).fetchall()
        assert claims, "the load calls nothing complete"
        gaps = {
            entity: _missing(connection, entity, upper_id, before[entity] & after[entity])
            for entity, upper_id in claims
        }
        twice = {
            table: _standing_twice(connection, table)
            for (table,) in connection.execute(
                "select table_name from information_schema.tables "
                "where table_schema = ? and not starts_with(table_name, '_dlt')",
                [SCHEMA],
            ).fetchall()
        }
    assert not any(gaps.values()), {name: keys for name, keys in gaps.items() if keys}
    assert not any(twice.values()), {name: keys for name, keys in twice.items() if keys}


def _missing(
    connection: duckdb.DuckDBPyConnection, entity: str, upper_id: int | None, held: set[int | str]
) -> list[int | str]:
    """Keys of the portal up to an id that raw lacks, or has as deleted."""
    wanted = {key for key in held if upper_id is None or int(key) <= upper_id}
    # Only what is listed by id is ever noted as deleted.
    condition = (
        "true"
        if upper_id is None
        else (
            f"not exists (select 1 from {SCHEMA}.deleted_records as deleted "
            f"where deleted.entity = '{entity}' and deleted.id = records.id "
            "and deleted.noticed_at >= records.received_at)"
        )
    )
    found = connection.execute(
        f"select {_NAMES.get(entity, _ID)[1]} from {SCHEMA}.{table_of(entity)} as records "
        f"where {condition}"
    ).fetchall()
    return sorted(wanted - {row[0] for row in found}, key=str)


def _standing_twice(
    connection: duckdb.DuckDBPyConnection, table: str
) -> list[tuple[int | str | dt.datetime, ...]]:
    key = _KEYS.get(table, "id, first_seen_at" if table.endswith("_versions") else "id")
    return connection.execute(
        f"select source_key, {key} from {SCHEMA}.{table} group by all having count(*) > 1"
    ).fetchall()
