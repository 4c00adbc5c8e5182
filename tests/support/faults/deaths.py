"""Loads that die by SIGKILL, and what goes on from there."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT_DIR
from tests.support.faults.comparison import assert_same, logged_cuts, rows_of
from tests.support.faults.desk import Desk
from tests.support.faults.portal import CLOCKS, Stage
from tests.support.faults.world import World

DEATHS: Mapping[str, tuple[str, int, str]] = {
    "request 1": ("sources.bitrix24.client:Bitrix24Client._read", 1, "before"),
    "request 2": ("sources.bitrix24.client:Bitrix24Client._read", 2, "after"),
    "request 5": ("sources.bitrix24.client:Bitrix24Client._read", 5, "before"),
    "request 12": ("sources.bitrix24.client:Bitrix24Client._read", 12, "after"),
    "request 20": ("sources.bitrix24.client:Bitrix24Client._read", 20, "before"),
    "request 33": ("sources.bitrix24.client:Bitrix24Client._read", 33, "after"),
    "request 40": ("sources.bitrix24.client:Bitrix24Client._read", 40, "before"),
    "before an extracted package counts": (
        "dlt.extract.extract:Extract.commit_packages",
        1,
        "before",
    ),
    "after an extracted package counts": (
        "dlt.extract.extract:Extract.commit_packages",
        1,
        "after",
    ),
    "before the cursors are saved": ("dlt.pipeline.pipeline:Pipeline._save_state", 1, "before"),
    "after the cursors are saved": ("dlt.pipeline.pipeline:Pipeline._save_state", 2, "after"),
    "after normalizing": ("dlt.normalize.normalize:Normalize.run", 1, "after"),
    "before tables are made": ("dlt.load.load:Load.load_single_package", 1, "before"),
    "between tables": ("dlt.load.load:Load.submit_job", 4, "after"),
    "after the first jobs": ("dlt.load.load:Load.complete_jobs", 1, "after"),
    "between jobs": ("dlt.load.load:Load.complete_jobs", 3, "after"),
    "late between jobs": ("dlt.load.load:Load.complete_jobs", 6, "after"),
    "before a package is complete": ("dlt.load.load:Load.complete_package", 1, "before"),
    "after a package is complete": ("dlt.load.load:Load.complete_package", 1, "after"),
    "before the sweep": ("sources.loading:_sweep", 1, "before"),
    "after the sweep": ("sources.loading:_sweep", 1, "after"),
    "between the packages of details": (
        "sources.bitrix24.connector:Bitrix24Connector.detail_source",
        1,
        "after",
    ),
    "before a package of details is complete": (
        "dlt.load.load:Load.complete_package",
        2,
        "before",
    ),
    "after the details": ("sources.loading:_read_details", 1, "after"),
    "before the books": ("sources.loading:_close", 1, "before"),
    "inside the books after versions": ("sources.loading:_observe", 1, "after"),
    "inside the books before the commit": (
        "sources.bookkeeping:Books.write_log",
        1,
        "after",
    ),
    "between the books and the archive": ("sources.loading:_archive", 1, "before"),
    "amid the archive": ("sources.archive:_copy", 3, "after"),
    "after the archive": ("sources.loading:_archive", 1, "after"),
}
"""Where a load dies: the function, which of its calls, and whether it has done its work."""
_AFTER_THE_BOOKS = ("between the books and the archive", "amid the archive", "after the archive")


def die_and_go_on(world: World, place: str, stage: Stage, folder: Path) -> None:
    """Kill a load, run it again, compare.

    Args:
        world: where a load begins, and what one that lives leaves.
        place: of `DEATHS`.
        stage: which load.
        folder: for its desk.
    """
    desk, portal = world.desk(stage, folder), world.portals[stage]
    kill_a_load(desk, portal.address, *DEATHS[place])
    if place not in _AFTER_THE_BOOKS:
        assert CLOCKS[stage] not in logged_cuts(desk), "a load that died counts"
    load = desk.load(portal.address)
    if place not in _AFTER_THE_BOOKS:
        assert load.problems == world.problems[stage]
    assert_same(rows_of(desk), world.expected(stage))


def kill_a_load(desk: Desk, address: str, place: str, nth: int, when: str) -> None:
    """Load in another process, which dies on the way; fails where it survives."""
    code = (
        "from pathlib import Path; from tests.support.faults.deaths import load_and_die; "
        f"load_and_die(Path({str(desk.folder)!r}), {address!r}, {place!r}, {nth}, {when!r})"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr[-2000:] or "it survived"


def load_and_die(folder: Path, address: str, place: str, nth: int, when: str) -> None:
    """A load that ends by SIGKILL; run in a process of its own.

    Args:
        folder: of the desk.
        address: the portal's.
        place: `module:function` or `module:class.function`.
        nth: its call at which to die.
        when: `before` or `after` it has done its work.
    """
    module_name, _, path = place.partition(":")
    owner: Any = importlib.import_module(module_name)
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step)
    original = getattr(owner, name)
    calls = itertools.count(1)

    def dying(*arguments: Any, **named: Any) -> Any:
        is_due = next(calls) == nth
        if is_due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)
    Desk(folder).load(address)
