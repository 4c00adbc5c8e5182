"""The dlt pipeline of one connection: made, brought to its end after a death, run.

One pipeline per connection, its state under the company's data, never in HOME: shared state
silently drops rows of the second company or connection.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.common.storages.load_package import PackageStorage
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.pipeline.exceptions import PipelineStepFailed

from sources.connection import raw_schema
from sources.errors import CallfunnelError, SourceError
from sources.warehouse import Warehouse

MEMORY_LIMIT = "200MB"
"""DuckDB's while dlt merges; what does not fit goes to its temporary files."""

logger = logging.getLogger("callfunnel.load")
# Said for every chunk: the declared JSON columns arrive as Arrow strings, as intended.
logging.getLogger("dlt").addFilter(
    lambda record: "several column hints were different" not in record.getMessage()
)


def make_pipeline(
    system: str, connection: str, *, warehouse: Path, pipelines_dir: Path
) -> dlt.Pipeline:
    """The pipeline of one connection: `<system>__<connection>` into the system's raw schema.

    The company's rules go the same way, as system `company`, connection `rules`.
    """
    pipelines_dir.mkdir(parents=True, exist_ok=True)
    credentials = DuckDbCredentials(str(warehouse))
    credentials.pragmas = [f"memory_limit='{MEMORY_LIMIT}'", "preserve_insertion_order=false"]
    pipeline: dlt.Pipeline = dlt.pipeline(
        pipeline_name=f"{system}__{connection}",
        pipelines_dir=str(pipelines_dir),
        destination=Warehouse(credentials),
        dataset_name=raw_schema(system),
    )
    return pipeline


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Have cycles looked for seldom: rows have none, and are many new objects.

    Extracting 50,000 leads took 5.5 CPU s with Python's own thresholds, 3.3 with these.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def run(pipeline: dlt.Pipeline, source: Any) -> Any:
    """Extract and load a source.

    Raises:
        CallfunnelError: the source's own error, without dlt's wrapping.
    """
    cause: BaseException | None = None
    try:
        with _seldom_collected():
            return pipeline.run(source)
    except PipelineStepFailed as failed:
        cause = failed
        while cause is not None and not isinstance(cause, CallfunnelError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
    # The portal's sentence alone: dlt's wrapping hides it behind its own traceback.
    raise type(cause)(str(cause))


def finish_pending(pipeline: dlt.Pipeline) -> None:
    """Load what a killed run had extracted: dlt's next run would load it and extract nothing."""
    if not pipeline.has_pending_data:
        return
    logger.info("%s: finishing the package of an interrupted run", pipeline.pipeline_name)
    try:
        pipeline.normalize()
        _empty_replaced_tables(pipeline)
        pipeline.load()
    except PipelineStepFailed as failed:
        problem = str(failed.exception)
    else:
        return
    raise SourceError(
        f"The interrupted load of {pipeline.pipeline_name} can't be finished: {problem}"
    )


def _empty_replaced_tables(pipeline: dlt.Pipeline) -> None:
    """Take back what a killed run has loaded into tables that a package replaces whole.

    dlt repeats the jobs that were under way without emptying these tables again. Where rows
    replace those of the same key, a job may be repeated.
    """
    tables = pipeline.default_schema.tables
    for load_id in pipeline.list_normalized_load_packages():
        jobs = pipeline.get_load_package_info(load_id).jobs
        begun = [
            job
            for job in (*jobs["started_jobs"], *jobs["completed_jobs"])
            if tables[job.job_file_info.table_name].get("write_disposition") == "replace"
        ]
        # In this order: a run that is killed here begins here again.
        with pipeline.sql_client() as client:
            for table in {job.job_file_info.table_name for job in begun}:
                client.execute_sql(f"delete from {client.make_qualified_table_name(table)}")
        for path in (Path(job.file_path) for job in begun):
            package = path.parents[1]
            transition = package / PackageStorage.PENDING_TRANSITIONS_FOLDER / path.name
            transition.unlink(missing_ok=True)
            path.rename(package / PackageStorage.NEW_JOBS_FOLDER / path.name)


def forget_lost_warehouse(pipeline: dlt.Pipeline) -> None:
    """Drop cursors of a warehouse that is gone: with them the next load would read increments.

    dlt writes its state into the warehouse in the package of the rows that it describes, so local
    state without a row there belongs to another file, or to a package that was never loaded.
    """
    if pipeline.default_schema_name is None and not pipeline.has_pending_data:
        return
    with pipeline.sql_client() as client:
        connection = client.native_connection
        known = connection.execute(
            "select count(*) from information_schema.tables "
            "where table_schema = ? and table_name = '_dlt_pipeline_state'",
            [pipeline.dataset_name],
        ).fetchone()
        if known and known[0]:
            known = connection.execute(
                f"select count(*) from {pipeline.dataset_name}._dlt_pipeline_state "
                "where pipeline_name = ?",
                [pipeline.pipeline_name],
            ).fetchone()
    if not (known and known[0]):
        logger.warning(
            "%s: the warehouse does not know what was loaded so far; reading everything anew",
            pipeline.pipeline_name,
        )
        pipeline.drop()
