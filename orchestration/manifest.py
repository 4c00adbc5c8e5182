"""dbt's manifest: Dagster's assets are made from it, so it must exist and be fresh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from orchestration.settings import PROJECT_DIR, Settings
from sources.errors import CallfunnelError

_WATCHED = ("models", "transform", "expectations/sql")
_FILES = ("dbt_project.yml", "profiles.yml")


def dbt_executable() -> Path:
    """Dbt of the environment this process runs in."""
    return Path(sys.executable).parent / "dbt"


def manifest_path(settings: Settings) -> Path:
    """The company's manifest.json, parsed anew when a model or macro has changed since.

    Raises:
        CallfunnelError: the dbt project does not parse; dbt's own words follow.
    """
    path = settings.dbt_target_dir / "manifest.json"
    newest = max((source.stat().st_mtime for source in _sources()), default=0.0)
    if path.exists() and path.stat().st_mtime >= newest:
        return path
    settings.make_folders()
    finished = subprocess.run(
        [str(dbt_executable()), "--quiet", "parse"],
        cwd=PROJECT_DIR,
        env={**os.environ, **settings.dbt_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0 or not path.exists():
        raise CallfunnelError(f"The dbt project does not parse:\n{finished.stdout.strip()}")
    return path


def read_manifest(settings: Settings) -> Mapping[str, Any]:
    """The manifest as a map."""
    parsed: Mapping[str, Any] = json.loads(manifest_path(settings).read_text(encoding="utf-8"))
    return parsed


def mf_executable() -> Path:
    """MetricFlow's command line of the environment this process runs in."""
    return Path(sys.executable).parent / "mf"


def keep_semantic_manifest(settings: Settings) -> None:
    """Put the semantic layer where `mf` looks for it: target/ of the checkout, in any company.

    It holds no data and no path of a company, so one serves all of them.
    """
    parsed = settings.dbt_target_dir / "semantic_manifest.json"
    if not parsed.exists():
        return
    kept = PROJECT_DIR / "target" / "semantic_manifest.json"
    kept.parent.mkdir(exist_ok=True)
    # Two companies may be built at once.
    copied = kept.with_name(f"semantic_manifest.{os.getpid()}.new")
    shutil.copyfile(parsed, copied)
    copied.replace(kept)


def keep_manifest(settings: Settings) -> None:
    """Keep the manifest of a build that was complete: `--state` then tells what has changed since.

    Which models a build makes whole does not depend on it: fingerprints in the warehouse decide
    (transform/macros/affected_keys), so that another warehouse can't be taken for the last one.
    """
    built = settings.dbt_target_dir / "manifest.json"
    if not built.exists() or not _is_complete(settings):
        return
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    kept = settings.state_dir / "manifest.json"
    copied = kept.with_suffix(".new")
    shutil.copyfile(built, copied)
    copied.replace(kept)


def _is_complete(settings: Settings) -> bool:
    with duckdb.connect(str(settings.warehouse)) as connection:
        tables = connection.execute(
            "select 1 from duckdb_tables() where schema_name = 'affected' and table_name = 'state'"
        ).fetchall()
        return bool(tables) and bool(connection.execute("from affected.state").fetchall())


def _sources() -> Iterable[Path]:
    for folder in _WATCHED:
        yield from (path for path in (PROJECT_DIR / folder).rglob("*") if path.is_file())
    yield from (PROJECT_DIR / name for name in _FILES)
