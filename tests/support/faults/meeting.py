"""A load in which entities meet a fault: what it must say and leave, and that a rerun heals it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from sources.errors import CallfunnelError
from sources.loading import ConnectionLoad
from tests.support.faults.comparison import assert_same, logged_cuts, rows_of
from tests.support.faults.desk import Desk
from tests.support.faults.plans import Fault, unfired
from tests.support.faults.stages import Stage
from tests.support.faults.system import System
from tests.support.faults.world import World

_REMEDIES = (
    "run again",
    "give it",
    "make a new webhook",
    "administrator",
    "check",
    "pay for it",
    "lift the block",
    "developers",
)


def meet(
    world: World,
    faults: Mapping[str, Fault],
    stage: Stage,
    folder: Path,
    only: Collection[str] = (),
) -> None:
    """Load while entities meet faults; assert what that says and leaves, then that a rerun heals.

    Args:
        world: where a load begins, and what one without faults leaves.
        faults: by entity, what goes wrong once, at its own requests; what can't befall it is left
            out.
        stage: which load.
        folder: for its desk.
        only: read these alone (`needed` of the entities); without them everything is read.
    """
    system, desk, portal = world.system, world.desk(stage, folder), world.portals[stage]
    befallen = {
        entity: fault for entity, fault in faults.items() if system.befalls(fault, entity, stage)
    }
    assert befallen, "the faults can befall none of the entities"
    load, sentence = _load_with(world, desk, befallen, stage, only)
    known = [told for told in world.problems[stage] if not only or told.partition(":")[0] in only]
    outcomes = {entity: system.outcome(fault, entity) for entity, fault in befallen.items()}
    if set(outcomes.values()) == {"passes"}:
        assert load is not None, sentence
        said = list(load.problems)
    else:
        ending = [entity for entity, outcome in outcomes.items() if outcome == "raises"]
        assert (load is None) == bool(ending), sentence
        if load is None:
            assert system.clocks[stage] not in logged_cuts(desk), "the load counts though it failed"
            # What the whole account refuses is no entity's.
            is_wide = any(
                system.is_connection_wide(found, name) for name, found in befallen.items()
            )
            assert_is_told(system, sentence, () if is_wide else _each_asking(system, ending))
            said = []
        else:
            assert_is_refused(system, load, _each_asking(system, list(befallen)), known)
            said = [problem for problem in load.problems if problem in known]
            others = [name for name in only if name not in befallen]
            if others:
                assert_same(rows_of(desk, others), world.expected(stage, others))
        said += desk.load(portal.address, only).problems
    # What is gone without any fault is told once, by the load that saw it.
    assert sorted(said) == sorted(known)
    assert_same(rows_of(desk, only), world.expected(stage, only))


def end_at_each(
    world: World, faults: Iterable[tuple[str, Fault]], stage: Stage, folder: Path
) -> None:
    """One load after the other that a fault ends, each at another entity; then one without.

    Args:
        world: where a load begins, and what one without faults leaves.
        faults: entities, each read beside few others, and what the whole account says there.
        stage: which load.
        folder: for its desk.
    """
    system, desk, portal = world.system, world.desk(stage, folder), world.portals[stage]
    for entity, fault in faults:
        assert fault.is_connection_wide
        load, sentence = _load_with(world, desk, {entity: fault}, stage, system.needed(entity))
        assert load is None, f"{fault.name} at {entity} ends no load"
        assert_is_told(system, sentence)
        assert system.clocks[stage] not in logged_cuts(desk), "the load counts though it failed"
    assert desk.load(portal.address).problems == world.problems[stage]
    assert_same(rows_of(desk), world.expected(stage))


def _load_with(
    world: World, desk: Desk, faults: Mapping[str, Fault], stage: Stage, only: Collection[str]
) -> tuple[ConnectionLoad | None, str]:
    """A load while entities meet faults, or what it says in place of one."""
    portal = world.portals[stage]
    is_application = any(fault.is_application for fault in faults.values())
    access = portal.application() if is_application else portal.address
    plan = portal.plan(
        *(
            {**world.system.place(fault, entity, stage), **fault.rule}
            for entity, fault in faults.items()
        )
    )
    try:
        load, sentence = desk.load(access, only), ""
    except CallfunnelError as error:
        load, sentence = None, str(error)
    finally:
        portal.plan()
    assert not unfired(plan), sentence
    return load, sentence


def assert_is_told(system: System, sentence: str, entities: Collection[str] = ()) -> None:
    """The sentence names the account, these entities and a remedy; no secret."""
    assert "127.0.0.1" in sentence
    assert system.secret not in sentence
    assert any(remedy in sentence for remedy in _REMEDIES), sentence
    assert [name for name in entities if f" {name}: " not in sentence] == [], sentence


def assert_is_refused(
    system: System, load: ConnectionLoad, entities: Collection[str], known: Collection[str] = ()
) -> None:
    """The load says that it lacks these entities, and does not call them complete.

    Args:
        system: of the load.
        load: what it left.
        entities: that met a fault.
        known: problems that a load without faults tells too.
    """
    told = [problem for problem in load.problems if problem not in known]
    named = [problem.partition(":")[0] for problem in told]
    assert sorted(named) == sorted(entities)
    for found in load.entities:
        if found.entity in entities:
            assert found.problem is not None, f"{found.entity} counts as complete"
            assert_is_told(system, found.problem)
            assert found.complete_up_to is None or found.complete_up_to < load.cut_at


def _each_asking(system: System, entities: Collection[str]) -> list[str]:
    """Without what comes with the requests of another that is there too.

    A fault that fails such a request for the first may be over for the second.
    """
    return [entity for entity in entities if system.sharing.get(entity) not in entities]
