"""A folder with a warehouse, and loads into it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from sources.loading import ConnectionLoad, LoadOptions, load_connection
from sources.pipelines import make_pipeline
from tests.support.faults.system import System


@dataclass
class Desk:
    """A folder with a warehouse of one system, its pipeline's state and its archive."""

    system: System
    folder: Path

    @property
    def schema(self) -> str:
        return f"raw_{self.system.name}"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def load(
        self, access: Any, only: Collection[str] = (), *, sweeps: bool = False
    ) -> ConnectionLoad:
        """One load without a brake of our own.

        Args:
            access: the account's address, or its application.
            only: read these entities alone, which takes a third of the time.
            sweeps: compare all ids.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        pipeline = make_pipeline(
            self.system.name,
            "main",
            warehouse=self.warehouse,
            pipelines_dir=self.folder / "pipelines",
        )
        options = LoadOptions(archive_dir=self.archive, sweeps=sweeps)
        with self.system.connector(access, only) as connector:
            return load_connection(pipeline, connector, options)

    def copy(self, folder: Path) -> Desk:
        """Everything, elsewhere."""
        shutil.copytree(self.folder, folder)
        return Desk(self.system, folder)

    @contextlib.contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, in UTC."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
