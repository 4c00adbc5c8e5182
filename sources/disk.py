"""What outlives a power cut: files and names on the disk, and DuckDB's log beside a file."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return when a file is on the disk; of a folder: the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_of(warehouse: Path) -> Path:
    """DuckDB's write-ahead log of a database file, whether or not there is one."""
    return warehouse.with_name(f"{warehouse.name}.wal")
