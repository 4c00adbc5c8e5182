"""The load path: merging, cursors, crashes, pending packages, deletions, several companies."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.settings import PROJECT_DIR, Settings
from sources.backfill import backfill_connection
from sources.bitrix24 import TABLES, Bitrix24Client, Bitrix24Connector
from sources.bitrix24.reading import Span
from sources.connection import Cut, Request, Tally
from sources.demo.faults import FaultPlan
from sources.demo.limiter import LeakyBucket
from sources.demo.methods import SCOPES
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.errors import InputError, SourceError
from sources.loading import (
    ConnectionLoad,
    EntityLoad,
    LoadOptions,
    load_connection,
)
from tests.support.companies import load_portal, make_company, pipeline_of, raw_count, warehouse
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal

pytestmark = pytest.mark.scattered


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_company(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> PortalStore:
    return make_portal(tmp_path / "portal.sqlite")


def load_from(
    settings: Settings,
    portal: Portal,
    options: LoadOptions | None = None,
    smart_processes: Sequence[int] = (),
) -> ConnectionLoad:
    """Load a portal that tests have their hands on, without its request limit."""
    with serve_in_thread(portal) as address:
        client = Bitrix24Client(address, requests_per_second=0)
        connector = Bitrix24Connector(client, "main", smart_processes)
        return load_connection(pipeline_of(settings), connector, options)


def rows_of(settings: Settings, sql: str) -> list[Any]:
    with warehouse(settings) as connection:
        connection.execute("set schema = 'raw_bitrix24'")
        return connection.execute(sql).fetchall()


def entity(load: ConnectionLoad, name: str) -> EntityLoad:
    return next(found for found in load.entities if found.entity == name)


def advance(store: PortalStore, minutes: float) -> None:
    store.clock = NOON + dt.timedelta(minutes=minutes)


def test_a_load_merges_into_existing_rows(settings: Settings, store: PortalStore) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 121)])
    first = load_portal(settings, store)
    advance(store, 2 * 24 * 60)
    store.insert(
        "deal",
        [
            deal_row(7, TITLE="Renamed", DATE_MODIFY=at(30 * 60)),
            deal_row(121, DATE_CREATE=at(31 * 60), DATE_MODIFY=at(31 * 60)),
        ],
    )
    second = load_portal(settings, store)
    assert entity(first, "deals").rows_received == 120
    assert entity(second, "deals").rows_received == 2
    assert raw_count(settings, "deals") == 121
    with warehouse(settings) as connection:
        titles = connection.execute(
            "select title from raw_bitrix24.deals where id in (7, 8) order by id"
        ).fetchall()
    assert titles == [("Renamed",), ("Deal 8",)]


def test_rows_arrive_as_arrow_with_the_id_of_their_load(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    load_portal(settings, store)
    with warehouse(settings) as connection:
        row = connection.execute(
            "select opportunity, date_create, source_key, _dlt_load_id is not null, "
            "typeof(extra), typeof(opportunity) from raw_bitrix24.deals"
        ).fetchone()
    assert row is not None
    assert (float(row[0]), row[1].astimezone(dt.UTC), *row[2:]) == (
        100.0,
        NOON,
        "bitrix24:main",
        True,
        "JSON",
        "DECIMAL(20,4)",
    )


def test_a_custom_field_that_appears_mid_way_loses_nothing(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1), deal_row(2)])
    load_portal(settings, store)
    advance(store, 2 * 24 * 60)
    store.insert("deal", [deal_row(2, CUSTOM={"UF_CRM_NEW": "late"}, DATE_MODIFY=at(30 * 60))])
    load_portal(settings, store)
    with warehouse(settings) as connection:
        rows = connection.execute(
            "select id, title, extra ->> 'UF_CRM_NEW' from raw_bitrix24.deals order by id"
        ).fetchall()
    assert rows == [(1, "Deal 1", None), (2, "Deal 2", "late")]


def test_growing_entities_are_read_from_the_cursor_on(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 131)])
    load_portal(settings, store)
    store.insert("stage_history", [history_row(131, 1, 131, "WORK")])
    second = load_portal(settings, store)
    assert entity(second, "stage_history").rows_received == 1
    assert raw_count(settings, "stage_history") == 131


def test_late_call_rows_and_fields_filled_later_arrive(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("call", [call_row(10, 60), call_row(11, 70)])
    load_portal(settings, store)
    advance(store, 3 * 24 * 60)
    store.insert(
        "call",
        [
            # A higher id with an older start, and a recording that came after the call.
            call_row(12, 5),
            call_row(11, 70, CALL_RECORD_URL="https://records.example/11"),
        ],
    )
    load_portal(settings, store)
    with warehouse(settings) as connection:
        rows = connection.execute(
            "select id, call_record_url from raw_bitrix24.calls order by id"
        ).fetchall()
    assert rows == [(10, None), (11, "https://records.example/11"), (12, None)]


def test_rows_after_the_cut_stay_in_raw_and_the_cut_is_the_servers_clock(
    settings: Settings, store: PortalStore
) -> None:
    load = load_portal(settings, store)
    assert load.cut_at == NOON + dt.timedelta(days=1)


def test_every_table_exists_in_a_company_without_a_single_row(
    settings: Settings, tmp_path: Path
) -> None:
    empty = PortalStore(tmp_path / "empty.sqlite")
    empty.create()
    empty.set_meta("clock", at(0))
    load = load_portal(settings, empty)
    assert {found.rows_raw for found in load.entities if found.entity != "categories"} == {0}
    assert raw_count(settings, "calls") == 0
    names = {row[0] for row in rows_of(settings, "show tables")}
    known = {*TABLES, "detail_reads", "quarantine", "load_log", "deleted_records"}
    assert known - names == set()


def test_a_row_that_cannot_be_read_is_quarantined_and_counted(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1), deal_row(2, OPPORTUNITY="a lot"), deal_row(3)])
    load = load_portal(settings, store)
    assert entity(load, "deals").rows_quarantined == 1
    assert entity(load, "deals").unexplained == 0
    with warehouse(settings) as connection:
        kept = connection.execute(
            "select entity, reason, payload from raw_bitrix24.quarantine"
        ).fetchall()
    assert len(kept) == 1
    assert kept[0][0] == "deals"
    assert kept[0][1].startswith("OPPORTUNITY:")
    assert '"ID": "2"' in kept[0][2]


def test_a_quarantined_row_does_not_cause_a_whole_read_at_every_load(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("call", [call_row(n, n) for n in range(1, 31)])
    store.insert("call", [call_row(31, 31, COST="much")])
    load_portal(settings, store)
    # Out of the trailing window: the row is not received again.
    advance(store, 30 * 24 * 60)
    second = load_portal(settings, store)
    assert entity(second, "calls").rows_received == 0
    assert entity(second, "calls").rows_quarantined == 1
    assert entity(second, "calls").unexplained == 0


def test_a_row_that_becomes_readable_leaves_the_quarantines_count(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1), deal_row(2, OPPORTUNITY="a lot")])
    load_portal(settings, store)
    advance(store, 2 * 24 * 60)
    store.insert("deal", [deal_row(2, OPPORTUNITY="5.00", DATE_MODIFY=at(30 * 60))])
    load = load_portal(settings, store)
    assert entity(load, "deals").rows_quarantined == 0
    assert entity(load, "deals").unexplained == 0
    assert raw_count(settings, "deals") == 2


def test_a_quarantined_row_that_is_deleted_later_leaves_the_count(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1), deal_row(2, OPPORTUNITY="a lot"), deal_row(3)])
    load_portal(settings, store)
    store.delete("deal", 2)
    load = load_portal(settings, store)
    assert entity(load, "deals").rows_quarantined == 0
    assert entity(load, "deals").unexplained == 0


def test_a_row_that_becomes_unreadable_is_not_taken_for_deleted(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 6)])
    load_portal(settings, store)
    advance(store, 2 * 24 * 60)
    store.insert("deal", [deal_row(2, OPPORTUNITY="a lot", DATE_MODIFY=at(30 * 60))])
    store.delete("deal", 5)
    load = load_portal(settings, store)
    assert entity(load, "deals").unexplained == 0
    assert entity(load, "deals").rows_deleted == 1
    with warehouse(settings) as connection:
        marks = connection.execute("select id from raw_bitrix24.deleted_records").fetchall()
    assert marks == [(5,)]


def test_a_row_deleted_while_the_entity_is_read_again_is_no_loss(
    settings: Settings, store: PortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 6)])
    load_portal(settings, store)
    store.delete("deal", 5)
    ids = Bitrix24Connector.ids

    def delete_one_before_the_ids_are_read(self, name, upper_id):
        if name == "deals":
            store.delete("deal", 4)
        return ids(self, name, upper_id)

    monkeypatch.setattr(Bitrix24Connector, "ids", delete_one_before_the_ids_are_read)
    load = load_portal(settings, store)
    assert entity(load, "deals").rows_deleted == 2
    assert entity(load, "deals").unexplained == 0


def test_a_known_mass_deletion_passes_with_a_higher_threshold(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 101)])
    load_portal(settings, store)
    for deal_id in range(1, 51):
        store.delete("deal", deal_id)
    with serve_in_thread(Portal(store)) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        options = LoadOptions(loss_threshold_share=0.6)
        load = load_connection(pipeline_of(settings), connector, options)
    assert entity(load, "deals").rows_deleted == 50


def test_a_deleted_deal_is_marked_and_never_removed(settings: Settings, store: PortalStore) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 60)])
    load_portal(settings, store)
    store.delete("deal", 5)
    load = load_portal(settings, store)
    assert raw_count(settings, "deals") == 59
    assert entity(load, "deals").rows_deleted == 1
    assert entity(load, "deals").unexplained == 0
    with warehouse(settings) as connection:
        marks = connection.execute("select entity, id from raw_bitrix24.deleted_records").fetchall()
    assert marks == [("deals", 5)]


def test_a_mass_disappearance_stops_with_a_message_and_marks_nothing(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 101)])
    load_portal(settings, store)
    for deal_id in range(1, 51):
        store.delete("deal", deal_id)
    with pytest.raises(SourceError, match="returned 50 of 100 known deals"):
        load_portal(settings, store)
    assert raw_count(settings, "deleted_records") == 0


def test_what_the_portal_has_stopped_at_the_cut_is_read_last_and_whole(
    settings: Settings, store: PortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 61)])
    store.insert("contact", [{"ID": n, "NAME": "Vera"} for n in range(1, 61)])
    rule = {"method": "crm.contact.list", "action": "operation_limit", "seconds": 1}
    portal = Portal(store, fault_plan=FaultPlan([rule]))
    read_before: list[int] = []
    count_waiting = Bitrix24Connector.count_waiting

    def counting(connector: Bitrix24Connector, cut: Cut) -> Cut:
        read_before.append(raw_count(settings, "deals"))
        return count_waiting(connector, cut)

    monkeypatch.setattr(Bitrix24Connector, "count_waiting", counting)
    load = load_from(settings, portal)
    assert read_before == [60]
    assert load.problems == ()
    contacts = next(found for found in load.entities if found.entity == "contacts")
    assert (contacts.rows_reported, contacts.rows_raw, contacts.complete_up_to) == (
        60,
        60,
        load.cut_at,
    )


def test_an_interrupted_extraction_keeps_the_old_cursor(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 11)])
    load_portal(settings, store)
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(11, 21)])
    # Calls come after the history: once in the cut, then while they are read.
    blocked = {"method": "voximplant.statistic.get", "action": "overload", "times": "forever"}
    portal = Portal(store, fault_plan=FaultPlan([{**blocked, "nth": 2}]))
    with pytest.raises(SourceError, match="Bitrix24's support") as told:
        load_from(settings, portal)
    assert "\n" not in str(told.value)
    assert portal.calls["crm.stagehistory.list"] > 6, "the history was read before"
    assert raw_count(settings, "stage_history") == 10
    load_portal(settings, store)
    assert raw_count(settings, "stage_history") == 20


def test_a_pending_package_is_finished_and_then_new_rows_are_extracted(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    load_portal(settings, store)
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 11)])
    with serve_in_thread(Portal(store)) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        pipeline = pipeline_of(settings)
        pipeline.extract(connector.source(connector.cut(), Tally(), Request()))
        connector.close()
        assert pipeline.has_pending_data
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(11, 21)])
    load = load_portal(settings, store)
    assert entity(load, "stage_history").rows_received == 10
    assert raw_count(settings, "stage_history") == 20
    assert raw_count(settings, "deals") == 1


_KILLED = """
    import os, signal
    from pathlib import Path
    import dlt.load.load as load_module
    from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
    from sources.loading import load_connection
    from sources.pipelines import make_pipeline

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    load_module.Load.complete_package = die
    pipeline = make_pipeline(
        "bitrix24", "main", warehouse=Path({warehouse!r}), pipelines_dir=Path({pipelines!r})
    )
    load_connection(pipeline, Bitrix24Connector(Bitrix24Client({address!r}), "main"))
