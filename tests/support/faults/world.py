"""Both states of an account and what loads of them leave where nothing goes wrong."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.faults.comparison import Rows, rows_of
from tests.support.faults.desk import Desk
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.system import Served, System


@dataclass(frozen=True)
class World:
    """Both states of an account, served, and the warehouses of loads that met no fault.

    Attributes:
        system: whose account.
        portals: by the load that is to read them.
        references: by the load that has just ended.
        problems: what those loads told: the increment finds rows of dictionaries gone.
    """

    system: System
    portals: Mapping[Stage, Served]
    references: Mapping[Stage, Desk]
    problems: Mapping[Stage, tuple[str, ...]]

    def desk(self, stage: Stage, folder: Path) -> Desk:
        """Where a load of this stage begins: nowhere, or after the first."""
        if stage == "first":
            return Desk(self.system, folder)
        return self.references["first"].copy(folder)

    def expected(self, stage: Stage, only: Collection[str] = ()) -> Rows:
        """What a load of this stage leaves."""
        return rows_of(self.references[stage], only)


@contextlib.contextmanager
def fault_free_world(system: System, folder: Path) -> Iterator[World]:
    """Make both states and load them, one after the other."""
    first = folder / "first.sqlite"
    system.make(first).close()
    shutil.copy(first, folder / "increment.sqlite")
    with contextlib.ExitStack() as stack:
        stores = {
            stage: stack.enter_context(system.open(folder / f"{stage}.sqlite")) for stage in STAGES
        }
        system.change(stores["increment"])
        portals = {
            stage: stack.enter_context(system.serve(stores[stage], folder / f"tokens_{stage}"))
            for stage in STAGES
        }
        loaded = Desk(system, folder / "after_first")
        problems = {"first": loaded.load(portals["first"].address).problems}
        grown = loaded.copy(folder / "after_increment")
        problems["increment"] = grown.load(portals["increment"].address).problems
        yield World(system, portals, {"first": loaded, "increment": grown}, problems)
