"""Every fault at every entity, at the first load and at an increment; deaths all over a load."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.faults import (
    CORE,
    DEATHS,
    FAULTS,
    LASTING,
    MUTATIONS,
    READS,
    STAGES,
    Stage,
    World,
    change_on_the_way,
    die_and_go_on,
    fault_free_world,
    meet,
    meet_everywhere,
    needed,
)

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
        with fault_free_world(tmp_path_factory.mktemp("world")) as made:
            yield made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "desk"
    # A thousand warehouses of 15 MB each.
    shutil.rmtree(tmp_path / "desk", ignore_errors=True)


# One fault at one entity, read beside others

ALONE = ("overload", "expired_webhook", "error_access_denied")


@pytest.mark.parametrize("entity", READS)
@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_that_ends_a_load_is_told_and_healed(
    world: World, folder: Path, stage: Stage, name: str, entity: str
) -> None:
    meet(world, FAULTS[name], entity, stage, folder)


# One fault at every entity of one load


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].outcome == "passes"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_passing_fault_at_every_entity_costs_no_row(
    world: World, folder: Path, stage: Stage, name: str
) -> None:
    meet_everywhere(world, FAULTS[name], READS, stage, folder)


DETAILED = ("product_rows", "activity_bindings", "task_history", "timeline_comments")
GROUPS = {
    "core": CORE,
    "others": [entity for entity in READS if entity not in (*CORE, *DETAILED)],
    # Apart from what owns them: of owners that did not come no details are asked.
    "details": DETAILED,
}


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if name not in ALONE and fault.is_told]
)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_refusal_of_many_entities_is_told_for_each_and_healed(
    world: World, folder: Path, stage: Stage, group: str, name: str
) -> None:
    entities = GROUPS[group]
    only = {found for entity in entities for found in needed(entity)} if group != "others" else ()
    meet_everywhere(world, FAULTS[name], entities, stage, folder, only)


LASTING_GROUPS = {
    **GROUPS,
    # Apart from the pipelines, without which no stages are asked for.
    "core": [entity for entity in CORE if entity != "statuses"],
    "statuses": ["statuses"],
}


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("group", LASTING_GROUPS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_lasting_fault_is_told_and_healed(
    world: World, folder: Path, stage: Stage, group: str, name: str
) -> None:
    fault, entities = LASTING[name], LASTING_GROUPS[group]
    if fault.is_portal_wide:
        meet(world, fault, entities[-1], stage, folder)
        return
    only = {found for entity in entities for found in needed(entity)} if group != "others" else ()
    meet_everywhere(world, fault, entities, stage, folder, only)


# Records that change between pages


@pytest.mark.parametrize("kind", MUTATIONS)
@pytest.mark.parametrize("stage", STAGES)
def test_records_that_change_between_pages_are_right_after_one_more_load(
    tmp_path: Path, world: World, folder: Path, stage: Stage, kind: str
) -> None:
    change_on_the_way(world, stage, [kind], tmp_path)


# Death


@pytest.mark.parametrize(
    ("place", "stage"),
    [
        (place, stage)
        for number, place in enumerate(DEATHS)
        for stage in STAGES
        # While tables are written both matter: the first load makes them.
        if stage == STAGES[number % 2] or "tables" in place or "jobs" in place
    ],
)
def test_a_killed_load_run_again_equals_one_that_lived(
    world: World, folder: Path, stage: Stage, place: str
) -> None:
    die_and_go_on(world, place, stage, folder)
