"""What a load writes about itself: the reconciliation, and which records are gone.

Written by SQL in one transaction at the end of a load, so that a load is either told whole or not
at all; a dlt run of its own for each of these small tables takes 1.5 s.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dlt
import duckdb
import pyarrow as pa

from sources.connection import Entity

_LOG_COLUMNS: Mapping[str, str] = {
    "source_key": "varchar not null",
    "entity": "varchar not null",
    "cut_at": "timestamptz not null",
    "upper_id": "bigint",
    "rows_reported": "bigint",
    "rows_received": "bigint",
    "rows_quarantined": "bigint",
    "rows_raw": "bigint",
    "rows_deleted": "bigint",
    "rows_fewer": "bigint",
    "owners_pending": "bigint",
    "owners_inferred": "bigint",
    "was_swept": "boolean",
    "complete_up_to": "timestamptz",
    "problem": "varchar",
}
_DELETED_COLUMNS: Mapping[str, str] = {
    "source_key": "varchar not null",
    "entity": "varchar not null",
    "id": "bigint not null",
    "noticed_at": "timestamptz not null",
}


@dataclass(frozen=True)
class EntityLoad:
    """The reconciliation row of one entity (Q5, R23); counts of rows.

    `rows_raw` and `rows_deleted` are compared with `rows_reported` up to `upper_id`:
    reported = raw − deleted + quarantined, or the load has lost something.

    Attributes:
        entity: its name.
        table: its raw table.
        upper_id: compared up to it; None for dictionaries and details.
        rows_reported: the system's count; None where it has none or was not asked.
        rows_received: rows that came in this load.
        rows_quarantined: rows that can't be read.
        rows_raw: rows held; of what is read by windows of time, rows that this load brought.
        rows_deleted: of them, rows that the system no longer has (dictionaries: returns).
        rows_fewer: rows that the last load still brought and this one no longer (dictionaries).
        owners_pending: owners whose details wait for the next load.
        owners_inferred: call activities whose binding is inferred from their owner.
        was_swept: whether its ids were compared one by one.
        complete_up_to: nothing is missing up to then; None where it never was complete.
        problem: why it could not be read, as a sentence.
    """

    entity: str
    table: str
    upper_id: int | None = None
    rows_reported: int | None = None
    rows_received: int = 0
    rows_quarantined: int = 0
    rows_raw: int = 0
    rows_deleted: int = 0
    rows_fewer: int = 0
    owners_pending: int = 0
    owners_inferred: int = 0
    was_swept: bool = False
    complete_up_to: dt.datetime | None = None
    problem: str | None = None

    @property
    def unexplained(self) -> int:
        """Rows the portal reports and raw does not hold (negative: the other way round)."""
        if self.rows_reported is None:
            return 0
        return self.rows_reported - (self.rows_raw - self.rows_deleted) - self.rows_quarantined


@dataclass(frozen=True)
class Swept:
    """The ids of one entity, compared.

    Attributes:
        missing: ids that the system has and raw does not hold, or holds as deleted or unreadable.
        gone: ids that raw holds and the system no longer has.
        held: how many ids raw held, deleted ones apart.
        unreadable: rows of the system without a readable id.
    """

    missing: list[int]
    gone: list[int]
    held: int
    unreadable: int


class Books:
    """The tables a load keeps about itself, in `raw_<system>`.

    Args:
        connection: to the warehouse, in UTC.
        schema: `raw_<system>`.
        source_key: of the connection.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str, source_key: str) -> None:
        self.connection = connection
        self.schema = schema
        self.source_key = source_key
        connection.execute(f"create schema if not exists {schema}")
        for table, columns in (("load_log", _LOG_COLUMNS), ("deleted_records", _DELETED_COLUMNS)):
            declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"create table if not exists {schema}.{table} ({declared})")

    def has(self, table: str) -> bool:
        """Whether a raw table exists: it does after the first load."""
        return bool(
            self._count(
                "select count(*) from information_schema.tables "
                "where table_schema = ? and table_name = ?",
                self.schema,
                table,
            )
        )

    def upper_ids(self) -> dict[str, int]:
        """The highest id that any load compared up to, by entity."""
        return {
            str(entity): int(upper)
            for entity, upper in self.connection.execute(
                f"select entity, max(upper_id) from {self.schema}.load_log "
                "where source_key = ? and upper_id is not null group by entity",
                [self.source_key],
            ).fetchall()
        }

    def last_loads(self) -> dict[str, tuple[int | None, dt.datetime | None]]:
        """By entity, rows gone at the last load that read it, and until when it was complete."""
        return {
            str(entity): (deleted, complete_up_to)
            for entity, deleted, complete_up_to in self.connection.execute(
                "select entity, max_by(rows_deleted, cut_at) filter (where rows_received > 0), "
                "max(complete_up_to) "
                f"from {self.schema}.load_log where source_key = ? group by entity",
                [self.source_key],
            ).fetchall()
        }

    def last_swept_at(self) -> dict[str, dt.datetime]:
        """The cut of the last load that swept an entity; its first load counts as one."""
        return {
            str(entity): swept_at
            for entity, swept_at in self.connection.execute(
                "select entity, coalesce(max(cut_at) filter (where was_swept), min(cut_at)) "
                f"from {self.schema}.load_log where source_key = ? group by entity",
                [self.source_key],
            ).fetchall()
        }

    def rows_held(self, entity: Entity, upper_id: int | None) -> int:
        """Rows of the entity in raw, up to an id."""
        if not self.has(entity.table):
            return 0
        bound = "" if upper_id is None else f"and id <= {int(upper_id)}"
        return self._count(
            f"select count(*) from {self.schema}.{entity.table} "
            f"where source_key = ? and {entity.condition} {bound}",
            self.source_key,
        )

    def rows_not_returned(self, entity: Entity, load_ids: Sequence[str]) -> int:
        """Rows of a dictionary that these packages did not bring any more."""
        marks = ", ".join("?" * len(load_ids))
        return self._count(
            f"select count(*) from {self.schema}.{entity.table} "
            f"where source_key = ? and {entity.condition} and _dlt_load_id not in ({marks})",
            self.source_key,
            *load_ids,
        )

    def rows_deleted(self, entity: Entity, upper_id: int) -> int:
        """Rows in raw that are marked as deleted and were not received again since."""
        return self._count(
            f"select count(*) from {self.schema}.{entity.table} as records "
            f"inner join {self.schema}.deleted_records as deleted using (source_key, id) "
            "where deleted.entity = ? and deleted.noticed_at >= records.received_at "
            f"and records.source_key = ? and records.id <= ? and {entity.condition}",
            entity.name,
            self.source_key,
            upper_id,
        )

    def rows_unreadable(self, entity: Entity, upper_id: int) -> int:
        """Ids that were refused at some load, never came readable since, and are not gone."""
        return self._count(
            f"select count(distinct record_id) from {self.schema}.quarantine as refused "
            "where entity = $entity and source_key = $source_key and record_id <= $upper_id "
            "and not exists ("
            f"    select 1 from {self.schema}.{entity.table} as records "
            f"    where records.source_key = $source_key and {entity.condition} "
            "    and records.id = refused.record_id) "
            "and not exists ("
            f"    select 1 from {self.schema}.deleted_records as deleted "
            "    where deleted.source_key = $source_key and deleted.entity = $entity "
            "    and deleted.id = refused.record_id "
            "    and deleted.noticed_at >= refused.received_at)",
            entity=entity.name,
            source_key=self.source_key,
            upper_id=upper_id,
        )

    def compare(self, entity: Entity, ids: pa.Array, upper_id: int) -> Swept:
        """Compare the ids that the system has now with those that raw holds."""
        self.connection.register("portal_ids", pa.table({"id": ids}))
        try:
            rows = self.connection.execute(
                f"""
                with records as (
                    select id, received_at from {self.schema}.{entity.table}
                    where source_key = $source_key and id <= $upper_id and {entity.condition}
                ),
                refused as (
                    select record_id as id, max(received_at) as received_at
                    from {self.schema}.quarantine
                    where source_key = $source_key and entity = $entity
                        and record_id <= $upper_id
                    group by record_id
                ),
                deleted as (
                    select id, noticed_at from {self.schema}.deleted_records
                    where source_key = $source_key and entity = $entity
                ),
                known as (
                    select
                        coalesce(records.id, refused.id) as id,
                        records.id is not null as is_readable,
                        coalesce(
                            deleted.noticed_at
                            >= greatest(records.received_at, refused.received_at),
                            false
                        ) as is_deleted
                    from records
                    full outer join refused on records.id = refused.id
                    left join deleted on coalesce(records.id, refused.id) = deleted.id
                ),
                portal as (
                    select distinct id from portal_ids where id is not null and id <= $upper_id
                )
                select
                    coalesce(portal.id, known.id) as id,
                    portal.id is not null as is_in_portal,
                    coalesce(known.is_readable and not known.is_deleted, false) as is_held,
                    coalesce(known.is_deleted, false) as is_deleted
                from portal
                full outer join known on portal.id = known.id
                where portal.id is null
                    or known.id is null
                    or known.is_deleted
                    or not known.is_readable
                """,
                {
                    "source_key": self.source_key,
                    "entity": entity.name,
                    "upper_id": upper_id,
                },
            ).fetchall()
        finally:
            self.connection.unregister("portal_ids")
        held = self.rows_held(entity, upper_id) - self.rows_deleted(entity, upper_id)
        return Swept(
            missing=[row[0] for row in rows if row[1] and not row[2]],
            gone=[row[0] for row in rows if not row[1] and not row[3]],
            held=held,
            unreadable=ids.null_count,
        )

    def mark_deleted(self, entity: Entity, ids: Sequence[int], noticed_at: dt.datetime) -> None:
        """Mark records as gone; never before they were received."""
        gone = pa.table({"id": pa.array(ids, pa.int64())})
        self.connection.register("gone_ids", gone)
        try:
            self.connection.execute(
                f"delete from {self.schema}.deleted_records where source_key = ? and entity = ? "
                "and id in (select id from gone_ids)",
                [self.source_key, entity.name],
            )
            self.connection.execute(
                f"""
                insert into {self.schema}.deleted_records by name
                select
                    $source_key as source_key,
                    $entity as entity,
                    gone_ids.id,
                    greatest($noticed_at, max(received.received_at)) as noticed_at
                from gone_ids
                left join (
                    select id, received_at from {self.schema}.{entity.table}
                    where source_key = $source_key and {entity.condition}
                    union all
                    select record_id, received_at from {self.schema}.quarantine
                    where source_key = $source_key and entity = $entity
                ) as received on gone_ids.id = received.id
                group by gone_ids.id
                """,
                {
                    "source_key": self.source_key,
                    "entity": entity.name,
                    "noticed_at": noticed_at.astimezone(dt.UTC),
                },
            )
        finally:
            self.connection.unregister("gone_ids")

    def write_log(self, cut_at: dt.datetime, loads: Iterable[EntityLoad]) -> None:
        """Write the reconciliation of a load, replacing one of the same cut."""
        at = cut_at.astimezone(dt.UTC)
        self.connection.execute(
            f"delete from {self.schema}.load_log where source_key = ? and cut_at = ?",
            [self.source_key, at],
        )
        names = ", ".join(_LOG_COLUMNS)
        marks = ", ".join("?" * len(_LOG_COLUMNS))
        for load in loads:
            self.connection.execute(
                f"insert into {self.schema}.load_log ({names}) values ({marks})",
                [
                    self.source_key,
                    load.entity,
                    at,
                    load.upper_id,
                    load.rows_reported,
                    load.rows_received,
                    load.rows_quarantined,
                    load.rows_raw,
                    load.rows_deleted,
                    load.rows_fewer,
                    load.owners_pending,
                    load.owners_inferred,
                    load.was_swept,
                    load.complete_up_to,
                    load.problem,
                ],
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.connection.execute("begin")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def _count(self, sql: str, *bound: str | int, **named: str | int) -> int:
        found = self.connection.execute(sql, named or list(bound)).fetchone()
        return int(found[0]) if found else 0


@contextlib.contextmanager
def open_books(pipeline: dlt.Pipeline, source_key: str) -> Iterator[Books]:
    """The books of one connection, in the pipeline's own warehouse."""
    with pipeline.sql_client() as client:
        connection = client.native_connection
        connection.execute("set TimeZone = 'UTC'")
        yield Books(connection, pipeline.dataset_name, source_key)
