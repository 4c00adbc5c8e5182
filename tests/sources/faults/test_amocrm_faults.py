"""A load of amoCRM that meets a fault leaves what one without does, or says what it lacks.

Each fault once and each entity once; `test_amocrm_fault_matrix` has all of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sources.errors import SourceError
from tests.support.faults.amocrm.entities import READS, needed
from tests.support.faults.amocrm.mutations import KINDS
from tests.support.faults.amocrm.plans import FAULTS, LASTING, befalls, place
from tests.support.faults.comparison import assert_same, logged_cuts, rows_of
from tests.support.faults.deaths import die_and_go_on
from tests.support.faults.meeting import assert_is_told, end_at_each, meet
from tests.support.faults.mutations import change_on_the_way
from tests.support.faults.plans import unfired
from tests.support.faults.stages import STAGES, Stage
from tests.support.faults.waits import Waits
from tests.support.faults.world import World

pytestmark = pytest.mark.scattered
PASSING = [fault for fault in FAULTS.values() if fault.outcome == "passes"]
SHARES = {
    stage: {
        entity: fault
        for number, entity in enumerate(reversed(READS))
        # Faults of pages stand last, and entities without pages first.
        if befalls(fault := PASSING[-1 - (number + half) % len(PASSING)], entity, stage)
    }
    for half, stage in zip((0, 7), STAGES, strict=True)
}
"""The fault that each entity meets at each load."""
ONLY = needed("contacts")
SWEPT = {"filter[updated_at][from]": "None", "order[id]": "asc"}
"""What no page of an increment has: a fault plan takes a missing parameter for None."""
COUNTS = (
    # To find the last page, to read it, to count.
    {"method": "events", "where": {"page": "3"}, "nth": 3},
    # The clock.
    {"method": "account"},
    # The highest id.
    {"method": "contacts", "where": {"order[id]": "desc"}},
    # The search for the last page.
    {"method": "contacts", "where": {"page": "4"}},
    # The sweep.
    {"method": "contacts", "where": {**SWEPT, "page": "2"}, "nth": 2},
)
"""The requests that count and compare."""


@pytest.fixture
def world(amocrm_world: World) -> World:
    return amocrm_world


def test_the_account_has_what_a_fault_could_lose(world: World) -> None:
    first, second = (world.expected(stage) for stage in STAGES)
    for name, rows in first.items():
        assert name in ("quarantine", "deleted_records", "account") or len(rows) >= 3, name
    for entity in READS:
        table = world.system.table_of(entity)
        assert first[table] != second[table], f"nothing happens to {entity}"
    assert {row[1] for row in second["deleted_records"]} == {
        "companies",
        "contacts",
        "leads",
        "tasks",
    }


def test_passing_faults_are_met_by_every_entity_and_each_by_one() -> None:
    met = [share.items() for share in SHARES.values()]
    assert {fault.name for share in met for _, fault in share} == {fault.name for fault in PASSING}
    assert {entity for share in met for entity, _ in share} == READS.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_passing_faults_cost_no_row(world: World, folder: Path, stage: Stage) -> None:
    meet(world, SHARES[stage], stage, folder)


def test_what_the_whole_account_says_is_told_and_healed(world: World, folder: Path) -> None:
    faults = [
        ("contacts", FAULTS["blocked"]),
        ("unsorted", FAULTS["revoked_token"]),
        ("catalog_elements", FAULTS["unpaid"]),
        ("lead_notes", LASTING["too_many_requests_for_good"]),
        ("tasks", LASTING["reset_for_good"]),
        ("companies", LASTING["expired_token_for_good"]),
    ]
    end_at_each(world, faults, "increment", folder)


def test_what_fails_at_single_entities_is_told_for_each_and_healed(
    world: World, folder: Path
) -> None:
    faults = {
        "pipelines": FAULTS["forbidden"],
        "tags": FAULTS["bad_request"],
        "events": FAULTS["fifty_rows"],
        "custom_field_enums": LASTING["html_for_good"],
        "leads": LASTING["first_page_again_for_good"],
        "deleted_leads": LASTING["no_rows_where_some_are_for_good"],
    }
    meet(world, faults, "increment", folder)


def test_a_refusal_of_what_no_report_needs_is_told_and_healed(world: World, folder: Path) -> None:
    faults = {"users": FAULTS["forbidden"], "company_notes": FAULTS["not_found"]}
    meet(world, faults, "first", folder, needed(*faults))


def test_broken_counts_end_the_load_and_mark_nothing(world: World, folder: Path) -> None:
    desk, portal = world.desk("increment", folder), world.portals["increment"]
    for count in COUNTS:
        plan = portal.plan({**count, "action": "server_error", "times": "forever"})
        try:
            with pytest.raises(SourceError) as told:
                desk.load(portal.address, ONLY)
        finally:
            portal.plan()
        assert not unfired(plan)
        assert_is_told(world.system, str(told.value))
        assert logged_cuts(desk) == [world.system.clocks["first"]]
        assert rows_of(desk)["deleted_records"] == []
    desk.load(portal.address, ONLY)
    assert_same(rows_of(desk, ONLY), world.expected("increment", ONLY))


def test_a_blocked_account_is_asked_for_nothing_more(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further request would make it worse."""
    desk, portal = world.desk("first", folder), world.portals["first"]
    plan = portal.plan({**place(FAULTS["blocked"], "contacts", "first"), **FAULTS["blocked"].rule})
    answered: list[str] = []
    answer = portal.portal.answer

    def noted(path: str, *arguments: Any) -> Any:
        if plan.fired:
            answered.append(path)
        return answer(path, *arguments)

    monkeypatch.setattr(portal.portal, "answer", noted)
    with pytest.raises(SourceError, match=r"has blocked the API .* write to the vendor's support"):
        desk.load(portal.address, ONLY)
    portal.plan()
    assert (plan.fired, answered) == ({"overload": 1}, [])


def test_an_expired_token_is_refreshed_once(world: World, folder: Path) -> None:
    desk, portal = world.desk("first", folder), world.portals["first"]
    access = portal.application()
    access.access_token()
    before = portal.portal.oauth.refreshes
    portal.portal.oauth.expire_access_tokens()
    desk.load(access, ONLY)
    assert portal.portal.oauth.refreshes == before + 1


def test_a_limit_that_is_met_is_waited_for(world: World, folder: Path, waits: Waits) -> None:
    desk, portal = world.desk("first", folder), world.portals["first"]
    portal.plan({"method": "leads", "action": "query_limit"})
    desk.load(portal.address, ONLY)
    portal.plan()
    assert waits.seconds == pytest.approx(300, abs=5)  # what the answer asks for


def test_records_that_change_between_pages_are_right_after_one_more_load(
    world: World, tmp_path: Path
) -> None:
    change_on_the_way(world, "increment", KINDS, tmp_path)


def test_a_killed_load_run_again_equals_one_that_lived(world: World, folder: Path) -> None:
    die_and_go_on(world, "amid the sweep", "increment", folder)
