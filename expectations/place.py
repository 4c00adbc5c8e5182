"""Where the company's files stand, told by the warehouse that a connection has open.

Whoever comes first judges a build: Dagster's checks, the gate, the summary or a test. All of them
hold a connection, and must come to the same verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from sources.errors import CallfunnelError


class NoManifest(CallfunnelError):
    """Nobody can say what the published tables promise."""


@dataclass(frozen=True)
class Place:
    """The folder `data/<company>/`."""

    folder: Path

    @property
    def data_docs(self) -> Path:
        """What Great Expectations says, as pages."""
        return self.folder / "quality"

    def manifest(self) -> Mapping[str, Any]:
        """Dbt's manifest, which the build has left.

        Raises:
            NoManifest: it is not there.
        """
        path = self.folder / "dbt" / "manifest.json"
        try:
            read: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NoManifest(f"{path} is missing: materialise the models again.") from None
        return read


def place_of(connection: duckdb.DuckDBPyConnection) -> Place:
    """The company's folder: that of the warehouse file."""
    row = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    assert row is not None
    return Place(Path(row[0]).parent)
