"""A whole load of an account: first read, increments, deletions, refusals, deaths, back-fills."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sources.amocrm import (
    TABLES,
    AmoClient,
    AmoConnector,
    LongLivedToken,
    client,
    lister,
    windows,
)
from sources.backfill import backfill_connection
from sources.connection import Request, Tally
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.problems import forbidden
from sources.demo.amocrm.store import ENTITIES, AmoStore
from sources.demo.faults import FaultPlan
from sources.demo.server import serve_in_thread
from sources.errors import SourceError
from sources.loading import ConnectionLoad, EntityLoad, LoadOptions, load_connection
from sources.pipelines import make_pipeline, run
from tests.support.amo_accounts import (
    NEW,
    TALKS,
    client_row,
    lead_row,
    make_account,
    note_row,
    task_row,
)
from tests.support.portals import NOON, at

pytestmark = pytest.mark.scattered


class Account:
    """An account on loopback and a warehouse."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = make_account(folder / "account.sqlite")
        self.store.clock += dt.timedelta(days=1)
        self.portal = AmoPortal(self.store, token="long-lived")

    def load(self, options: LoadOptions | None = None) -> dict[str, EntityLoad]:
        return self.told(options)[1]

    def told(self, options: LoadOptions | None = None) -> tuple[ConnectionLoad, dict[str, Any]]:
        with serve_in_thread(self.portal) as address:
            done = load_connection(self.pipeline(), self.connector(address), options)
        return done, {load.entity: load for load in done.entities}

    def connector(self, address: str) -> AmoConnector:
        access = LongLivedToken(address, "long-lived")
        return AmoConnector(AmoClient(access, "shop", requests_per_second=0), "shop")

    def pipeline(self) -> Any:
        return make_pipeline(
            "amocrm",
            "shop",
            warehouse=self.folder / "warehouse.duckdb",
            pipelines_dir=self.folder / "dlt",
        )

    def rows(self, sql: str) -> list[Any]:
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as warehouse:
            return warehouse.execute(sql.replace("raw.", "raw_amocrm.")).fetchall()

    def ids(self, table: str) -> list[int]:
        return [row[0] for row in self.rows(f"select id from raw.{table} order by id")]

    def next_day(self) -> None:
        self.store.clock += dt.timedelta(days=1)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def test_all_tables_exist_and_dictionaries_come_in_an_account_without_cards(
    account: Account,
) -> None:
    store = account.store
    options = [{"id": 411, "value": "Site", "sort": 1}]
    field = {"id": 41, "entity_type": "leads", "name": "Source", "type": "select"}
    store.insert("custom_field", [{**field, "enums": options}])
    store.insert("loss_reason", [{"id": 31, "name": "Too dear", "sort": 1}])
    store.insert("tag", [{"id": 51, "entity_type": "leads", "name": "hot"}])
    store.insert("catalog", [{"id": 61, "name": "Goods", "type": "products"}])
    store.insert("catalog_element", [{"id": 611, "catalog_id": 61, "name": "Sofa"}])
    loads = account.load()
    made = {row[0] for row in account.rows("select table_name from duckdb_tables()")}
    assert TABLES.keys() - made == set()
    assert account.rows("select name, is_active, group_id from raw.users order by id") == [
        ("User 1", True, 7),
        ("User 2", False, 7),
    ]
    assert account.ids("groups") == [7]
    stages = account.rows("select id from raw.statuses where pipeline_id = 100 order by sort")
    assert [row[0] for row in stages] == [101, NEW, TALKS, 142, 143]
    assert (account.ids("loss_reasons"), account.ids("tags")) == ([31], [51])
    assert account.rows("select entity_type, field_id, id, value from raw.custom_field_enums") == [
        ("leads", 41, 411, "Site")
    ]
    assert account.rows("select catalog_id, id from raw.catalog_elements") == [(61, 611)]
    assert account.rows("select id, name, currency from raw.account") == [(31, "example", "RUB")]
    assert account.rows("select * from raw.quarantine") == []
    assert {load.entity for load in loads.values() if load.unexplained} == set()
    assert all(load.complete_up_to for load in loads.values())


def test_what_is_new_and_what_has_changed_comes_by_the_next_load(account: Account) -> None:
    store = account.store
    store.insert("lead", [lead_row(n) for n in range(1, 4)])
    store.insert("contact", [client_row(11)])
    store.insert("task", [task_row(21, 1)])
    store.insert("note", [note_row(31, "leads", 1), note_row(32, "contacts", 11)])
    store.add_event("lead_added", entity_id=1)
    first = account.load()
    assert account.ids("leads") == [1, 2, 3]
    assert first["leads"].upper_id == 3
    assert first["leads"].rows_reported is None
    account.next_day()
    store.move_lead(2, TALKS)
    store.insert("lead", [lead_row(4, updated_at=at(2880))])
    account.portal.calls.clear()
    second = account.load()
    assert account.rows("select id, status_id from raw.leads order by id") == [
        (1, NEW),
        (2, TALKS),
        (3, NEW),
        (4, NEW),
    ]
    assert second["leads"].rows_received == 2
    assert account.rows("select entity_type, id from raw.notes order by id") == [
        ("leads", 31),
        ("contacts", 32),
    ]
    assert account.rows("select type from raw.events order by created_at") == [
        ("lead_added",),
        ("lead_status_changed",),
    ]
    # The new one, and the one in the overlap of the two loads.
    assert (second["events"].rows_reported, second["events"].unexplained) == (2, 0)
    # Newest, recycle bin, what changed until an hour ago and since: a page each.
    assert account.portal.calls["leads"] == 4


