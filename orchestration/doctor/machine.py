"""This machine: versions, disk, folders, the lock, the warehouse file."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import duckdb

from orchestration.doctor.findings import Finding
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warehouse_version import WAREHOUSE_VERSION

PYTHONS = ((3, 11), (3, 13))
PACKAGES = ("dagster", "dagster-dbt", "dbt-core", "dbt-duckdb", "dlt", "duckdb", "pyarrow")
"""A warehouse or an API depends on their exact version."""
SPARE_BYTES = 2 * 10**9
"""For archive, publications and spill files of a small company."""

_SECRETS = PROJECT_DIR / ".dlt" / "secrets.toml"


def look_at_versions() -> Iterator[Finding]:
    """Python, and the packages whose version matters, beside the lock file."""
    here = sys.version_info[:2]
    shown = f"Python {sys.version.split()[0]}"
    if PYTHONS[0] <= here <= PYTHONS[1]:
        yield Finding("versions", "ok", shown)
    else:
        first, last = (".".join(map(str, one)) for one in PYTHONS)
        remedy = f"callfunnel needs {first} to {last}; name one with make setup PYTHON=python3.12."
        yield Finding("versions", "problem", f"{shown}: {remedy}")
    locked = _locked_versions(PROJECT_DIR / "uv.lock")
    differ = []
    for package in PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "missing"
        if found != locked.get(package):
            differ.append(f"{package} is {found}, locked is {locked.get(package, 'none')}")
    if differ:
        yield Finding("versions", "problem", f"{'; '.join(differ)}. Run make setup.")
    else:
        told = ", ".join(f"{package} {locked[package]}" for package in PACKAGES)
        yield Finding("versions", "ok", f"as locked: {told}")


def _locked_versions(lock: Path) -> dict[str, str]:
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    return {package["name"]: package.get("version", "") for package in packages}


def look_at_data(settings: Settings) -> Iterator[Finding]:
    """The company's folder: who may write and read it, room for it, its lock and its warehouse."""
    yield _folder(settings)
    yield from _modes(settings)
    yield _disk(settings)
    yield _lock(settings)
    yield _warehouse(settings)


def _folder(settings: Settings) -> Finding:
    folder = _existing(settings.data_dir)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "data folder",
            "problem",
            f"{folder} can't be written by this user: give it to the user that runs callfunnel, "
            "or set CALLFUNNEL_DATA_ROOT.",
        )
    return Finding("data folder", "ok", f"{settings.data_dir} can be written")


def _modes(settings: Settings) -> Iterator[Finding]:
    """Personal data are for owner and group, secrets for the owner."""
    tokens = settings.data_dir / "tokens"
    allowed = {settings.data_dir: 0o007, tokens: 0o077, _SECRETS: 0o077}
    allowed |= dict.fromkeys(tokens.glob("*"), 0o077)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in allowed if path.exists()}
    open_ones = {path: mode for path, mode in found.items() if mode & allowed[path]}
    for path, mode in open_ones.items():
        right = f"{0o777 & ~allowed[path]:o}" if path.is_dir() else f"{0o666 & ~allowed[path]:o}"
        yield Finding(
            "file modes",
            "problem",
            f"{path} is open to others (mode {mode:o}): chmod {right} {path}",
        )
    if not open_ones:
        yield Finding("file modes", "ok", "data and secrets are closed to others")


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    size = settings.warehouse.stat().st_size if settings.warehouse.exists() else 0
    shown = f"{_gigabytes(free)} free, the warehouse has {_gigabytes(size)}"
    # A whole build writes every table beside the old one, publishing writes them once more.
    if free < size:
        remedy = "a whole build may not fit. Make room, or move CALLFUNNEL_DATA_ROOT."
        return Finding("disk", "problem", f"{shown}: {remedy}")
    if free < 2 * size + SPARE_BYTES:
        remedy = "twice the warehouse and 2 GB are wanted."
        return Finding("disk", "warning", f"{shown}: {remedy}")
    return Finding("disk", "ok", shown)


def _lock(settings: Settings) -> Finding:
    note = settings.lock_file.with_name(settings.lock_file.name + ".holder")
    try:
        held = json.loads(note.read_text(encoding="utf-8"))
        holder, pid, since = str(held["holder"]), int(held["pid"]), str(held["since"])
    except FileNotFoundError:
        return Finding("lock", "ok", "nobody writes the warehouse")
    except (OSError, ValueError, KeyError, TypeError):
        return Finding("lock", "warning", f"{note} can't be read: it says who holds the lock.")
    told = f"{holder} (process {pid}, since {since})"
    if _is_alive(pid):
        return Finding("lock", "ok", f"{told} writes the warehouse just now")
    return Finding(
        "lock",
        "warning",
        f"{told} was killed while it wrote. The lock is free; run the job again, it goes on where "
        "that one broke off.",
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _warehouse(settings: Settings) -> Finding:
    if not settings.warehouse.exists():
        return Finding("warehouse", "ok", "none yet: the first run makes it")
    try:
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            row = connection.execute(
                "select max(version) from raw_derived.warehouse_version"
            ).fetchone()
    except duckdb.IOException as error:
        if "lock" in str(error).casefold():
            return Finding("warehouse", "ok", "is being written just now: not opened")
        remedy = "update callfunnel, or build another with make restore FORCE=1."
        return Finding("warehouse", "problem", f"can't be opened: {remedy} {error}")
    except duckdb.CatalogException:
        row = None
    written = row[0] if row else None
    if written is not None and written > WAREHOUSE_VERSION:
        return Finding(
            "warehouse",
            "problem",
            f"was written by a newer callfunnel (version {written}, this one knows "
            f"{WAREHOUSE_VERSION}): git pull, make setup.",
        )
    return Finding("warehouse", "ok", f"{settings.warehouse} can be opened")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:,.1f} GB"
