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
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.system import Death, System, system_of
from tests.support.faults.world import World

_EXTRACT, _PIPELINE = "dlt.extract.extract:Extract", "dlt.pipeline.pipeline:Pipeline"
_LOAD = "dlt.load.load:Load"
# A call per job: how often a load looks for finished ones depends on how fast the machine is.
_STORAGE = "dlt.common.storages.load_package:PackageStorage"
_DEATHS: Mapping[str, Death] = {
    "before an extracted package counts": Death(f"{_EXTRACT}.commit_packages", 1, "before"),
    "after an extracted package counts": Death(f"{_EXTRACT}.commit_packages", 1, "after"),
    "before the cursors are saved": Death(f"{_PIPELINE}._save_state", 1, "before"),
    "after the cursors are saved": Death(f"{_PIPELINE}._save_state", 2, "after"),
    "after normalizing": Death("dlt.normalize.normalize:Normalize.run", 1, "after"),
    "before tables are made": Death(f"{_LOAD}.load_single_package", 1, "before"),
    "between tables": Death(f"{_LOAD}.submit_job", 4, "after"),
    "after the first jobs": Death(f"{_LOAD}.complete_jobs", 1, "after"),
    "between jobs": Death(f"{_STORAGE}.complete_job", 3, "after"),
    "late between jobs": Death(f"{_STORAGE}.complete_job", 6, "after"),
    "before a package is complete": Death(f"{_LOAD}.complete_package", 1, "before"),
    "after a package is complete": Death(f"{_LOAD}.complete_package", 1, "after"),
    "before the sweep": Death("sources.loading:_sweep", 1, "before"),
    "after the sweep": Death("sources.loading:_sweep", 1, "after"),
    "after the details": Death("sources.loading:_read_details", 1, "after"),
    "before the books": Death("sources.loading:_close", 1, "before"),
    "inside the books after versions": Death("sources.loading:_observe", 1, "after"),
    "inside the books before the commit": Death("sources.bookkeeping:Books.write_log", 1, "after"),
    "between the books and the archive": Death("sources.loading:_archive", 1, "before"),
    "amid the archive": Death("sources.archive:_copy", 3, "after"),
    "after the archive": Death("sources.loading:_archive", 1, "after"),
}
"""Where a load of any system dies."""
_AFTER_THE_BOOKS = ("between the books and the archive", "amid the archive", "after the archive")


def deaths(system: System) -> Mapping[str, Death]:
    """Everywhere that a load of the system dies."""
    return {**system.deaths, **_DEATHS}


def places_and_stages(system: System) -> list[tuple[str, Stage]]:
    """Each place at one of its loads; while tables are written at both: the first makes them."""
    return [
        (place, stage)
        for number, (place, death) in enumerate(deaths(system).items())
        for stage in death.stages
        if len(death.stages) == 1
        or stage == STAGES[number % 2]
        or "tables" in place
        or "jobs" in place
    ]


def die_and_go_on(world: World, place: str, stage: Stage, folder: Path) -> None:
    """Kill a load, run it again, compare.

    Args:
        world: where a load begins, and what one that lives leaves.
        place: of `deaths`.
        stage: which load.
        folder: for its desk.
    """
    desk, portal = world.desk(stage, folder), world.portals[stage]
    kill_a_load(desk, portal.address, deaths(world.system)[place])
    if place not in _AFTER_THE_BOOKS:
        assert world.system.clocks[stage] not in logged_cuts(desk), "a load that died counts"
    load = desk.load(portal.address)
    if place not in _AFTER_THE_BOOKS:
        assert load.problems == world.problems[stage]
    assert_same(rows_of(desk), world.expected(stage))


def kill_a_load(desk: Desk, address: str, death: Death) -> None:
    """Load in another process, which dies on the way; fails where it survives."""
    told = (desk.system.name, str(desk.folder), address, death.place, death.nth, death.when)
    code = f"from tests.support.faults.deaths import load_and_die; load_and_die{told!r}"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr[-2000:] or "it survived"


def load_and_die(
    system_name: str, folder: str, address: str, place: str, nth: int, when: str
) -> None:
    """A load that ends by SIGKILL; run in a process of its own.

    Args:
        system_name: whose account.
        folder: of the desk.
        address: the account's.
        place: as in `Death`.
        nth: as in `Death`.
        when: as in `Death`.
    """
    die_at(place, nth, when)
    Desk(system_of(system_name), Path(folder)).load(address)


def die_at(place: str, nth: int, when: str) -> None:
    """From now on this process dies by SIGKILL where a `Death` says."""
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
