"""What tests write as raw tables is what a load leaves: column by column, row by row."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from orchestration.systems import SYSTEMS
from sources.amocrm import AmoClient, AmoConnector, LongLivedToken
from sources.demo.amocrm.conversion import write_amo_store
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.generator import CompanySize, write_store
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.loading import load_connection
from sources.pipelines import make_pipeline
from tests.support.amo_accounts import client_row, lead_row, make_account, note_row, task_row
from tests.support.portals import at
from tests.support.raw_amocrm import write_raw_amocrm

TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
SHOP = "amocrm:shop"


def invented(folder: Path) -> AmoStore:
    """The invented company; its clock is between two seconds."""
    write_store(folder / "portal.sqlite", TINY)
    with PortalStore(folder / "portal.sqlite", read_only=True) as source:
        write_amo_store(source, folder / "account.sqlite")
    store = AmoStore(folder / "account.sqlite")
    store.clock += dt.timedelta(microseconds=600_000)
    return store


def odd(folder: Path) -> AmoStore:
    """What goes wrong: rows that can't be read, events of the future, a recycle bin, an inbox."""
    store = make_account(folder / "account.sqlite")
    store.insert("lead", [lead_row(n, is_deleted=int(n == 3)) for n in range(1, 5)])
    store.insert("lead", [lead_row(5, price="a lot"), lead_row(6, created_at=None)])
    store.insert("contact", [client_row(11), client_row(12, created_at=-5_000_000)])
    store.insert("loss_reason", [{"id": 1, "name": "Dear", "sort": "first"}, {"id": 2}])
    store.insert("unsorted", [{"uid": "a", "category": "sip"}, {"uid": "b", "pipeline_id": "?"}])
    store.insert("note", [note_row(1, "leads", 1), note_row(2, "companies", 9)])
    store.insert("task", [task_row(1, 1), task_row(2, 1, complete_till=None)])
    for minutes in (-1, 0, 1):
        store.add_event("lead_added", entity_id=1, created_at=at(minutes))
    store.add_event("lead_color_changed", entity_id=1)
    store.add_event("lead_deleted", entity_id="nobody", created_at=at(-2))
    return store


@pytest.mark.parametrize("is_admin", [True, False])
@pytest.mark.parametrize("make", [invented, odd], ids=["invented", "odd"])
def test_it_is_what_a_load_leaves(tmp_path: Path, make: object, is_admin: bool) -> None:
    assert callable(make)
    store = make(tmp_path)
    loaded = tmp_path / "loaded.duckdb"
    pipeline = make_pipeline("amocrm", "shop", warehouse=loaded, pipelines_dir=tmp_path / "dlt")
    with serve_in_thread(AmoPortal(store, is_admin=is_admin)) as address:
        client = AmoClient(LongLivedToken(address, "demo"), "shop", requests_per_second=0)
        client.host = "account.example"
        load_connection(pipeline, AmoConnector(client, "shop"))
    with duckdb.connect() as connection:
        write_raw_amocrm(connection, {SHOP: store}, without_users=() if is_admin else (SHOP,))
        connection.execute(f"attach '{loaded}' as loaded (read_only)")
        for table in SYSTEMS["amocrm"].tables:
            written, expected = f"raw_amocrm.{table}", f"loaded.raw_amocrm.{table}"
            assert columns(connection, written) == columns(connection, expected), table
            named = ", ".join(f'"{name}"' for name in columns(connection, written))
            for one, other in ((written, expected), (expected, written)):
                rows = connection.execute(
                    f"select {named} from {one} except all select {named} from {other}"
                ).fetchall()
                assert rows == [], (table, one)
        quarantined = connection.execute("select count(*) from raw_amocrm.quarantine").fetchone()
    assert quarantined == (6 if make is odd else 0,)


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Types by name, without what dlt adds."""
    described = connection.execute(f"describe {table}").fetchall()
    return {row[0]: row[1] for row in described if not row[0].startswith("_dlt")}
