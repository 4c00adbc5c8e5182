"""Records that change while they are read."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Collection
from pathlib import Path

from tests.support.faults.claims import assert_claims_hold, held_by
from tests.support.faults.comparison import assert_same, current_rows
from tests.support.faults.desk import Desk
from tests.support.faults.plans import unfired
from tests.support.faults.stages import Stage
from tests.support.faults.world import World


def change_on_the_way(world: World, stage: Stage, kinds: Collection[str], folder: Path) -> None:
    """Load while records change; then load once more and compare with a load of the final account.

    The first of these loads may lack what came on the way, but no more than it says.

    Args:
        world: where a load begins.
        stage: which load.
        kinds: of the system's, each befalling every entity that allows it.
        folder: for the account that changes, and the desks.
    """
    system, source = world.system, world.portals[stage].portal.store
    source.query("pragma wal_checkpoint(truncate)")
    shutil.copy(source.path, folder / "moving.sqlite")
    desk = world.desk(stage, folder / "desk")
    with (
        system.open(folder / "moving.sqlite") as store,
        system.serve(store, folder / "tokens") as portal,
    ):
        rules = [
            rule for entity in system.entities for rule in system.mutations(entity, stage, kinds)
        ]
        plan = portal.plan(*rules)
        before = held_by(system, store)
        cut_at = desk.load(portal.address).cut_at
        portal.plan()
        assert not unfired(plan)
        assert_claims_hold(desk, cut_at, before, held_by(system, store))
        # What a detail's last change leaves is read at the next load, an hour later.
        store.clock = system.clocks[stage] + dt.timedelta(hours=1)
        assert desk.load(portal.address, sweeps=system.sweeps_alone).problems == ()
        fresh = Desk(system, folder / "fresh")
        fresh.load(portal.address)
        with system.connector(portal.address, ()) as connector:
            entities = connector.entities
    assert_same(current_rows(desk, entities), current_rows(fresh, entities))
