"""How much disk a company's folder takes, and how much is free."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestration.settings import Settings

_PARTS = ("archive", "published", "quality", "dbt", "dlt", "state", "tmp")


def sizes(settings: Settings, dagster_storage: Path | None = None) -> Mapping[str, int]:
    """Bytes by part of `data/<company>/`, and of Dagster's own folder, which companies share."""
    measured = {"warehouse": _size(settings.warehouse)}
    measured |= {part: _size(settings.data_dir / part) for part in _PARTS}
    measured["set aside by restores"] = sum(
        _size(path) for path in settings.data_dir.glob("warehouse.duckdb.replaced*")
    )
    measured["other"] = _size(settings.data_dir) - sum(measured.values())
    if dagster_storage is not None:
        measured["dagster"] = _size(dagster_storage)
    return measured


def free_bytes(settings: Settings) -> int:
    """Free on the disk of the company's folder."""
    return shutil.disk_usage(settings.data_dir).free


def _size(path: Path) -> int:
    if not path.is_dir():
        return _bytes_of(path)
    # A link's target is counted where it lies.
    return sum(
        _bytes_of(Path(folder) / name) for folder, _, names in os.walk(path) for name in names
    )


def _bytes_of(path: Path) -> int:
    """0 where a run that is going on has removed it."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
