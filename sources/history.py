"""What a system keeps no history of, kept: a row per version that a load has seen.

A system answers with the present: who is responsible now, until when a task is due now. Each load
compares the rows it has received with the newest version of each and adds what differs. Nothing is
ever removed; slowly changing dimensions are derived from these tables by SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from sources.archive import CLOCK_MARGIN, ArchivedTable, column_types


@dataclass(frozen=True)
class VersionedTable:
    """A raw table of which versions are kept.

    Attributes:
        table: the raw table, with `source_key` and `received_at`.
        versions: the table of its versions, e.g. `deal_versions`.
        key: what identifies a record, beside `source_key`.
        content: a change in one of these makes a new version.
        refreshed: kept up to date in the newest version, without making one.
        condition: SQL over the raw table's columns: a record without any version gets its first
            one only where it holds. Later versions are added whether it holds or not.
    """

    table: str
    versions: str
    key: tuple[str, ...]
    content: tuple[str, ...]
    refreshed: tuple[str, ...] = ()
    condition: str = "true"

    @property
    def archived(self) -> ArchivedTable:
        """How the versions are archived."""
        return ArchivedTable(
            self.versions,
            key=(*self.key, "first_seen_at"),
            seen="last_seen_at",
            is_loaded_by_dlt=False,
        )


def observe(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    source_key: str,
    cut_at: dt.datetime,
    tables: Iterable[VersionedTable],
) -> dict[str, int]:
    """Compare what was received since the last observation with the newest versions.

    Adds a row where a record has no version yet or its newest one differs (A, B, A makes three);
    where it is equal, `last_seen_at` and the refreshed columns follow. A record that the system
    no longer returns keeps its `last_seen_at`, also where the entity is read whole at each load.

    Columns of `<schema>.<versions>`: `source_key`, the key, the content, the refreshed columns,
    `first_seen_at` and `last_seen_at` (the system's clock when the record was received). In the
    order of `first_seen_at` a record's versions follow one another: each holds until the next.

    Where to begin is read off the versions themselves. So rows of a load that died before this
    step are observed by the next, and observing the same rows twice changes nothing. Neither
    begins nor commits a transaction.

    Args:
        connection: the warehouse; call it within a transaction.
        schema: the raw schema.
        source_key: whose rows.
        cut_at: the system's clock at the start of this load.
        tables: what to observe; a table that raw does not have is passed over.

    Returns:
        The number of new versions by table of versions.
    """
    added: dict[str, int] = {}
    for table in tables:
        types = column_types(connection, schema, table.table)
        if types:
            _create(connection, schema, table, types)
            added[table.versions] = _observe(connection, schema, source_key, cut_at, table)
    return added


def _create(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    table: VersionedTable,
    types: dict[str, str],
) -> None:
    """Create the table of versions, or add the columns that a newer release keeps."""
    wanted = {"source_key": "varchar"}
    wanted |= {name: types[name] for name in (*table.key, *table.content, *table.refreshed)}
    wanted |= dict.fromkeys(("first_seen_at", "last_seen_at"), "timestamp with time zone")
    existing = column_types(connection, schema, table.versions)
    if not existing:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in wanted.items())
        connection.execute(f'create table "{schema}"."{table.versions}" ({columns})')
        return
    for name in wanted.keys() - existing.keys():
        connection.execute(
            f'alter table "{schema}"."{table.versions}" add column "{name}" {wanted[name]}'
        )


def _observe(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    source_key: str,
    cut_at: dt.datetime,
    table: VersionedTable,
) -> int:
    raw, versions = f'"{schema}"."{table.table}"', f'"{schema}"."{table.versions}"'
    columns = (*table.key, *table.content, *table.refreshed)
    same_key = " and ".join(f'received."{name}" = versions."{name}"' for name in table.key)
    differs = _differs(table.content)
    key = ", ".join(f'versions."{name}"' for name in table.key)
    connection.execute(
        f"""
        create or replace temp table observed_rows as
        with received as (
            -- The margin, and the cut: clocks of one system's servers differ, and one that was
            -- set back must not hide rows. Comparing a row once more is harmless.
            select {_list(columns)}, received_at, {table.condition} as is_begun
            from {raw}
            where source_key = $source_key
                and received_at >= coalesce(
                    (
                        select least(max(last_seen_at), $cut_at) - $margin
                        from {versions}
                        where source_key = $source_key
                        having max(last_seen_at) is not null
                    ),
                    '-infinity'::timestamptz
                )
        ),
        newest as (
            select versions.rowid as version_row, versions.*
            from {versions} as versions
            where source_key = $source_key
                and exists (select 1 from received where {same_key})
            qualify row_number() over (partition by {key} order by first_seen_at desc) = 1
        )
        select
            {_list(columns, "received")},
            received.received_at,
            versions.version_row,
            versions.last_seen_at,
            versions.version_row is null or {differs} as is_new,
            {_differs(table.refreshed)} as is_refreshed
        from received
        left join newest as versions on {same_key}
        where received.is_begun or versions.version_row is not null
        """,
        {"source_key": source_key, "cut_at": cut_at, "margin": CLOCK_MARGIN},
    )
    refreshed = "".join(f', "{name}" = observed."{name}"' for name in table.refreshed)
    connection.execute(
        f"""
        update {versions} as versions
        set last_seen_at = greatest(observed.received_at, observed.last_seen_at){refreshed}
        from observed_rows as observed
        where versions.rowid = observed.version_row
            and not observed.is_new
            and (observed.received_at > observed.last_seen_at or observed.is_refreshed)
        """
    )
    # A version begins after the last sight of the one before, whatever the system's clock says:
    # their order is the order in which they were seen, and no two begin at once.
    seen = "greatest(received_at, last_seen_at + interval 1 microsecond)"
    row = connection.execute(
        f"""
        insert into {versions}
            (source_key, {_list(columns)}, first_seen_at, last_seen_at)
        select $source_key, {_list(columns)}, {seen}, {seen}
        from observed_rows
        where is_new
        """,
        {"source_key": source_key},
    ).fetchone()
    connection.execute("drop table observed_rows")
    return int(row[0]) if row else 0


def _list(columns: Iterable[str], of: str = "") -> str:
    prefix = f"{of}." if of else ""
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def _differs(columns: Iterable[str]) -> str:
    differing = [f'received."{name}" is distinct from versions."{name}"' for name in columns]
    return f"({' or '.join(differing)})" if differing else "false"
