"""Every fault at every entity of Bitrix24, at both loads; deaths all over a load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults.bitrix24.entities import CORE, DETAILED, READS, needed
from tests.support.faults.bitrix24.mutations import KINDS
from tests.support.faults.bitrix24.plans import FAULTS, LASTING
from tests.support.faults.bitrix24.system import SYSTEM
from tests.support.faults.deaths import die_and_go_on, places_and_stages
from tests.support.faults.meeting import meet
from tests.support.faults.mutations import change_on_the_way
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.world import World

pytestmark = [pytest.mark.long, pytest.mark.scattered]

ALONE = ("overload", "expired_webhook", "error_access_denied")
"""Faults that one entity meets, read beside others; the rest meets many entities of one load."""
GROUPS = {
    "core": CORE,
    "others": [entity for entity in READS if entity not in (*CORE, *DETAILED)],
    # Apart from what owns them: of owners that did not come no details are asked.
    "details": DETAILED,
}
LASTING_GROUPS = {
    **GROUPS,
    # Apart from the pipelines, without which no stages are asked for.
    "core": [entity for entity in CORE if entity != "statuses"],
    "statuses": ["statuses"],
}


@pytest.fixture
def world(bitrix24_world: World) -> World:
    return bitrix24_world


@pytest.mark.parametrize("entity", READS)
@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_that_ends_a_load_is_told_and_healed(
    world: World, folder: Path, stage: Stage, name: str, entity: str
) -> None:
    meet(world, {entity: FAULTS[name]}, stage, folder, needed(entity))


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].outcome == "passes"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_passing_fault_at_every_entity_costs_no_row(
    world: World, folder: Path, stage: Stage, name: str
) -> None:
    meet(world, dict.fromkeys(READS, FAULTS[name]), stage, folder)


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if name not in ALONE and fault.is_told]
)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_refusal_of_many_entities_is_told_for_each_and_healed(
    world: World, folder: Path, stage: Stage, group: str, name: str
) -> None:
    entities = GROUPS[group]
    only = needed(*entities) if group != "others" else ()
    meet(world, dict.fromkeys(entities, FAULTS[name]), stage, folder, only)


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("group", LASTING_GROUPS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_lasting_fault_is_told_and_healed(
    world: World, folder: Path, stage: Stage, group: str, name: str
) -> None:
    fault, entities = LASTING[name], LASTING_GROUPS[group]
    if fault.is_connection_wide:
        # The first one ends the load.
        entities = entities[-1:]
    only = () if entities == GROUPS["others"] else needed(*entities)
    meet(world, dict.fromkeys(entities, fault), stage, folder, only)


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
