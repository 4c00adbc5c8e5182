"""Both states of the portal and what loads of them leave where nothing goes wrong."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sources.demo.store import PortalStore
from tests.support.faults.comparison import Rows, rows_of
from tests.support.faults.desk import Desk
from tests.support.faults.portal import (
    STAGES,
    FaultyPortal,
    Stage,
    change_faulty_portal,
    make_faulty_portal,
    serve,
)


@dataclass(frozen=True)
class World:
    """Both states of the portal, served, and the warehouses of loads that met no fault.

    Attributes:
        portals: by the load that is to read them.
        references: by the load that has just ended.
        problems: what those loads told: the increment finds a department gone.
    """

    portals: Mapping[Stage, FaultyPortal]
    references: Mapping[Stage, Desk]
    problems: Mapping[Stage, tuple[str, ...]]

    def desk(self, stage: Stage, folder: Path) -> Desk:
        """Where a load of this stage begins: nowhere, or after the first."""
        return Desk(folder) if stage == "first" else self.references["first"].copy(folder)

    def expected(self, stage: Stage, only: Collection[str] = ()) -> Rows:
        """What a load of this stage leaves."""
        return rows_of(self.references[stage], only)


@contextlib.contextmanager
def fault_free_world(folder: Path) -> Iterator[World]:
    """Make both states and load them, one after the other."""
    first = folder / "first.sqlite"
    make_faulty_portal(first).close()
    shutil.copy(first, folder / "increment.sqlite")
    with contextlib.ExitStack() as stack:
        stores = {
            stage: stack.enter_context(PortalStore(folder / f"{stage}.sqlite")) for stage in STAGES
        }
        change_faulty_portal(stores["increment"])
        portals = {
            stage: stack.enter_context(serve(stores[stage], folder / f"tokens_{stage}"))
            for stage in STAGES
        }
        loaded = Desk(folder / "after_first")
        problems = {"first": loaded.load(portals["first"].address).problems}
        grown = loaded.copy(folder / "after_increment")
        problems["increment"] = grown.load(portals["increment"].address).problems
        yield World(portals, {"first": loaded, "increment": grown}, problems)