def test_the_events_that_a_load_has_read_are_counted_against_raw(account: Account) -> None:
    for minute in range(250):
        at = int((NOON + dt.timedelta(minutes=minute)).timestamp() * 1_000_000)
        account.store.add_event("lead_added", entity_id=minute + 1, created_at=at)
    loads = account.load()
    assert (loads["events"].rows_reported, loads["events"].rows_raw) == (250, 250)
    account.next_day()
    loads = account.load()
    assert (loads["events"].rows_reported, loads["events"].rows_raw) == (0, 0)
    assert len(account.ids("events")) == 250


def test_deleted_leads_are_marked_by_the_sweep_and_come_back_when_restored(
    account: Account,
) -> None:
    store = account.store
    store.insert("lead", [lead_row(n) for n in range(1, 31)])
    account.load()
    account.next_day()
    store.delete("lead", 7)
    loads = account.load(LoadOptions(sweeps=True))
    swept = loads["leads"]
    assert (swept.was_swept, swept.rows_raw, swept.rows_deleted) == (True, 30, 1)
    assert (swept.rows_reported, swept.unexplained) == (29, 0)
    assert account.ids("deleted_leads") == [7]
    assert account.ids("deleted_records") == [7]
    account.next_day()
    store.insert("lead", [lead_row(7)])
    loads = account.load(LoadOptions(sweeps=True))
    assert (loads["leads"].rows_deleted, loads["leads"].unexplained) == (0, 0)
    assert loads["leads"].rows_received == 1


def test_leads_are_swept_by_themselves_after_a_week(account: Account) -> None:
    account.store.insert("lead", [lead_row(n) for n in range(1, 4)])
    assert not account.load()["leads"].was_swept
    account.store.clock += dt.timedelta(days=7)
    account.store.purge("lead", 2)
    swept = account.load()["leads"]
    assert (swept.was_swept, swept.rows_deleted, swept.unexplained) == (True, 1, 0)


def test_an_access_that_sees_little_of_what_it_saw_marks_nothing(account: Account) -> None:
    account.store.insert("lead", [lead_row(n) for n in range(1, 61)])
    account.load()
    for number in range(1, 31):
        account.store.purge("lead", number)
    with pytest.raises(SourceError, match="30 of 60 known leads: nothing was marked"):
        account.load(LoadOptions(sweeps=True))
    assert account.ids("deleted_records") == []


def test_without_administrator_rights_users_are_told_as_not_checked(account: Account) -> None:
    account.portal.is_admin = False
    account.store.insert("lead", [lead_row(1)])
    loads = account.load()
    assert account.ids("leads") == [1]
    assert loads["users"].problem is not None
    assert "cannot be checked (Q1)" in loads["users"].problem
    assert loads["users"].complete_up_to is None


def test_a_load_without_leads_does_not_count(account: Account) -> None:
    account.portal.faults["leads"] = [forbidden() for _ in range(9)]
    with pytest.raises(SourceError, match=r"leads: .* lacks the right"):
        account.load()
    assert account.rows("select count(*) from raw.load_log") == [(0,)]


