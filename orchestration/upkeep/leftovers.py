"""What runs leave in a company's folder: old results of tools, remains of killed runs."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from expectations.data_docs import forget_old_builds
from orchestration.settings import Settings

_OF_KILLED_RUNS = (
    "tmp/*",
    ".restore-*",
    "*.part",
    "*.part-*",
    "warehouse.duckdb.restoring*",
    "warehouse.duckdb.compacting*",
    "state/*.new",
    "archive/*/*/*/.*.tmp",
)
"""Written aside and renamed when whole, or of no use once its process has ended."""


def forget_old_results(settings: Settings, before: dt.datetime) -> dict[str, int]:
    """Remove results of dbt, dlt and Great Expectations that nothing reads any more.

    Of dbt the logs, and the SQL of models and tests that no build has written since; of dlt the
    notes of packages that are loaded (their rows are gone already), but the newest of each
    connection; of Great Expectations builds beyond its bound. Packages that wait are left alone.

    Args:
        settings: of the company; call under its lock.
        before: what is newer stays.

    Returns:
        How many files or folders went, by what they were.
    """
    return {
        "dbt files": _remove_all(_old_dbt_files(settings.dbt_target_dir, before)),
        "dlt packages": _remove_all(_old_packages(settings.pipelines_dir, before)),
        "pages of builds": forget_old_builds(settings.data_dir / "quality"),
    }


def remove_remains(settings: Settings) -> int:
    """Remove what killed runs have left; call under the lock, where no other run can own it.

    Returns:
        How many files or folders went.
    """
    return _remove_all(
        path for pattern in _OF_KILLED_RUNS for path in settings.data_dir.glob(pattern)
    )


def _old_dbt_files(target: Path, before: dt.datetime) -> Iterator[Path]:
    places = (target.glob("dbt.log.*"), target.glob("compiled/**/*"), target.glob("run/**/*"))
    for place in places:
        yield from (path for path in place if path.is_file() and _is_older(path, before))


def _old_packages(pipelines: Path, before: dt.datetime) -> Iterator[Path]:
    for loaded in pipelines.glob("*/load/loaded"):
        packages = sorted((path for path in loaded.iterdir() if path.is_dir()), key=_modified)
        yield from (path for path in packages[:-1] if _is_older(path, before))


def _is_older(path: Path, before: dt.datetime) -> bool:
    return _modified(path) < before.timestamp()


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _remove_all(paths: Iterable[Path]) -> int:
    found = list(paths)
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(found)
