"""Loading one connection: what is pending first, then the new rows, then the proof that all came.

One dlt pipeline per connection, its state under the company's data, never in HOME: shared state
silently drops rows of the second company or connection.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.destinations import duckdb as duckdb_destination
from dlt.pipeline.exceptions import PipelineStepFailed

from sources.company import Company, company
from sources.connection import Connector, Cut, Reported, Tally
from sources.errors import CallfunnelError, SourceError

LOSS_THRESHOLD_SHARE = 0.05
LOSS_THRESHOLD_ROWS = 20
"""More rows gone at once than both of these look like a limited webhook, not like deletions."""

logger = logging.getLogger("callfunnel.load")
# Said for every chunk: the declared JSON columns arrive as Arrow strings, as intended.
logging.getLogger("dlt").addFilter(
    lambda record: "several column hints were different" not in record.getMessage()
)

_INSTANT = pa.timestamp("us", tz="UTC")
LOAD_LOG_SCHEMA = pa.schema(
    [
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("entity", pa.string(), nullable=False),
        pa.field("cut_at", _INSTANT, nullable=False),
        pa.field("upper_id", pa.int64()),
        pa.field("rows_reported", pa.int64()),
        pa.field("rows_received", pa.int64()),
        pa.field("rows_quarantined", pa.int64()),
        pa.field("rows_raw", pa.int64()),
        pa.field("rows_deleted", pa.int64()),
    ]
)
DELETED_SCHEMA = pa.schema(
    [
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("entity", pa.string(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("noticed_at", _INSTANT, nullable=False),
    ]
)


@dataclass(frozen=True)
class EntityLoad:
    """The reconciliation row of one entity (Q5); counts of rows.

    `rows_raw` and `rows_deleted` are compared with `rows_reported` up to `upper_id`:
    reported = raw − deleted + quarantined, or the load has lost something.
    """

    entity: str
    upper_id: int | None
    rows_reported: int | None
    rows_received: int
    rows_quarantined: int
    rows_raw: int
    rows_deleted: int

    @property
    def unexplained(self) -> int:
        """Rows the portal reports and raw does not hold (negative: the other way round)."""
        if self.rows_reported is None:
            return 0
        return self.rows_reported - (self.rows_raw - self.rows_deleted) - self.rows_quarantined


@dataclass(frozen=True)
class ConnectionLoad:
    """What one load of one connection did."""

    source_key: str
    cut_at: dt.datetime
    entities: tuple[EntityLoad, ...]


def make_pipeline(
    system: str, connection: str, *, warehouse: Path, pipelines_dir: Path
) -> dlt.Pipeline:
    """The pipeline of one connection: `<system>__<connection>` into `raw_<system>`.

    The company's rules go the same way, as system `company`, connection `rules`.
    """
    pipelines_dir.mkdir(parents=True, exist_ok=True)
    pipeline: dlt.Pipeline = dlt.pipeline(
        pipeline_name=f"{system}__{connection}",
        pipelines_dir=str(pipelines_dir),
        destination=duckdb_destination(str(warehouse)),
        dataset_name=f"raw_{system}",
    )
    return pipeline


def load_connection(
    pipeline: dlt.Pipeline,
    connector: Connector,
    loss_threshold_share: float = LOSS_THRESHOLD_SHARE,
) -> ConnectionLoad:
    """Load one connection and prove that nothing is missing.

    Finishes a package that an earlier run left behind, extracts what is new up to the cut, and
    compares raw with the system's counts. Where they differ, the entity is read once more as a
    whole; rows the system no longer returns are then marked as deleted, never removed.

    Args:
        pipeline: made by `make_pipeline`.
        connector: the account to read.
        loss_threshold_share: the share of an entity's rows that may be gone at once.

    Returns:
        One reconciliation row per entity; also written to `raw_<system>.load_log`, last, so that
        a load without it counts as incomplete.

    Raises:
        SourceError: the system can't be read, or so many rows are gone that a limited
            access is likelier than deletions.
    """
    finish_pending(pipeline)
    cut = _up_to_known_ids(pipeline, connector, connector.cut())
    logger.info("%s: loading up to %s", connector.source_key, cut.at.isoformat(timespec="seconds"))
    tally = Tally()
    load_ids = _load_ids(_run(pipeline, connector.source(cut, tally)))
    loads = list(_reconcile(pipeline, connector, cut, tally, load_ids))
    differing = tuple(load.entity for load in loads if load.unexplained)
    if differing:
        logger.info("counts differ, reading again: %s", ", ".join(differing))
        again = Tally()
        load_ids = _load_ids(_run(pipeline, connector.source(cut, again, reread=differing)))
        _mark_deleted(pipeline, connector, cut, differing, load_ids, loss_threshold_share)
        # Rows may have been deleted while we were reading: count once more, up to the same ids.
        cut = connector.recount(cut, differing)
        for entity in differing:
            tally.received[entity] = again.received.get(entity, 0)
        loads = list(_reconcile(pipeline, connector, cut, tally, load_ids))
    else:
        # The table exists in every company, also where nothing was ever deleted.
        _write_deleted(pipeline, [])
    _write(
        pipeline, "load_log", ("source_key", "entity", "cut_at"), _log_table(connector, cut, loads)
    )
    return ConnectionLoad(connector.source_key, cut.at, tuple(loads))


def load_rules(pipeline: dlt.Pipeline, rules: Company, portal_urls: Mapping[str, str]) -> None:
    """Load the company's rules into `raw_company`, whole."""
    finish_pending(pipeline)
    _run(pipeline, company(rules, portal_urls))


