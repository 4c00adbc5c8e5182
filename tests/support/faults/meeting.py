"""A load in which entities meet a fault: what it must say and leave, and that a rerun heals it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sources.errors import CallfunnelError
from sources.loading import ConnectionLoad
from tests.support.faults.comparison import assert_same, logged_cuts, rows_of
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
    fault: Fault,
    entities: Collection[str],
    stage: Stage,
    folder: Path,
    only: Collection[str] = (),
) -> None:
    """Load while entities meet a fault; assert what that says and leaves, then that a rerun heals.

    Args:
        world: where a load begins, and what one without faults leaves.
        fault: what goes wrong.
        entities: each meets it once, at its own requests; those that it can't befall are left out.
        stage: which load.
        folder: for its desk.
        only: read these alone (`needed` of the entities); without them everything is read.
    """
    system, desk, portal = world.system, world.desk(stage, folder), world.portals[stage]
    befallen = [entity for entity in entities if system.befalls(fault, entity, stage)]
    assert befallen, f"{fault.name} can befall none of {entities}"
    access = portal.application() if fault.is_application else portal.address
    plan = portal.plan(
        *({**system.place(fault, entity, stage), **fault.rule} for entity in befallen)
    )
    load: ConnectionLoad | None = None
    sentence = ""
    try:
        load = desk.load(access, only)
    except CallfunnelError as error:
        sentence = str(error)
    finally:
        portal.plan()
    assert not unfired(plan)
    known = [told for told in world.problems[stage] if not only or told.partition(":")[0] in only]
    if fault.outcome == "passes":
        assert load is not None, sentence
        said = list(load.problems)
    else:
        ending = [entity for entity in befallen if system.outcome(fault, entity) == "raises"]
        assert (load is None) == bool(ending), sentence
        if load is None:
            assert system.clocks[stage] not in logged_cuts(desk), "the load counts though it failed"
            # What the whole account refuses is no entity's.
            named = () if fault.is_connection_wide else _each_asking(system, ending)
            assert_is_told(system, sentence, named)
            said = []
        else:
            assert_is_refused(system, load, _each_asking(system, befallen), known)
            said = [problem for problem in load.problems if problem in known]
            others = [name for name in only if name not in befallen]
            if others:
                assert_same(rows_of(desk, others), world.expected(stage, others))
        said += desk.load(portal.address, only).problems
    # What is gone without any fault is told once, by the load that saw it.
    assert sorted(said) == sorted(known)
    assert_same(rows_of(desk, only), world.expected(stage, only))


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
