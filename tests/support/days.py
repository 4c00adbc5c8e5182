"""Days of a company's raw data, made up: rows that come late, change, vanish and come back.

Works on raw tables alone, whatever system they are of. A changed value is that of another row of
the same table, so that every value stays one that the system could print.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

RECORDS: Mapping[str, Sequence[str]] = {
    "raw_bitrix24.deals": ("id",),
    "raw_bitrix24.leads": ("id",),
    "raw_bitrix24.contacts": ("id",),
    "raw_bitrix24.companies": ("id",),
    "raw_bitrix24.calls": ("id",),
    "raw_bitrix24.activities": ("id",),
    "raw_bitrix24.activity_bindings": ("activity_id", "entity_type_id", "entity_id"),
    "raw_bitrix24.activity_versions": ("id", "first_seen_at"),
    "raw_bitrix24.stage_history": ("id",),
    "raw_bitrix24.lead_stage_history": ("id",),
    "raw_bitrix24.deal_versions": ("id", "first_seen_at"),
    "raw_bitrix24.lead_versions": ("id", "first_seen_at"),
    "raw_bitrix24.product_rows": ("id",),
    "raw_bitrix24.timeline_comments": ("id", "entity_type", "entity_id"),
    "raw_bitrix24.tasks": ("id",),
    "raw_bitrix24.task_history": ("id",),
    "raw_bitrix24.invoices": ("id",),
    "raw_bitrix24.detail_reads": ("entity", "owner_type", "owner_id"),
    "raw_amocrm.leads": ("id",),
    "raw_amocrm.contacts": ("id",),
    "raw_amocrm.companies": ("id",),
    "raw_amocrm.events": ("id",),
    "raw_amocrm.notes": ("id", "entity_type"),
    "raw_amocrm.tasks": ("id",),
    "raw_telephony.asterisk_cdr": ("row_key",),
    "raw_telephony.mango_calls": ("row_key",),
    "raw_telephony.zadarma_calls": ("row_key",),
    "raw_telephony.generic_calls": ("id",),
}
"""Raw tables of records with their keys, beside `source_key`."""

SCHEMAS = ("raw_bitrix24", "raw_amocrm", "raw_telephony")
DELETABLE: Mapping[str, Sequence[str]] = {
    "raw_bitrix24": ("deals", "leads", "contacts", "companies", "activities", "tasks"),
    "raw_amocrm": ("leads", "contacts", "companies", "tasks"),
}
_KEPT = ("source_key", "received_at", "_dlt_load_id", "first_seen_at", "last_seen_at")
_OTHERS = "source_key not like '%:case%'"
"""Connections that a test writes itself stay as they are."""
_PUT_BACK = "case when contains(source_key, ':m') then interval 1 hour else interval 6 days end"
"""Companies with telephony live for some hours only: days before, they have nothing to report."""


@dataclass
class Days:
    """A warehouse whose raw data lives through days.

    Args:
        rng: decides what happens.
        held_back: share of the records that the first day does not have yet.
        changed: how many values of each table change in a day, at most.
        day: how many have passed.
    """

    rng: random.Random
    held_back: float = 0.02
    changed: int = 2
    day: int = 0

    @property
    def load_id(self) -> str:
        """Of what this day's load brings."""
        return f"{1_900_000_000 + self.day}.5"

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take records out of raw, and put as-of some days back."""
        connection.execute("create schema if not exists later")
        for table, key in RECORDS.items():
            name = _later(table)
            if "first_seen_at" not in key:
                connection.execute(
                    f"alter table {table} add column if not exists _dlt_load_id varchar "
                    "default '1.0'"
                )
            share = f"% 1000 < {int(self.held_back * 1000)} and {_OTHERS}"
            chosen = f"{self._drawn(table)} {share}"
            connection.execute(f"create table {name} as select * from {table} where {chosen}")
            connection.execute(f"delete from {table} where {chosen}")
        for schema in SCHEMAS:
            connection.execute(
                f"update {schema}.load_log set cut_at = cut_at - {_PUT_BACK} where {_OTHERS}"
            )

    def live(self, connection: duckdb.DuckDBPyConnection) -> None:
        """A day: a load has brought what was held back and what has changed."""
        self.day += 1
        for table in RECORDS:
            if self.rng.random() < 0.5:
                self._release(connection, table)
            for _ in range(self.rng.randrange(self.changed + 1)):
                self._change(connection, table)
        for schema, entities in DELETABLE.items():
            for entity in entities:
                if self.rng.random() < 0.3:
                    self._delete(connection, schema, entity)
                if self.rng.random() < 0.3:
                    self._restore(connection, schema, entity)
        for schema in SCHEMAS:
            move_cut(connection, schema, self.rng.choice([0, 12, 24, 36]), _OTHERS)

    def _drawn(self, table: str) -> str:
        key = ", ".join(("source_key", *RECORDS[table]))
        return f"hash({self.rng.randrange(2**31)}, {key})"

    def _release(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        held = _later(table)
        chosen = f"{self._drawn(table)} % 3 = 0"
        values = "*"
        if _is_stamped(connection, table):
            values = f"* replace ('{self.load_id}' as _dlt_load_id)"
        connection.execute(
            f"insert into {table} by name select {values} from {held} where {chosen}"
        )
        connection.execute(f"delete from {held} where {chosen}")

    def _change(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        kept = (*_KEPT, *RECORDS[table])
        column = self.rng.choice([one for one in _columns(connection, table) if one not in kept])
        key = ", ".join(("source_key", *RECORDS[table]))
        rows = connection.execute(
            f"select rowid from {table} where {_OTHERS} order by {key}"
        ).fetchall()
        if not rows:
            return
        (of,), (like,) = self.rng.choice(rows), self.rng.choice(rows)
        stamp = ""
        if _is_stamped(connection, table):
            stamp = f", _dlt_load_id = '{self.load_id}'"
        connection.execute(
            f'update {table} set "{column}" = (select "{column}" from {table} '
            f"where rowid = {like}){stamp} where rowid = {of}"
        )

    def _delete(self, connection: duckdb.DuckDBPyConnection, schema: str, entity: str) -> None:
        rows = connection.execute(
            f"select source_key, id from {schema}.{entity} where {_OTHERS} order by all"
        ).fetchall()
        for source_key, number in self.rng.sample(rows, min(len(rows), 3)):
            delete_record(connection, schema, source_key, entity, number)

    def _restore(self, connection: duckdb.DuckDBPyConnection, schema: str, entity: str) -> None:
        connection.execute(
            f"update {schema}.{entity} set received_at = received_at + interval 40 days, "
            f"_dlt_load_id = '{self.load_id}' where (source_key, id) in "
            f"(select (source_key, id) from {schema}.deleted_records where entity = ? "
            f"and {_OTHERS} order by all limit 1)",
            [entity],
        )


def move_cut(
    connection: duckdb.DuckDBPyConnection, schema: str, hours: int, connections: str
) -> None:
    """A later complete load of some connections of a system."""
    connection.execute(
        f"insert into {schema}.load_log "
        f"select * replace (cut_at + to_hours({hours}) as cut_at) from {schema}.load_log "
        "where (source_key, cut_at) in "
        f"(select (source_key, max(cut_at)) from {schema}.load_log where {connections} "
        "group by source_key)"
    )


def delete_record(
    connection: duckdb.DuckDBPyConnection, schema: str, source_key: str, entity: str, number: int
) -> None:
    """A sweep has noticed that a record is gone."""
    connection.execute(
        f"insert into {schema}.deleted_records select ?, ?, ?, max(received_at) "
        f"from {schema}.{entity} where source_key = ?",
        [source_key, entity, number, source_key],
    )


def _later(table: str) -> str:
    return f"later.{table.replace('.', '__')}"


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in connection.execute(f"describe {table}").fetchall()]


def _is_stamped(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return "_dlt_load_id" in _columns(connection, table)
