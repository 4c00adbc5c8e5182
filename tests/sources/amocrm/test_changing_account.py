"""Loads of an account that people work in meanwhile: raw ends up as the account, row for row."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sources.amocrm import AmoClient, AmoConnector, LongLivedToken, client, lister, windows
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.server import serve_in_thread
from sources.loading import LoadOptions, load_connection
from sources.pipelines import make_pipeline
from tests.support.amo_accounts import client_row, lead_row, make_account, note_row, task_row
from tests.support.portals import at

pytestmark = pytest.mark.scattered

Make = Callable[..., dict[str, Any]]
MADE: dict[str, tuple[str, Make]] = {
    "lead": ("leads", lead_row),
    "contact": ("contacts", client_row),
    "task": ("tasks", partial(task_row, lead_id=1)),
    "note": ("notes", partial(note_row, entity_type="leads", entity_id=1)),
}


class People:
    """Between requests they create, change and delete records, and the clock goes on."""

    def __init__(self, store: AmoStore, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.next_id = 1_000
        self.is_at_work = False

    def work(self) -> None:
        if not self.is_at_work or self.chance.random() < 0.4:
            return
        self.store.clock += dt.timedelta(seconds=self.chance.randrange(0, 30))
        now = int(self.store.clock.timestamp() * 1_000_000)
        name = self.chance.choice(list(MADE))
        _, make = MADE[name]
        ids = [row[0] for row in self.store.query(f'select id from "{name}"')]
        for _ in range(self.chance.randrange(1, 4)):
            what = self.chance.choice(["create", "change", "delete"])
            if what == "create" or not ids:
                self.next_id += 1
                self.store.insert(name, [make(self.next_id, created_at=now, updated_at=now)])
                self.store.add_event("lead_added", entity_id=self.next_id)
            elif what == "change":
                changed = make(self.chance.choice(ids), updated_at=now, responsible_user_id=2)
                self.store.insert(name, [changed])
            else:
                self.store.purge(name, ids.pop(self.chance.randrange(len(ids))))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 8))]
)
def test_raw_ends_up_as_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    lengths = dict.fromkeys(client.LIMITS, 7) | {"events": 5}
    monkeypatch.setattr(client, "LIMITS", lengths)
    monkeypatch.setattr(lister, "PAGES_PER_PACKAGE", 8)
    monkeypatch.setattr(lister, "EVENTS_PER_PACKAGE", 60)
    monkeypatch.setattr(windows, "PAGES_PER_WINDOW", 2)
    store = make_account(tmp_path / "account.sqlite")
    store.clock += dt.timedelta(days=1)
    for name, (_, make) in MADE.items():
        store.insert(name, [make(n, created_at=at(n), updated_at=at(n)) for n in range(1, 90)])
    for number in range(1, 60):
        store.add_event("lead_added", entity_id=number)
    people = People(store, seed)
    portal = AmoPortal(store, token="long-lived")
    answer = portal.answer

    def answered(*arguments: Any) -> Any:
        people.work()
        return answer(*arguments)

    monkeypatch.setattr(portal, "answer", answered)
    warehouse = tmp_path / "warehouse.duckdb"
    pipeline = make_pipeline("amocrm", "shop", warehouse=warehouse, pipelines_dir=tmp_path / "dlt")
    with serve_in_thread(portal) as address:

        def load(options: LoadOptions | None = None) -> dict[str, Any]:
            access = LongLivedToken(address, "long-lived")
            connector = AmoConnector(AmoClient(access, "shop", requests_per_second=0), "shop")
            done = load_connection(pipeline, connector, options)
            return {entity.entity: entity for entity in done.entities}

        for _ in range(2):
            people.is_at_work = True
            load(LoadOptions(loss_threshold_share=1.0))
            people.is_at_work = False
            store.clock += dt.timedelta(minutes=5)
        # The last one is swept too: what people have deleted is marked.
        loads = load(LoadOptions(sweeps=True, loss_threshold_share=1.0))
    assert {name for name, entity in loads.items() if entity.unexplained} == set()
    with duckdb.connect(str(warehouse), read_only=True) as raw:
        for name, (table, _) in MADE.items():
            held = raw.execute(
                f"select id, responsible_user_id from raw_amocrm.{table} as records "
                "where not exists (select 1 from raw_amocrm.deleted_records as deleted "
                "where deleted.id = records.id and deleted.entity = ?) order by id",
                ["lead_notes" if name == "note" else table],
            ).fetchall()
            there = store.query(f'select id, responsible_user_id from "{name}" order by id')
            assert held == [tuple(row) for row in there], table
        (events,) = raw.execute("select list(id order by id) from raw_amocrm.events").fetchall()
        assert events[0] == [row[0] for row in store.query("select id from event order by id")]
        (unread,) = raw.execute("select count(*) from raw_amocrm.quarantine").fetchall()
        assert unread == (0,)
