"""How much disk a company's folder takes, and how much is free."""

from __future__ import annotations

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
        return path.stat().st_size if path.exists() else 0
    # A link's target is counted where it lies. Files of a run that is going on may vanish.
    return sum(
        found.lstat().st_size for found in path.rglob("*") if found.is_file() or found.is_symlink()
    )