def finish_pending(pipeline: dlt.Pipeline) -> None:
    """Load what a killed run had extracted: dlt's next run would load it and extract nothing."""
    if not pipeline.has_pending_data:
        return
    logger.info("%s: finishing the package of an interrupted run", pipeline.pipeline_name)
    try:
        pipeline.normalize()
        pipeline.load()
    except PipelineStepFailed as failed:
        problem = str(failed.exception)
    else:
        return
    raise SourceError(
        f"The interrupted load of {pipeline.pipeline_name} can't be finished: {problem}"
    )


def _run(pipeline: dlt.Pipeline, source: Any) -> Any:
    cause: BaseException | None = None
    try:
        return pipeline.run(source)
    except PipelineStepFailed as failed:
        cause = failed
        while cause is not None and not isinstance(cause, CallfunnelError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
    # The portal's sentence alone: dlt's wrapping hides it behind its own traceback.
    raise type(cause)(str(cause))


def _up_to_known_ids(pipeline: dlt.Pipeline, connector: Connector, cut: Cut) -> Cut:
    """The cut with upper ids that reach at least as far as the last load's.

    When the newest record is deleted, the system's highest id sinks below one that raw holds.
    """
    is_first = pipeline.default_schema_name is None
    if is_first or "load_log" not in pipeline.default_schema.tables:
        return cut
    with pipeline.sql_client() as client:
        name = client.make_qualified_table_name("load_log")
        known = client.execute_sql(
            f"select entity, max(upper_id) from {name} where source_key = %s "
            "and upper_id is not null group by entity",
            connector.source_key,
        )
    reported = dict(cut.reported)
    for entity, upper in known or []:
        found = reported.get(entity)
        if found is not None and found.upper_id is not None:
            reported[entity] = Reported(found.rows, max(found.upper_id, int(upper)))
    return Cut(cut.at, reported)


def _load_ids(info: Any) -> list[str]:
    return [str(load_id) for load_id in info.loads_ids]


def _marks(values: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))