def test_a_first_read_goes_on_where_it_was_interrupted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lister, "PAGES_PER_PACKAGE", 1)
    account.store.insert("lead", [lead_row(n) for n in range(1, 601)])
    pages: list[str] = []
    real = lister.Lister._first_read

    def dies_at_the_second(self: Any, state: dict[str, Any]) -> Any:
        if self.entity.name == "leads" and "rows_left" in state:
            raise SourceError("the power is gone")
        yield from real(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(lister.Lister, "_first_read", dies_at_the_second)
        with pytest.raises(SourceError, match="power is gone"):
            account.load()
    assert account.ids("leads") == list(range(501, 601))
    pages.clear()
    loads = account.load()
    assert account.ids("leads") == list(range(1, 601))
    assert loads["leads"].rows_received == 500


def test_a_restored_lead_makes_the_first_read_begin_anew(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lister, "PAGES_PER_PACKAGE", 1)
    store = account.store
    store.insert("lead", [lead_row(n, is_deleted=int(n == 1)) for n in range(1, 601)])
    real = lister.Lister._first_read
    packages: list[int] = []

    def restores(self: Any, state: dict[str, Any]) -> Any:
        yield from real(self, state)
        if self.entity.name == "leads":
            packages.append(state.get("rows_left", 0))
            if len(packages) == 1:
                # Lead 1 enters in front: the last lead of the page before moves onto a page read.
                store.insert("lead", [lead_row(1)])
                store.add_event("lead_restored", entity_id=1)

    monkeypatch.setattr(lister.Lister, "_first_read", restores)
    account.load()
    assert account.ids("leads") == list(range(1, 601))
    assert len(packages) == 6


@pytest.mark.parametrize("name", ["lead", "task"])
def test_a_backfill_reads_what_was_created_in_the_window(account: Account, name: str) -> None:
    made = {"created_at": at, "updated_at": at}
    table = f"{name}s"
    for n in range(1, 10):
        row = lead_row(n) if name == "lead" else task_row(n, 1)
        account.store.insert(name, [{**row, **{field: when(n) for field, when in made.items()}}])
    account.load()
    with serve_in_thread(account.portal) as address:
        start, end = NOON + dt.timedelta(minutes=3), NOON + dt.timedelta(minutes=6)
        received = backfill_connection(
            account.pipeline(), account.connector(address), [table, "events"], start, end
        )
    assert received[table] == 3
    assert account.ids(table) == list(range(1, 10))


def test_what_a_sweep_misses_meanwhile_does_not_count(account: Account) -> None:
    """An id that is gone when its row is asked for is not reported as missing."""
    account.store.insert("lead", [lead_row(n) for n in (1, 2, 3)])
    account.load()
    with serve_in_thread(account.portal) as address:
        connector = account.connector(address)
        cut = connector.cut()
        assert connector.ids("leads", 3).to_pylist() == [1, 2, 3]
        account.store.purge("lead", 2)
        request = Request(ids={"leads": [2, 3]})
        run(account.pipeline(), connector.source(cut, Tally(), request))
        assert connector.recount(cut, ["leads"]).reported["leads"].rows == 2
        connector.close()


def test_a_row_that_becomes_visible_late_hides_no_other(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stamped before the cut, so that it enters the list of what has changed."""
    monkeypatch.setattr(client, "LIMITS", {**client.LIMITS, "leads": 3})
    store, portal = account.store, account.portal
    store.insert("lead", [lead_row(n) for n in range(1, 10)])
    account.load()
    account.next_day()
    for n in range(2, 10):
        store.insert("lead", [lead_row(n, responsible_user_id=2, updated_at=at(30 * 60))])
    row = {"updated_at": store.clock.isoformat()}
    late = {"action": "change", "entity": "lead", "id": 1, "row": row}
    # To find the last page, then to read it.
    place = {"method": "leads", "where": {"page": "2", "order[id]": "asc"}, "nth": 2}
    portal.fault_plan = FaultPlan([{**place, **late}], entities=ENTITIES)
    account.load()
    assert portal.fault_plan.fired == {"change": 1}
    owners = account.rows("select responsible_user_id from raw.leads order by id")
    assert owners == [(1,)] + [(2,)] * 8


def test_a_lead_that_the_sweep_has_skipped_does_not_count_as_deleted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is restored meanwhile and pushes it onto a page that was read before."""
    monkeypatch.setattr(client, "LIMITS", {**client.LIMITS, "leads": 3})
    store, portal = account.store, account.portal
    store.insert("lead", [lead_row(n, is_deleted=int(n == 1)) for n in range(1, 10)])
    account.load()
    account.next_day()
    store.purge("lead", 5)
    restored = {"action": "change", "entity": "lead", "id": 1, "row": {"is_deleted": 0}}
    place = {"method": "leads", "where": {"page": "2", "order[id]": "asc"}, "nth": 2}
    portal.fault_plan = FaultPlan([{**place, **restored}], entities=ENTITIES)
    swept = account.load(LoadOptions(sweeps=True))["leads"]
    assert portal.fault_plan.fired == {"change": 1}
    assert account.ids("deleted_records") == [5]
    assert (swept.rows_deleted, swept.unexplained) == (1, 0)


def test_versions_of_owners_deadlines_and_users_are_kept(account: Account) -> None:
    store: AmoStore = account.store
    store.insert("lead", [lead_row(1)])
    account.load()
    account.next_day()
    later = int(store.clock.timestamp() * 1_000_000)
    store.insert("lead", [lead_row(1, responsible_user_id=2, updated_at=later)])
    store.insert("user", [{"id": 1, "name": "User 1", "is_active": 0, "group_id": 7}])
    account.load()
    versions = "select responsible_user_id from raw.lead_versions order by first_seen_at"
    assert account.rows(versions) == [(1,), (2,)]
    active = "select is_active from raw.user_versions where id = 1 order by first_seen_at"
    assert account.rows(active) == [(True,), (False,)]


def test_windows_of_events_are_small_by_default() -> None:
    assert windows.PAGES_PER_WINDOW * 100 <= lister.EVENTS_PER_PACKAGE
