"""A folder with a warehouse, and loads into it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

import sources.bitrix24.connector as connector_module
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.details import DETAILS
from sources.bitrix24.oauth import OAuth
from sources.connection import Cut, Request, Tally
from sources.loading import ConnectionLoad, LoadOptions, load_connection
from sources.pipelines import make_pipeline
from tests.support.faults.entities import SMART_PROCESS

SCHEMA = "raw_bitrix24"


class _Narrow(Bitrix24Connector):
    """A connector of some entities; `DETAILS` and the dictionaries are narrowed beside it."""

    def __init__(self, client: Bitrix24Client, only: Collection[str]) -> None:
        super().__init__(client, "main", (SMART_PROCESS,))
        self._only = frozenset(only)
        self.lists = {name: found for name, found in self.lists.items() if name in only}

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> Any:  # noqa: B008
        if request == Request():
            request = Request(only=self._only)
        return super().source(cut, tally, request)


@dataclass
class Desk:
    """A folder with a warehouse, its pipeline's state and its archive."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def load(self, access: str | OAuth, only: Collection[str] = ()) -> ConnectionLoad:
        """One load without a brake of our own.

        Args:
            access: the portal's webhook address, or its application.
            only: read these entities alone, which takes a third of the time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        client = Bitrix24Client(access, "main", requests_per_second=0)
        pipeline = make_pipeline(
            "bitrix24",
            "main",
            warehouse=self.warehouse,
            pipelines_dir=self.folder / "pipelines",
        )
        options = LoadOptions(archive_dir=self.archive)
        if not only:
            connector = Bitrix24Connector(client, "main", (SMART_PROCESS,))
            return load_connection(pipeline, connector, options)
        details = tuple(found for found in DETAILS if found.name in only)
        dictionaries = tuple(name for name in connector_module._DICTIONARIES if name in only)
        with (
            mock.patch.object(connector_module, "DETAILS", details),
            mock.patch.object(connector_module, "_DICTIONARIES", dictionaries),
        ):
            return load_connection(pipeline, _Narrow(client, only), options)

    def copy(self, folder: Path) -> Desk:
        """Everything, elsewhere."""
        shutil.copytree(self.folder, folder)
        return Desk(folder)

    @contextlib.contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, in UTC."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