def _reconcile(
    pipeline: dlt.Pipeline,
    connector: Connector,
    cut: Cut,
    tally: Tally,
    load_ids: Sequence[str],
) -> Iterator[EntityLoad]:
    with pipeline.sql_client() as client:
        deleted_name = client.make_qualified_table_name("deleted_records")
        quarantine_name = client.make_qualified_table_name("quarantine")
        has_deleted = "deleted_records" in pipeline.default_schema.tables

        def count(sql: str, *bound: str | int) -> int:
            found = client.execute_sql(sql, *bound)
            return int(found[0][0]) if found else 0

        for entity in connector.entities:
            name = client.make_qualified_table_name(entity)
            reported = cut.reported.get(entity)
            upper = reported.upper_id if reported else None
            condition = "source_key = %s"
            bound: list[str | int] = [connector.source_key]
            if upper is not None:
                condition, bound = condition + " and id <= %s", [*bound, upper]
            deleted = quarantined = 0
            if upper is not None:
                # Waiting: refused at some load and never received readable since, nor gone. Rows
                # whose very id can't be read count where this load has received them.
                gone = (
                    f"and not exists (select 1 from {deleted_name} as deleted "
                    "where deleted.source_key = refused.source_key "
                    "and deleted.entity = refused.entity and deleted.id = refused.record_id "
                    "and deleted.noticed_at >= refused.received_at)"
                )
                quarantined = count(
                    f"select count(distinct record_id) from {quarantine_name} as refused "
                    "where entity = %s and source_key = %s and record_id <= %s "
                    f"and record_id not in (select id from {name} where {condition}) "
                    f"{gone if has_deleted else ''}",
                    entity,
                    connector.source_key,
                    upper,
                    *bound,
                ) + count(
                    f"select count(distinct payload_hash) from {quarantine_name} "
                    "where entity = %s and source_key = %s and record_id is null "
                    f"and _dlt_load_id in ({_marks(load_ids)})",
                    entity,
                    connector.source_key,
                    *load_ids,
                )
            if upper is not None and has_deleted:
                deleted = count(
                    f"select count(*) from {name} as records join {deleted_name} as deleted "
                    "using (source_key, id) where deleted.entity = %s "
                    f"and deleted.noticed_at >= records.received_at and {condition}",
                    entity,
                    *bound,
                )
            yield EntityLoad(
                entity=entity,
                upper_id=upper,
                rows_reported=reported.rows if reported else None,
                rows_received=tally.received.get(entity, 0),
                rows_quarantined=quarantined
                if upper is not None
                else tally.quarantined.get(entity, 0),
                rows_raw=count(f"select count(*) from {name} where {condition}", *bound),
                rows_deleted=deleted,
            )


def _mark_deleted(
    pipeline: dlt.Pipeline,
    connector: Connector,
    cut: Cut,
    entities: Iterable[str],
    load_ids: Sequence[str],
    loss_threshold_share: float,
) -> None:
    """Mark rows that a whole re-read (`load_ids`) did not return any more.

    A row that came back unreadable came back: it is in the quarantine of this load.
    """
    marks: list[dict[str, Any]] = []
    with pipeline.sql_client() as client:
        quarantine_name = client.make_qualified_table_name("quarantine")
        for entity in entities:
            reported = cut.reported[entity]
            name = client.make_qualified_table_name(entity)
            rows = client.execute_sql(
                "select id, bool_or(is_returned) from ("
                f"select id, _dlt_load_id in ({_marks(load_ids)}) as is_returned from {name} "
                "where source_key = %s and id <= %s union all "
                f"select record_id, _dlt_load_id in ({_marks(load_ids)}) from {quarantine_name} "
                "where source_key = %s and record_id <= %s and entity = %s) group by id",
                *load_ids,
                connector.source_key,
                reported.upper_id,
                *load_ids,
                connector.source_key,
                reported.upper_id,
                entity,
            )
            held = rows or []
            gone = [record_id for record_id, was_returned in held if not was_returned]
            if len(gone) > max(LOSS_THRESHOLD_ROWS, loss_threshold_share * len(held)):
                raise SourceError(
                    f"{connector.source_key} returned {len(held) - len(gone):,} of {len(held):,} "
                    f"known {entity}: nothing was marked as deleted. Check that the access still "
                    "sees everything (an administrator's webhook); if the deletions are meant, "
                    "raise loss_threshold_share of the connection in company.toml for one run."
                )
            marks += [
                {
                    "source_key": connector.source_key,
                    "entity": entity,
                    "id": record_id,
                    "noticed_at": cut.at.astimezone(dt.UTC),
                }
                for record_id in gone
            ]
    _write_deleted(pipeline, marks)


def _write_deleted(pipeline: dlt.Pipeline, marks: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(marks, schema=DELETED_SCHEMA)
    _write(pipeline, "deleted_records", ("source_key", "entity", "id"), table)


def _log_table(connector: Connector, cut: Cut, loads: Iterable[EntityLoad]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "source_key": connector.source_key,
                "entity": load.entity,
                "cut_at": cut.at.astimezone(dt.UTC),
                "upper_id": load.upper_id,
                "rows_reported": load.rows_reported,
                "rows_received": load.rows_received,
                "rows_quarantined": load.rows_quarantined,
                "rows_raw": load.rows_raw,
                "rows_deleted": load.rows_deleted,
            }
            for load in loads
        ],
        schema=LOAD_LOG_SCHEMA,
    )


def _write(
    pipeline: dlt.Pipeline, name: str, primary_key: tuple[str, ...], table: pa.Table
) -> None:
    pipeline.run(
        dlt.resource(
            [table],
            name=name,
            primary_key=list(primary_key),
            write_disposition={"disposition": "merge", "strategy": "upsert"},
            file_format="parquet",
        )
    )
