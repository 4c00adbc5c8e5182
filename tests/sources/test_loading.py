"""The load path: merging, cursors, crashes, pending packages, deletions, several companies."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR, Settings
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.errors import SourceError
from sources.loading import ConnectionLoad, EntityLoad, load_connection
from tests.support.companies import load_portal, make_company, pipeline_of, raw_count, warehouse
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_company(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> PortalStore:
    return make_portal(tmp_path / "portal.sqlite")


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
    assert {found.rows_raw for found in load.entities} == {0}
    assert raw_count(settings, "calls") == 0


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
    source = Bitrix24Connector.source

    def delete_one_before_the_second_read(self, cut, tally, *, reread=()):
        if reread:
            store.delete("deal", 4)
        return source(self, cut, tally, reread=reread)

    monkeypatch.setattr(Bitrix24Connector, "source", delete_one_before_the_second_read)
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
        load = load_connection(pipeline_of(settings), connector, loss_threshold_share=0.6)
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


def test_an_interrupted_extraction_keeps_the_old_cursor(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 11)])
    load_portal(settings, store)
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(11, 21)])
    with serve_in_thread(Portal(store, scopes=("crm", "user", "department"))) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        with pytest.raises(SourceError, match="lacks a scope"):
            load_connection(pipeline_of(settings), connector)
    assert raw_count(settings, "stage_history") == 10
    load_portal(settings, store)
    assert raw_count(settings, "stage_history") == 20


def test_a_pending_package_is_finished_and_then_new_rows_are_extracted(
    settings: Settings, store: PortalStore
) -> None:
    store.insert("deal", [deal_row(1)])
    store.insert("stage_history", [history_row(n, 1, n, "NEW") for n in range(1, 11)])
    with serve_in_thread(Portal(store)) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        pipeline = pipeline_of(settings)
        from sources.connection import Tally

        pipeline.extract(connector.source(connector.cut(), Tally()))
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
    from sources.loading import load_connection, make_pipeline

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
    from sources.demo.limiter import LeakyBucket

    store.insert("call", [call_row(n, n % 1000) for n in range(1, 1501)])
    # A bucket that drains fast keeps the test short; it refuses all the same.
    bucket = LeakyBucket(drain_per_second=40, threshold=3)
    monkeypatch.setattr("sources.bitrix24.client._wait", lambda state: 0.05)
    portal = Portal(store, bucket=bucket)
    with serve_in_thread(portal) as address:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        load = load_connection(pipeline_of(settings), connector)
    assert portal.requests > sum(portal.calls.values())
    assert entity(load, "calls").rows_raw == 1500
