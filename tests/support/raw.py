"""Many portals in one warehouse, each under its own source key, without a load per portal.

The rows are printed by the portal's own code and parsed by the source's; only HTTP and dlt are left
out, which have their own tests. Hundreds of companies then cost one dbt build.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from sources.bitrix24 import TABLES, Bitrix24Client, Bitrix24Connector
from sources.bitrix24.details import DETAILS, Detail, Owner, due
from sources.bitrix24.history import USERS, VERSIONED
from sources.bitrix24.lists import DEAL, INVOICE
from sources.bitrix24.reading import PAGE_SIZE
from sources.bitrix24.tables import DETAIL_READS_SCHEMA
from sources.bookkeeping import Books, EntityLoad
from sources.demo.methods import LISTS, Page, call_list, call_object, portal_time
from sources.demo.store import PortalStore
from sources.extraction import QUARANTINE_SCHEMA
from sources.history import observe
from sources.parsing import parse_rows
from tests.support.raw_tables import create_table

SCHEMA = "raw_bitrix24"
PORTALS_WITH_ALL_VERSIONS = 10
"""Of the others only the users' are kept: the rest costs 0.2 s a portal and no mart reads it."""
_DETAIL_NAMES = tuple(detail.name for detail in DETAILS)
_STORED = {
    "product_rows": "product_row",
    "task_history": "task_history",
    "timeline_comments": "timeline_comment",
}
_KINDS_WITH_FIELDS = ("lead", "deal", "contact", "company")


def write_raw(connection: duckdb.DuckDBPyConnection, portals: Mapping[str, PortalStore]) -> None:
    """Create `raw_bitrix24` as one finished load of each portal leaves it, keyed by source key."""
    connection.execute("set TimeZone = 'UTC'")
    connectors = {key: _connector(key, store) for key, store in portals.items()}
    parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    loads: dict[str, list[EntityLoad]] = {key: [] for key in portals}
    for key, store in portals.items():
        for name, table, rows in _everything(connectors[key], store):
            parts[table].append(_parsed(table, rows, key, store))
            is_listed = name in connectors[key].lists
            ids = [int(row.get("ID") or row["id"]) for row in rows] if is_listed else []
            upper = max(ids, default=0) if is_listed else None
            loads[key].append(_load(name, table, upper, len(rows), store))
    connection.execute(f"create schema if not exists {SCHEMA}")
    for name in TABLES:
        if name not in _DETAIL_NAMES:
            _create_raw(connection, name, parts[name])
    create_table(connection, f"{SCHEMA}.detail_reads", DETAIL_READS_SCHEMA.empty_table())
    create_table(connection, f"{SCHEMA}.quarantine", QUARANTINE_SCHEMA.empty_table())
    for key, store in portals.items():
        for detail in DETAILS:
            owners = _due(connection, detail, key, store)
            rows = _details(detail, owners, store)
            parts[detail.name].append(_parsed(detail.name, rows, key, store))
            loads[key].append(_load(detail.name, detail.name, None, len(rows), store))
            mark_read(connection, key, detail, owners, clock_of(store))
    for name in _DETAIL_NAMES:
        _create_raw(connection, name, parts[name])
    connection.begin()
    for number, (key, store) in enumerate(portals.items()):
        versioned = VERSIONED if number < PORTALS_WITH_ALL_VERSIONS else (USERS,)
        observe(connection, SCHEMA, key, clock_of(store), versioned)
        Books(connection, SCHEMA, key).write_log(clock_of(store), loads[key])
    connection.commit()


def clock_of(store: PortalStore) -> dt.datetime:
    """The portal's now, in its own zone: cut and moment of receipt at once."""
    return dt.datetime.fromisoformat(portal_time(store, store.meta("clock")))


def mark_read(
    connection: duckdb.DuckDBPyConnection,
    source_key: str,
    detail: Detail,
    owners: Sequence[Owner],
    read_at: dt.datetime,
) -> None:
    """Note that these owners were asked for their details."""
    rows = [
        {
            "source_key": source_key,
            "entity": detail.name,
            "owner_type": owner.type,
            "owner_id": owner.id,
            "owner_changed_at": owner.changed_at,
            "read_at": read_at.astimezone(dt.UTC),
            "rows_received": 0,
        }
        for owner in owners
    ]
    if rows:
        connection.register("marks", pa.Table.from_pylist(rows, schema=DETAIL_READS_SCHEMA))
        connection.execute(f"insert into {SCHEMA}.detail_reads select * from marks")
        connection.unregister("marks")


def _create_raw(connection: duckdb.DuckDBPyConnection, name: str, parts: list[pa.Table]) -> None:
    empty = TABLES[name].schema.empty_table()
    rows = pa.concat_tables([empty, *parts])
    create_table(connection, f"{SCHEMA}.{name}", rows, TABLES[name].json_columns)