"""


def test_a_load_killed_between_tables_and_completion_loses_and_doubles_nothing(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 81)])
    store.insert("call", [call_row(n, n) for n in range(1, 81)])
    settings.make_folders()
    with serve_in_thread(Portal(store)) as address:
        code = textwrap.dedent(_KILLED).format(
            warehouse=str(settings.warehouse),
            pipelines=str(settings.pipelines_dir),
            address=address,
        )
        killed = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT_DIR,
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
            capture_output=True,
            check=False,
        )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    store.insert("call", [call_row(81, 81)])
    load = load_portal(settings, store)
    assert raw_count(settings, "deals") == 80
    assert raw_count(settings, "calls") == 81
    assert entity(load, "calls").unexplained == 0


def test_two_companies_with_two_connections_interleaved_over_three_days_lose_no_row(
    tmp_path: Path,
) -> None:
    companies = {
        name: make_company(tmp_path / name, name, connections=("main", "branch"))
        for name in ("alpha", "beta")
    }
    stores = {
        (company, connection): make_portal(tmp_path / f"{company}_{connection}.sqlite")
        for company in companies
        for connection in ("main", "branch")
    }
    expected: dict[tuple[str, str], int] = dict.fromkeys(stores, 0)
    for day in range(3):
        for number, (place, store) in enumerate(stores.items()):
            company, connection = place
            store.clock = NOON + dt.timedelta(days=day + 1)
            # Every connection has the same ids: only the source key tells their rows apart.
            new = 20 + number
            first = expected[place] + 1
            minutes = day * 24 * 60
            store.insert(
                "deal",
                [
                    deal_row(n, DATE_CREATE=at(minutes), DATE_MODIFY=at(minutes))
                    for n in range(first, first + new)
                ],
            )
            store.insert("call", [call_row(n, minutes) for n in range(first, first + new)])
            expected[place] += new
            load_portal(companies[company], store, connection)
    for (company, connection), rows in expected.items():
        for table in ("deals", "calls"):
            held = raw_count(companies[company], table, f"bitrix24:{connection}")
            assert held == rows, (company, connection, table)


def test_the_state_of_a_connection_stands_under_the_companys_data(
    settings: Settings, store: PortalStore
) -> None:
    load_portal(settings, store)
    assert (settings.pipelines_dir / "bitrix24__main").is_dir()


def test_loaded_packages_leave_no_rows_behind_on_disk(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    load_portal(settings, store)
    assert not list(settings.pipelines_dir.rglob("*.parquet"))


def test_a_busy_portal_is_waited_for_and_all_rows_arrive(
    settings: Settings, store: PortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert("call", [call_row(n, n % 1000) for n in range(1, 1501)])
    # A bucket that only drains while the client waits, by a clock that the waiting moves.
    moment = [0.0]

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=sleep))
    bucket = LeakyBucket(drain_per_second=2, threshold=3, now=lambda: moment[0])
    with serve_in_thread(Portal(store, bucket=bucket)) as address:
        client = Bitrix24Client(address, requests_per_second=0)
        load = load_connection(pipeline_of(settings), Bitrix24Connector(client, "main"))
    assert client.limits_met > 0
    assert entity(load, "calls").rows_raw == 1500


# First loads in several packages


def in_ranges_of_forty(
    lower: int, upper: int, rows: int, first_id: int | None = None
) -> list[Span]:
    bounds = [*range(lower, upper, 40), upper]
    return [Span(low, high, 40) for low, high in itertools.pairwise(bounds)]


def test_a_first_load_killed_between_packages_goes_on_where_it_stopped(
    settings: Settings, store: PortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 131)])
    monkeypatch.setattr("sources.bitrix24.lister.spans", in_ranges_of_forty)
    monkeypatch.setattr("sources.bitrix24.lister.ROWS_PER_PACKAGE", 1)
    source = Bitrix24Connector.source
    packages = 0

    def killed_at_the_third(self: Bitrix24Connector, *arguments: Any) -> Any:
        nonlocal packages
        packages += 1
        if packages == 3:
            raise KeyboardInterrupt
        return source(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Bitrix24Connector, "source", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            load_from(settings, Portal(store))
    assert raw_count(settings, "deals") == 80
    assert raw_count(settings, "load_log") == 0
    # What changes and comes while the first load is under way arrives with this load or the next.
    advance(store, 26 * 60)
    changed = {"TITLE": "Renamed", "DATE_MODIFY": at(25 * 60)}
    store.insert("deal", [deal_row(3, **changed), deal_row(120, **changed)])
    store.insert("deal", [deal_row(131, DATE_CREATE=at(25 * 60), DATE_MODIFY=at(25 * 60))])
    second = load_from(settings, Portal(store))
    assert entity(second, "deals").rows_received == 51
    assert entity(second, "deals").unexplained == 0
    third = load_from(settings, Portal(store))
    assert entity(third, "deals").rows_received == 3
    held = rows_of(settings, "select id, title from deals order by id")
    assert held == [(n, "Renamed" if n in (3, 120) else f"Deal {n}") for n in range(1, 132)]


def test_a_lost_warehouse_is_filled_anew(settings: Settings, store: PortalStore) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 31)])
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 31)])
    load_portal(settings, store)
    settings.warehouse.unlink()
    advance(store, 3 * 24 * 60)
    load = load_portal(settings, store)
    for name in ("deals", "stage_history"):
        assert entity(load, name).rows_received == 30
        assert raw_count(settings, name) == 30


# Sweeps


def test_a_replaced_record_that_no_count_shows_is_found_by_the_weekly_sweep(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n) for n in (1, 2, 3, 5, 6)])
    load_portal(settings, store)
    store.delete("deal", 5)
    # Came back from an archive with its old times.
    store.insert("deal", [deal_row(4)])
    advance(store, 3 * 24 * 60)
    load = load_portal(settings, store)
    assert (entity(load, "deals").was_swept, entity(load, "deals").unexplained) == (False, 0)
    advance(store, 8 * 24 * 60)
    load = load_portal(settings, store)
    swept = entity(load, "deals")
    assert (swept.was_swept, swept.rows_received, swept.rows_deleted) == (True, 1, 1)
    assert not entity(load, "stage_history").was_swept
    assert rows_of(settings, "select id from deals order by id") == [(n,) for n in range(1, 7)]
    assert rows_of(settings, "select id from deleted_records") == [(5,)]


def test_a_record_that_is_restored_counts_again(settings: Settings, store: PortalStore) -> None:
    store.insert("deal", [deal_row(n) for n in range(1, 4)])
    load_portal(settings, store)
    store.delete("deal", 2)
    advance(store, 26 * 60)
    assert entity(load_portal(settings, store), "deals").rows_deleted == 1
    store.insert("deal", [deal_row(2)])
    advance(store, 28 * 60)
    load = load_portal(settings, store)
    assert (entity(load, "deals").rows_received, entity(load, "deals").rows_deleted) == (1, 0)
    assert entity(load, "deals").unexplained == 0
    assert raw_count(settings, "deals") == 3


def test_a_quarantined_entry_that_was_corrected_arrives_with_a_sweep(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    entries = [history_row(n, 1, n, "NEW") for n in range(1, 4)]
    store.insert("stage_history", [*entries, history_row(4, 1, 4, "NEW", CREATED_TIME=None)])
    first = load_portal(settings, store)
    assert entity(first, "stage_history").rows_quarantined == 1
    store.insert("stage_history", [history_row(4, 1, 4, "NEW")])
    load = load_from(settings, Portal(store), LoadOptions(sweeps=True))
    found = entity(load, "stage_history")
    assert (found.was_swept, found.rows_received, found.rows_quarantined) == (True, 1, 0)
    assert raw_count(settings, "stage_history") == 4
    assert all(found.was_swept for found in load.entities if found.upper_id is not None)


def test_fewer_users_than_last_time_are_told(settings: Settings, store: PortalStore) -> None:
    user = {"ACTIVE": 1, "USER_TYPE": "employee"}
    store.insert("user", [{"ID": n, **user} for n in range(2, 6)])
    assert load_portal(settings, store).problems == ()
    store.delete("user", 5)
    load = load_portal(settings, store)
    users = entity(load, "users")
    assert (users.rows_reported, users.rows_raw, users.rows_deleted, users.rows_fewer) == (
        4,
        5,
        1,
        1,
    )
    assert users.unexplained == 0
    assert load.problems == (
        "users: the system now returns 1 fewer than at the last load; check that the access "
        "still sees everything.",
    )


# What the access does not reach


def test_a_refused_entity_is_told_and_the_others_load(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("call", [call_row(1, 1)])
    scopes = tuple(scope for scope in SCOPES if scope not in ("telephony", "task"))
    load = load_from(settings, Portal(store, scopes=scopes))
    assert {found.entity for found in load.entities if found.problem} == {"calls", "tasks"}
    assert [problem.partition(":")[0] for problem in load.problems] == ["tasks", "calls"]
    assert entity(load, "calls").complete_up_to is None
    assert entity(load, "deals").complete_up_to == load.cut_at
    told = rows_of(settings, "select entity, problem from load_log where problem is not null")
    assert dict(told).keys() == {"calls", "tasks"}
    assert "lacks a scope" in dict(told)["calls"]
    # As soon as the access reaches them, they are read from their beginning.
    load = load_from(settings, Portal(store))
    assert (load.problems, entity(load, "calls").rows_raw) == ((), 1)


def test_a_core_entity_that_is_refused_fails_the_load_after_the_others(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    scopes = tuple(scope for scope in SCOPES if scope != "user")
    with pytest.raises(SourceError, match=r"could not be loaded whole\. users: .*lacks a scope"):
        load_from(settings, Portal(store, scopes=scopes))
    assert raw_count(settings, "deals") == 1
    assert raw_count(settings, "load_log") == 0


def test_an_invalid_webhook_is_told_in_one_sentence(settings: Settings, store: PortalStore) -> None:
    with serve_in_thread(Portal(store, code="another")) as address:
        client = Bitrix24Client(address.replace("another", "wrong"))
        with pytest.raises(SourceError, match="make a new one in the portal") as told:
            load_connection(pipeline_of(settings), Bitrix24Connector(client, "main"))
    assert str(told.value).count("\n") == 0


# Details


def task_row(number: int, **fields: Any) -> dict[str, Any]:
    return {"ID": number, "CREATED_DATE": at(0), "CHANGED_DATE": at(number), **fields}


def moved_deadline(number: int, task_id: int) -> dict[str, Any]:
    moved = {"FIELD": "DEADLINE", "VALUE_FROM": "1", "VALUE_TO": "2"}
    return {"ID": number, "TASK_ID": task_id, "CREATED_DATE": at(number), **moved}


def test_details_are_read_up_to_a_bound_and_go_on_with_the_next_load(
    settings: Settings, store: PortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert("task", [task_row(n) for n in range(1, 6)])
    store.insert("task_history", [moved_deadline(n, n) for n in range(1, 6)])
    portal = Portal(store)
    none = load_from(settings, portal, LoadOptions(owners_per_load=0))
    assert entity(none, "task_history").owners_pending == 5
    assert entity(none, "task_history").complete_up_to is None
    some = load_from(settings, portal, LoadOptions(owners_per_load=2))
    assert entity(some, "task_history").owners_pending == 3
    assert rows_of(settings, "select task_id from task_history order by 1") == [(4,), (5,)]

    detail_source = Bitrix24Connector.detail_source
    packages = 0

    def killed_at_the_third(self: Bitrix24Connector, *arguments: Any) -> Any:
        nonlocal packages
        packages += 1
        if packages == 3:
            raise KeyboardInterrupt
        return detail_source(self, *arguments)

    monkeypatch.setattr("sources.loading.OWNERS_PER_PACKAGE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Bitrix24Connector, "detail_source", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            load_from(settings, portal)
    assert raw_count(settings, "task_history") == 4
    done = load_from(settings, portal)
    assert entity(done, "task_history").owners_pending == 0
    assert entity(done, "task_history").complete_up_to == done.cut_at
    assert raw_count(settings, "task_history") == 5
    assert portal.calls["tasks.task.history.list"] == 5, "nobody was asked twice"
    # A task that changes is asked again, and only that one.
    advance(store, 26 * 60)
    store.insert("task", [task_row(2, CHANGED_DATE=at(25 * 60))])
    store.insert("task_history", [moved_deadline(6, 2)])
    load_from(settings, portal)
    assert portal.calls["tasks.task.history.list"] == 6
    assert raw_count(settings, "task_history") == 6


def test_a_refused_detail_is_told_and_does_not_stop_the_others(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("task", [task_row(1), task_row(2)])
    comment = {"ENTITY_TYPE": "deal", "ENTITY_ID": 1, "CREATED": at(0), "COMMENT": "Hello"}
    store.insert("timeline_comment", [{"ID": 1, **comment}])
    refused = {
        "method": "tasks.task.history.list",
        "action": "command_error",
        "status": 403,
        "code": "insufficient_scope",
        "times": "forever",
    }
    load = load_from(settings, Portal(store, fault_plan=FaultPlan([refused])))
    history = entity(load, "task_history")
    assert (history.owners_pending, "lacks a scope" in (history.problem or "")) == (2, True)
    assert [problem.partition(":")[0] for problem in load.problems] == ["task_history"]
    assert entity(load, "timeline_comments").owners_pending == 0
    assert raw_count(settings, "timeline_comments") == 1


# Increments


def test_rows_that_changed_and_came_arrive_for_every_list(
    settings: Settings, store: PortalStore
) -> None:
    def rows(numbers: range, minutes: float, title: str) -> None:
        when = at(minutes)
        made = {"DATE_CREATE": at(0), "DATE_MODIFY": when}
        item = {"CREATED_TIME": at(0), "UPDATED_TIME": when, "TITLE": title, "STAGE_ID": "NEW"}
        for n in numbers:
            store.insert("lead", [{"ID": n, **made, "TITLE": title, "STATUS_ID": "NEW"}])
            store.insert("company", [{"ID": n, **made, "TITLE": title}])
            store.insert("contact", [{"ID": n, **made, "NAME": title}])
            store.insert("invoice", [{"ID": n, **item}])
            store.insert("smart_item", [{"ID": n + 1000, "ENTITY_TYPE_ID": 177, **item}])
            store.insert("task", [task_row(n, TITLE=title, CHANGED_DATE=when)])
            store.insert("product", [{"ID": n, "NAME": title, "DATE_CREATE": at(0)}])
            done = int(title == "new")
            activity = {"TYPE_ID": 1, "SUBJECT": title, "COMPLETED": done, "CREATED": at(0)}
            store.insert("activity", [{"ID": n, **activity, "LAST_UPDATED": when}])

    pipeline = {"NAME": "Repairs", "SORT": 10, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": 177}
    store.insert("category", [{"ID": 5, **pipeline}])
    stage = {"ENTITY_ID": "DYNAMIC_177_STAGE_5", "STATUS_ID": "DT177_5:NEW", "NAME": "New"}
    store.insert("status", [{"ID": 50, "SORT": 10, **stage}])
    rows(range(1, 61), 0, "old")
    first = load_from(settings, Portal(store), smart_processes=(177,))
    assert first.problems == ()
    advance(store, 3 * 24 * 60)
    rows(range(3, 5), 2 * 24 * 60, "new")
    rows(range(61, 63), 2 * 24 * 60, "new")
    second = load_from(settings, Portal(store), smart_processes=(177,))
    assert second.problems == ()
    for name, column in {
        "leads": "title",
        "companies": "title",
        "contacts": "name",
        "invoices": "title",
        "smart_items": "title",
        "tasks": "title",
        "products": "name",
        "activities": "subject",
    }.items():
        new = rows_of(settings, f"select id % 1000 from {name} where {column} = 'new' order by id")
        assert new == [(3,), (4,), (61,), (62,)], name
        assert raw_count(settings, name) == 62, name
        entity_name = "smart_items_177" if name == "smart_items" else name
        # Only what changed; products say no time of change and come whole.
        received = entity(second, entity_name).rows_received
        assert received == (62 if name == "products" else 4), name
    assert rows_of(settings, "select count(*) from activities where completed") == [(4,)]
    assert (177, 5) in rows_of(settings, "select entity_type_id, id from categories")
    assert ("DT177_5:NEW",) in rows_of(settings, "select status_id from statuses")


# Back-fills


def test_a_backfill_reads_a_window_and_moves_no_cursor(
    settings: Settings, store: PortalStore
) -> None:
    store.insert(
        "deal", [deal_row(n, DATE_CREATE=at(n * 60), DATE_MODIFY=at(n * 60)) for n in range(1, 21)]
    )
    store.insert("call", [call_row(n, n * 60) for n in range(1, 21)])
    load_portal(settings, store)
    pipeline = pipeline_of(settings)
    before = pipeline.state["sources"]
    # Changed behind the portal's back: no time of change says so.
    store.insert(
        "deal",
        [
            deal_row(n, TITLE="Renamed", DATE_CREATE=at(n * 60), DATE_MODIFY=at(n * 60))
            for n in range(1, 21)
        ],
    )
    store.insert("user", [{"ID": 2, "ACTIVE": 1}])
    with serve_in_thread(Portal(store)) as address:
        received = backfill_connection(
            pipeline,
            Bitrix24Connector(Bitrix24Client(address, requests_per_second=0), "main"),
            ["calls", "users", "deals"],
            NOON + dt.timedelta(hours=5),
            NOON + dt.timedelta(hours=9),
        )
    assert received == {"users": 2, "deals": 4, "calls": 4}
    assert list(received) == ["users", "deals", "calls"]
    renamed = rows_of(settings, "select id from deals where title = 'Renamed' order by id")
    assert renamed == [(5,), (6,), (7,), (8,)]
    assert (raw_count(settings, "deals"), raw_count(settings, "users")) == (20, 2)
    assert pipeline_of(settings).state["sources"] == before


@pytest.mark.parametrize(
    ("entities", "hours", "sentence"),
    [
        (["deal"], 1, "bitrix24:main has no entity 'deal'; choose from users, "),
        (["deals"], 0, "end must lie after its start"),
        (["deals"], -1, "end must lie after its start"),
    ],
)
def test_a_backfill_that_is_not_possible_is_told(
    settings: Settings, entities: list[str], hours: int, sentence: str
) -> None:
    connector = Bitrix24Connector(Bitrix24Client("http://127.0.0.1:1/rest/1/none/"), "main")
    end = NOON + dt.timedelta(hours=hours)
    with pytest.raises(InputError, match=sentence):
        backfill_connection(pipeline_of(settings), connector, entities, NOON, end)


def test_after_a_backfill_the_next_load_reads_the_details_of_its_owners_again(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(n, DATE_CREATE=at(n * 60)) for n in range(1, 5)])
    load_portal(settings, store)
    # A comment that moves no time of change.
    store.insert(
        "timeline_comment",
        [
            {"ID": n, "ENTITY_TYPE": "deal", "ENTITY_ID": n, "AUTHOR_ID": 1, "CREATED": at(500)}
            for n in range(1, 5)
        ],
    )
    assert entity(load_portal(settings, store), "timeline_comments").rows_received == 0
    with serve_in_thread(Portal(store)) as address:
        backfill_connection(
            pipeline_of(settings),
            Bitrix24Connector(Bitrix24Client(address, requests_per_second=0), "main"),
            ["timeline_comments"],
            NOON + dt.timedelta(hours=2),
            NOON + dt.timedelta(hours=4),
        )
    assert entity(load_portal(settings, store), "timeline_comments").rows_received == 2


def test_a_backfill_of_what_is_refused_is_told(settings: Settings, store: PortalStore) -> None:
    scopes = tuple(scope for scope in SCOPES if scope != "telephony")
    with serve_in_thread(Portal(store, scopes=scopes)) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        with pytest.raises(SourceError, match=r"calls: .* lacks a scope"):
            backfill_connection(
                pipeline_of(settings), connector, ["calls"], NOON, NOON + dt.timedelta(days=1)
            )
