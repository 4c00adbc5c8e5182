"""Many portals in one warehouse, each under its own source key, without a load per portal.

The rows are printed by the portal's own code and parsed by the source's; only HTTP and dlt are left
out, which have their own tests. Hundreds of companies then cost one dbt build.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from sources.bitrix24.connector import ID_LISTS, QUARANTINE_SCHEMA
from sources.bitrix24.parsing import parse_rows
from sources.bitrix24.tables import TABLES, USER_SNAPSHOTS
from sources.demo.methods import LISTS, call_list, portal_time
from sources.demo.store import PortalStore
from sources.loading import DELETED_SCHEMA, LOAD_LOG_SCHEMA

ENTITIES = tuple(name for name in TABLES if name != "user_snapshots")


def write_raw(connection: duckdb.DuckDBPyConnection, portals: Mapping[str, PortalStore]) -> None:
    """Create `raw_bitrix24` with the rows of all portals, keyed by source key."""
    tables: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    log: list[dict[str, Any]] = []
    for source_key, store in portals.items():
        received_at = dt.datetime.fromisoformat(portal_time(store, store.meta("clock")))
        for name in ENTITIES:
            rows = list(_rows(store, name))
            parsed, refused = parse_rows(TABLES[name], rows, source_key, received_at)
            assert not refused, refused[:1]
            tables[name].append(parsed)
            upper = max((int(row["ID"]) for row in rows), default=0) if name in ID_LISTS else None
            log.append(_log_row(source_key, name, received_at, upper, len(rows)))
        dated = [
            {**row, "OBSERVED_ON": received_at.date().isoformat()} for row in _rows(store, "users")
        ]
        snapshots, _ = parse_rows(USER_SNAPSHOTS, dated, source_key, received_at)
        tables["user_snapshots"].append(snapshots)
    connection.execute("create schema raw_bitrix24")
    for name, parts in tables.items():
        create_table(connection, name, pa.concat_tables(parts), TABLES[name].json_columns)
    create_table(connection, "load_log", pa.Table.from_pylist(log, schema=LOAD_LOG_SCHEMA))
    create_table(connection, "deleted_records", DELETED_SCHEMA.empty_table())
    create_table(connection, "quarantine", QUARANTINE_SCHEMA.empty_table())


def create_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: pa.Table,
    json_columns: tuple[str, ...] = (),
) -> None:
    """One raw table from Arrow, JSON columns as JSON."""
    connection.register("arrow_rows", rows)
    columns = ", ".join(
        f'"{column}"::json as "{column}"' if column in json_columns else f'"{column}"'
        for column in rows.column_names
    )
    connection.execute(f"create table raw_bitrix24.{name} as select {columns} from arrow_rows")
    connection.unregister("arrow_rows")


def _rows(store: PortalStore, name: str) -> Iterator[Any]:
    method = TABLES[name].method
    parameters: dict[str, Any] = {"select": ["*", "UF_*", "PHONE", "EMAIL"]}
    if method == "crm.stagehistory.list":
        parameters = {"entityTypeId": 2}
    start = 0
    while True:
        page = call_list(store, method, {**parameters, "start": start})
        envelope = LISTS[method].envelope
        yield from page.result[envelope] if envelope else page.result
        if page.next is None:
            return
        start = page.next


def _log_row(
    source_key: str, entity: str, cut_at: dt.datetime, upper_id: int | None, rows: int
) -> dict[str, Any]:
    return {
        "source_key": source_key,
        "entity": entity,
        "cut_at": cut_at.astimezone(dt.UTC),
        "upper_id": upper_id,
        "rows_reported": rows if upper_id is not None else None,
        "rows_received": rows,
        "rows_quarantined": 0,
        "rows_raw": rows,
        "rows_deleted": 0,
    }
