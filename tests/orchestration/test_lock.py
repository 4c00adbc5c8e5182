"""One writer per warehouse; the refused one is told who holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from orchestration.lock import WarehouseLocked, warehouse_lock
from orchestration.settings import PROJECT_DIR

_HOLDER = """
    import sys, time
    from pathlib import Path
    from orchestration.lock import warehouse_lock
    with warehouse_lock(Path(sys.argv[1]), "make dbt"):
        print("held", flush=True)
        time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_HOLDER), str(path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_error_names_the_holder_and_the_company(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "warehouse.lock"
    holder = hold(path)
    try:
        with (
            pytest.raises(WarehouseLocked) as refused,
            warehouse_lock(path, "daily_refresh", timeout_seconds=0),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert "company 'acme' is being written by make dbt" in str(refused.value)
    assert f"process {holder.pid}" in str(refused.value)


def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "warehouse.lock"
    holder = hold(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with warehouse_lock(path, "next", timeout_seconds=5):
        pass


def test_a_writer_waits_for_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "warehouse.lock"
    holder = hold(path)
    started = time.monotonic()
    with (
        pytest.raises(WarehouseLocked),
        warehouse_lock(path, "second", timeout_seconds=0.5),
    ):
        pass
    assert time.monotonic() - started >= 0.5
    holder.kill()
    holder.wait()
    with warehouse_lock(path, "third", timeout_seconds=5):
        pass


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "warehouse.lock"
    with pytest.raises(KeyError), warehouse_lock(path, "first"):
        raise KeyError
    with warehouse_lock(path, "second", timeout_seconds=0):
        pass
    assert not path.with_name("warehouse.lock.holder").exists()
