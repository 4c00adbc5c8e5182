"""Every fault at every entity of amoCRM, at both loads; deaths all over a load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults.amocrm.entities import CORE, READS, needed
from tests.support.faults.amocrm.mutations import KINDS
from tests.support.faults.amocrm.plans import FAULTS, LASTING
from tests.support.faults.amocrm.system import SYSTEM
from tests.support.faults.deaths import die_and_go_on, places_and_stages
from tests.support.faults.meeting import end_at_each, meet
from tests.support.faults.mutations import change_on_the_way
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.world import World

pytestmark = [pytest.mark.long, pytest.mark.scattered]

EVERY = {**FAULTS, **LASTING}
ALONE = [name for name, fault in EVERY.items() if fault.is_connection_wide]
"""Faults of which the first one ends the load."""
TOLD = [name for name, fault in EVERY.items() if fault.is_told]
GROUPS = {
    "core": CORE,
    # Refused with the whole account.
    "account": ("account", "groups"),
    # Apart from the catalogues, without which none are asked for.
    "elements": ("catalog_elements",),
}
GROUPS["others"] = tuple(
    entity for entity in READS if not any(entity in group for group in GROUPS.values())
)
MET = [
    (group, name)
    for group, entities in GROUPS.items()
    for name in TOLD
    if any(SYSTEM.befalls(EVERY[name], entity, "first") for entity in entities)
]


@pytest.fixture
def world(amocrm_world: World) -> World:
    return amocrm_world


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_that_ends_loads_at_every_entity_is_told_and_healed(
    world: World, folder: Path, stage: Stage, name: str
) -> None:
    end_at_each(world, ((entity, EVERY[name]) for entity in READS), stage, folder)


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].outcome == "passes"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_passing_fault_at_every_entity_costs_no_row(
    world: World, folder: Path, stage: Stage, name: str
) -> None:
    meet(world, dict.fromkeys(READS, FAULTS[name]), stage, folder)


@pytest.mark.parametrize(("group", "name"), MET)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_of_many_entities_is_told_for_each_and_healed(
    world: World, folder: Path, stage: Stage, group: str, name: str
) -> None:
    faults = dict.fromkeys(GROUPS[group], EVERY[name])
    meet(world, faults, stage, folder, needed(*faults) if group != "others" else ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_records_that_change_between_pages_are_right_after_one_more_load(
    tmp_path: Path, world: World, stage: Stage, kind: str
) -> None:
    change_on_the_way(world, stage, [kind], tmp_path)


@pytest.mark.parametrize(("place", "stage"), places_and_stages(SYSTEM))
def test_a_killed_load_run_again_equals_one_that_lived(
    world: World, folder: Path, stage: Stage, place: str
) -> None:
    die_and_go_on(world, place, stage, folder)
