"""One writer per warehouse: a lock file whose error names the holder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from sources.errors import CallfunnelError


class WarehouseLocked(CallfunnelError):
    """Somebody else is writing the warehouse; the message names them."""


@contextlib.contextmanager
def warehouse_lock(path: Path, holder: str, timeout_seconds: float = 10.0) -> Iterator[None]:
    """Hold the company's lock file while the block runs.

    The operating system frees the lock when its process dies, so a killed run leaves none behind.

    Args:
        path: `data/<company>/warehouse.lock`; the holder's name stands in `<path>.holder`.
        holder: who asks, for the message others get, e.g. "daily_refresh, run 1a2b3c4d".
        timeout_seconds: how long to wait for another writer.

    Raises:
        WarehouseLocked: another process holds the lock for longer than that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    note = path.with_name(path.name + ".holder")
    lock = FileLock(path, timeout=timeout_seconds)
    held_by: str | None = None
    try:
        lock.acquire()
    except Timeout:
        held_by = _holder(note)
    if held_by is not None:
        raise WarehouseLocked(
            f"The warehouse of company '{path.parent.name}' is being written by {held_by}. "
            "Wait until that has ended, or stop it, then try again."
        )
    try:
        note.write_text(
            json.dumps({"holder": holder, "pid": os.getpid(), "since": time.strftime("%H:%M:%S")})
        )
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        held = json.loads(note.read_text())
        return f"{held['holder']} (process {held['pid']}, since {held['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