def _connector(source_key: str, store: PortalStore) -> Bitrix24Connector:
    """What a load of this portal would read; it is never asked over HTTP."""
    found = store.query(
        'select "ENTITY_TYPE_ID" from category where "ENTITY_TYPE_ID" >= 128 '
        'union select "ENTITY_TYPE_ID" from smart_item order by 1'
    )
    name = source_key.partition(":")[2]
    client = Bitrix24Client("https://portal.example/rest/1/secret/", name)
    return Bitrix24Connector(client, name, [int(number) for (number,) in found])


def _parsed(table: str, rows: list[Any], source_key: str, store: PortalStore) -> pa.Table:
    parsed, refused = parse_rows(TABLES[table], rows, source_key, clock_of(store))
    assert not refused, refused[:1]
    return parsed


def _load(
    entity: str, table: str, upper_id: int | None, rows: int, store: PortalStore
) -> EntityLoad:
    return EntityLoad(
        entity,
        table,
        upper_id=upper_id,
        rows_reported=None if table in _DETAIL_NAMES else rows,
        rows_received=rows,
        rows_raw=rows,
        complete_up_to=clock_of(store).astimezone(dt.UTC),
    )


def _everything(
    connector: Bitrix24Connector, store: PortalStore
) -> Iterator[tuple[str, str, list[Any]]]:
    """Entity, raw table and rows of dictionaries and lists."""
    yield "users", "users", _pages(store, "user.get", {})
    yield "departments", "departments", _pages(store, "department.get", {})
    yield "categories", "categories", _categories(connector, store)
    yield "statuses", "statuses", _pages(store, "crm.status.list", {})
    yield "currencies", "currencies", _pages(store, "crm.currency.list", {})
    fields = [
        {**spec, "entityType": kind, "field": name, "label": spec.get("formLabel")}
        for kind, described in _described(connector, store).items()
        for name, spec in described.items()
        if name.startswith("UF_")
    ]
    declared = {column.field for column in TABLES["custom_fields"].columns}
    yield (
        "custom_fields",
        "custom_fields",
        [{name: field.get(name) for name in declared} for field in fields],
    )
    yield (
        "custom_field_options",
        "custom_field_options",
        [
            {**option, "entityType": field["entityType"], "field": field["field"]}
            for field in fields
            for option in field.get("items") or ()
        ],
    )
    for entity in connector.lists.values():
        rows = _pages(store, entity.method, {**entity.parameters, "filter": dict(entity.filters)})
        yield entity.name, entity.table.name, entity.rows(rows)


def _described(connector: Bitrix24Connector, store: PortalStore) -> dict[str, dict[str, Any]]:
    described = {
        kind: call_object(store, f"crm.{kind}.fields", {}).result for kind in _KINDS_WITH_FIELDS
    }
    items = {"invoice": 31} | {f"smart_item_{n}": n for n in connector.smart_processes}
    for kind, number in items.items():
        asked = {"entityTypeId": number, "useOriginalUfNames": "Y"}
        described[kind] = call_object(store, "crm.item.fields", asked).result["fields"]
    return described


def _categories(connector: Bitrix24Connector, store: PortalStore) -> list[Any]:
    return [
        {"entityTypeId": number, **row}
        for number in (DEAL, INVOICE, *connector.smart_processes)
        for row in _pages(store, "crm.category.list", {"entityTypeId": number})
    ]


def _pages(store: PortalStore, method: str, parameters: Mapping[str, Any]) -> list[Any]:
    rows: list[Any] = []
    start: int | None = 0
    while start is not None:
        page = call_list(store, method, {**parameters, "start": start})
        rows += _rows_of(page, method)
        start = page.next
    return rows


def _rows_of(page: Page, method: str) -> list[Any]:
    envelope = LISTS[method].envelope
    return list(page.result[envelope] if envelope else page.result)


def _due(
    connection: duckdb.DuckDBPyConnection, detail: Detail, source_key: str, store: PortalStore
) -> list[Owner]:
    """The owners that a load asks.

    Random portals bind calls as no real one does: calls with further bindings are always asked.
    """
    owners = due(connection, detail, SCHEMA, source_key, 1_000_000)
    if detail.name == "activity_bindings":
        asked = {owner.id for owner in owners}
        bound = store.query(
            'select "ID" from activity where "TYPE_ID" = 2 '
            'and "ID" in (select "ACTIVITY_ID" from binding)'
        )
        owners += [Owner("activity", row[0], None) for row in bound if row[0] not in asked]
    return owners


def _details(detail: Detail, owners: Sequence[Owner], store: PortalStore) -> list[Any]:
    table = _STORED.get(detail.name)
    if table and not store.query(f'select 1 from "{table}" limit 1'):
        # A call per owner takes a millisecond, and most random portals have none of these.
        return []
    method = detail.table.method
    call = call_list if method in LISTS else call_object
    rows: list[Any] = []
    for owner in owners:
        after = 0
        while True:
            found = detail.rows(call(store, method, detail.request(owner, after)).result, owner)
            rows += found
            if not detail.is_paged or len(found) < PAGE_SIZE:
                break
            after = max(int(row.get("id") or row["ID"]) for row in found)
    return rows
