"""A load of Bitrix24 that meets a fault leaves what one without does, or says what it lacks.

Each fault once and each entity once; `test_fault_matrix` has all of both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sources.demo.access import Webhook
from sources.demo.methods import SCOPES
from sources.errors import SourceError
from tests.support.faults.bitrix24.entities import READS, SMART_PROCESS, needed
from tests.support.faults.bitrix24.mutations import KINDS
from tests.support.faults.bitrix24.plans import FAULTS, LASTING
from tests.support.faults.comparison import assert_same, logged_cuts, rows_of
from tests.support.faults.deaths import die_and_go_on
from tests.support.faults.meeting import assert_is_told, meet
from tests.support.faults.mutations import change_on_the_way
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.world import World

pytestmark = pytest.mark.scattered
PASSING = [name for name, fault in FAULTS.items() if fault.outcome == "passes"]
SHARES = {name: list(READS)[number :: len(PASSING)] for number, name in enumerate(PASSING)}
"""The entities that meet each passing fault."""
COUNTS = {
    "the clock": {"method": "server.time"},
    "the cut's commands": {"method": "crm.contact.list", "nth": 2},
    "the sweep": {"method": "crm.contact.list", "where": {"start": "0"}, "nth": 2},
    "the recount": {"method": "crm.contact.list", "where": {"start": "0"}, "nth": 3},
}
"""The requests that count and compare."""
PROCESS = f"smart_items_{SMART_PROCESS}"


@pytest.fixture
def world(bitrix24_world: World) -> World:
    return bitrix24_world


def test_the_portal_has_what_a_fault_could_lose(world: World) -> None:
    first, second = (world.expected(stage) for stage in STAGES)
    for name, rows in first.items():
        assert name in ("quarantine", "deleted_records", "categories") or len(rows) >= 3, name
    for entity in READS:
        table = world.system.table_of(entity)
        assert first[table] != second[table], f"nothing happens to {entity}"
    assert {row[1] for row in second["deleted_records"]} == {
        name for name, read in READS.items() if read.in_cut
    }


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_costs_no_row(world: World, folder: Path, name: str) -> None:
    stage = STAGES[PASSING.index(name) % 2]
    shared = SHARES[name]
    meet(world, dict.fromkeys(shared, FAULTS[name]), stage, folder, needed(*shared))


@pytest.mark.parametrize(
    ("name", "entity", "stage"),
    [
        ("overload", "product_rows", "first"),
        ("expired_webhook", "calls", "increment"),
        ("error_access_denied", "calls", "first"),
        ("error_insufficient_scope", "tasks", "increment"),
        ("error_denied_without_a_code", "timeline_comments", "first"),
        ("error_code_zero", "leads", "increment"),
        ("command_error_access_denied", "deals", "first"),
        ("command_error_insufficient_scope", "activity_bindings", "increment"),
        ("command_error_denied_without_a_code", "custom_fields", "first"),
        ("command_error_code_zero", "task_history", "increment"),
        ("html_for_good", "companies", "increment"),
        ("reset_for_good", "activities", "first"),
    ],
)
def test_a_fault_that_ends_a_load_is_told_and_healed(
    world: World, folder: Path, name: str, entity: str, stage: Stage
) -> None:
    meet(world, {entity: {**FAULTS, **LASTING}[name]}, stage, folder, needed(entity))


@pytest.mark.parametrize("place", COUNTS, ids=lambda place: place.replace(" ", "-"))
def test_a_broken_count_ends_the_load_and_marks_nothing(
    world: World, folder: Path, place: str
) -> None:
    desk, portal, only = (
        world.desk("increment", folder),
        world.portals["increment"],
        needed("contacts"),
    )
    fault = {"action": "error", "code": 0, "description": "No count today"}
    if place in ("the clock", "the sweep", "the recount"):
        fault = {"action": "server_error", "times": "forever"}
    portal.plan({**COUNTS[place], **fault})
    with pytest.raises(SourceError) as told:
        desk.load(portal.address, only)
    portal.plan()
    assert_is_told(world.system, str(told.value))
    assert logged_cuts(desk) == [world.system.clocks["first"]]
    assert rows_of(desk)["deleted_records"] == []
    desk.load(portal.address, only)
    assert_same(rows_of(desk, only), world.expected("increment", only))


def test_what_was_refused_is_caught_up_when_the_right_comes_back(
    world: World, folder: Path
) -> None:
    """Refused at the first load, granted, taken away at an increment, granted again."""
    desk = world.desk("first", folder)
    lacking = ("calls", "tasks", "task_history")
    others = ("users", "deals", "stage_history", "product_rows")
    only = (*others, *lacking)
    limited = Webhook(1, "limited", tuple(s for s in SCOPES if s not in ("telephony", "task")))
    for stage in STAGES:
        portal = world.portals[stage]
        portal.portal.webhooks = [limited]
        load = desk.load(portal.address.replace("/demo/", "/limited/"), only)
        portal.portal.webhooks = []
        told = {found.entity: found.problem for found in load.entities if found.problem}
        # Without its owners no history of a task is asked for.
        assert set(lacking[:2]) <= told.keys() <= set(lacking)
        for sentence in told.values():
            assert_is_told(world.system, sentence)
        assert_same(rows_of(desk, others), world.expected(stage, others))
        assert desk.load(portal.address, only).problems == ()
        assert_same(rows_of(desk, only), world.expected(stage, only))


def test_refused_stages_of_invoices_are_told_with_the_invoices(world: World, folder: Path) -> None:
    desk, portal = world.desk("first", folder), world.portals["first"]
    only = ("users", "categories", "statuses", "deals", "invoices", PROCESS)
    denial = {"action": "error", "code": "ACCESS_DENIED", "description": "Access denied!"}
    place = {"method": "crm.category.list", "where": {"entityTypeId": "31"}}
    portal.plan({**place, **denial})
    load = desk.load(portal.address, only)
    portal.plan()
    told = {found.entity: found for found in load.entities if found.problem}
    assert set(told) == {"invoices"}
    assert told["invoices"].complete_up_to is None
    assert desk.load(portal.address, only).problems == ()
    assert_same(rows_of(desk, only), world.expected("first", only))


def test_a_smart_process_without_pipelines_is_no_problem(world: World, folder: Path) -> None:
    desk, portal = world.desk("first", folder), world.portals["first"]
    only = ("users", "categories", "statuses", "deals", "invoices", PROCESS)
    place = {"method": "crm.category.list", "where": {"entityTypeId": str(SMART_PROCESS)}}
    portal.plan({**place, "action": "error", "code": "ENTITY_TYPE_NOT_SUPPORTED"})
    load = desk.load(portal.address, only)
    portal.plan()
    assert load.problems == ()


def test_records_that_change_between_pages_are_right_after_one_more_load(
    world: World, tmp_path: Path
) -> None:
    change_on_the_way(world, "increment", KINDS, tmp_path)


@pytest.mark.parametrize(
    ("place", "stage"),
    [
        ("between jobs", "first"),
        ("before a package is complete", "increment"),
        ("inside the books before the commit", "increment"),
    ],
)
def test_a_killed_load_run_again_equals_one_that_lived(
    world: World, folder: Path, place: str, stage: Stage
) -> None:
    die_and_go_on(world, place, stage, folder)
