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

ALONE = ("overload", "expired_webhook", "error_access_denied", "error_code_zero")


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


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if fault.name not in ALONE and fault.is_told]
)
@pytest.mark.parametrize("is_core", [True, False], ids=["core", "others"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_refusal_of_many_entities_is_told_for_each_and_healed(
    world: World, folder: Path, stage: Stage, is_core: bool, name: str
) -> None:
    entities = [entity for entity in READS if (entity in CORE) == is_core]
    meet_everywhere(world, FAULTS[name], entities, stage, folder)


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("stage", STAGES)
def test_a_lasting_fault_of_many_entities_is_told_for_each_and_healed(
    world: World, folder: Path, stage: Stage, name: str
) -> None:
    fault = LASTING[name]
    if fault.is_portal_wide:
        meet(world, fault, "contacts", stage, folder)
    else:
        meet_everywhere(world, fault, READS, stage, folder)


# Records that change between pages


@pytest.mark.parametrize("kind", MUTATIONS)
@pytest.mark.parametrize("stage", STAGES)
def test_records_that_change_between_pages_are_right_after_one_more_load(
    tmp_path: Path, world: World, folder: Path, stage: Stage, kind: str
) -> None:
    change_on_the_way(world, stage, [kind], tmp_path)


# Death


@pytest.mark.parametrize("place", DEATHS, ids=lambda place: place.replace(" ", "-"))
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_load_run_again_equals_one_that_lived(
    world: World, folder: Path, stage: Stage, place: str
) -> None:
    die_and_go_on(world, place, stage, folder)
