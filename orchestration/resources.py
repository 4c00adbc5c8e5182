"""Dagster resources: the company's lock. No resource keeps a DuckDB connection open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from dagster import ConfigurableResource, Failure, InitResourceContext

from orchestration.lock import WarehouseLocked, warehouse_lock
from orchestration.settings import Settings
from orchestration.warehouse_version import WarehouseTooNew, claim_warehouse


class Warehouse(ConfigurableResource[Any]):
    """The company's warehouse file, locked for one writer as long as the resource lives.

    With the in-process executor that is the whole run.
    """

    path: str
    lock_file: str
    temp_dir: str
    memory_limit: str
    lock_timeout_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Warehouse:
        """The warehouse of the settings' company."""
        return cls(
            path=str(settings.warehouse),
            lock_file=str(settings.lock_file),
            temp_dir=str(settings.temp_dir),
            memory_limit=settings.memory_limit,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        )

    @contextlib.contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Warehouse]:
        """Hold the lock for the run."""
        run = context.run
        holder = f"{run.job_name}, run {run.run_id[:8]}" if run else "Dagster"
        try:
            with warehouse_lock(Path(self.lock_file), holder, self.lock_timeout_seconds):
                claim_warehouse(Path(self.path))
                yield self
        except (WarehouseLocked, WarehouseTooNew) as refused:
            raise Failure(str(refused), allow_retries=False) from None

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for the length of a block; dbt needs the file for itself otherwise."""
        with duckdb.connect(self.path) as connection:
            connection.execute(f"set memory_limit = '{self.memory_limit}'")
            connection.execute(f"set temp_directory = '{self.temp_dir}'")
            connection.execute("set TimeZone = 'UTC'")
            yield connection
