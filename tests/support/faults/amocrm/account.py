"""The account of every entity in two states, served, with a plan of what goes wrong.

Its clock stands still while it is read, so that two loads of one state write the same rows to the
second, `received_at` included: a load that met a fault and was run again is compared with one that
met none, without tolerance. The second load comes nine days later, when all ids are due to be
compared.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sources.amocrm.oauth import AmoOAuth
from sources.demo.amocrm.oauth import AmoOAuth as AmoOAuthServer
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import ENTITIES, AmoStore
from sources.demo.faults import FaultPlan
from sources.demo.server import serve_in_thread
from sources.tokens import TokenStore
from tests.support.amo_accounts import account_row, make_account
from tests.support.faults.amocrm.records import (
    BINNED,
    DICTIONARIES,
    MAKERS,
    NOTE_IDS,
    dictionary_rows,
)
from tests.support.faults.stages import CHANGED, FIRST_IDS, LAST_ID, Stage
from tests.support.portals import NOON

CLOCKS: Mapping[Stage, dt.datetime] = {
    "first": NOON + dt.timedelta(hours=24),
    "increment": NOON + dt.timedelta(days=10),
}
TOKEN = "long-lived-s3cret"
"""Of the access without an application."""
_CLIENT = ("faults", "s3cret", "https://faults.example/callback")
RESTORED = 40
"""A lead and a contact that stand in the recycle bin, before most others in the order of ids."""
GONE = 33
"""Of every entity from which records vanish until the second load."""


def make_faulty_account(path: Path) -> AmoStore:
    """The account as the first load finds it: 130 rows of every list."""
    store = make_account(path)
    store.clock = CLOCKS["first"]
    store.insert("pipeline", [{"id": 300, "name": "Repairs", "sort": 300}])
    store.insert("status", [{"pipeline_id": 300, "id": 3001, "name": "New", "sort": 1}])
    for entity in DICTIONARIES:
        store.insert(entity, dictionary_rows(entity, 0))
    for stored, make in MAKERS.values():
        store.insert(stored, [make(number, number) for number in FIRST_IDS])
    for stored, make in (MAKERS["leads"], MAKERS["contacts"]):
        store.insert(stored, [{**make(RESTORED, RESTORED), "is_deleted": 1}])
    return store


def change_faulty_account(store: AmoStore) -> None:
    """What happens until the second load: new, changed and deleted rows of every entity."""
    store.clock = CLOCKS["increment"]
    store.insert("account", [account_row(name="renamed")])
    store.insert("pipeline", [{"id": 300, "name": "Services", "sort": 300}])
    store.insert("status", [{"pipeline_id": 300, "id": 3001, "name": "Fresh", "sort": 1}])
    for entity in DICTIONARIES:
        store.insert(entity, dictionary_rows(entity, CHANGED))
    for entity, (stored, make) in MAKERS.items():
        new = [make(number, CHANGED) for number in range(FIRST_IDS.stop, LAST_ID + 1)]
        # An event is never changed: there are more new ones.
        first = FIRST_IDS.stop + LAST_ID if entity == "events" else 41
        changed = [make(number, CHANGED) for number in range(first, first + 60)]
        store.insert(stored, [*changed, *new])
    for entity in ("user_group", "loss_reason", "tag", "catalog_element", "company", "contact"):
        store.delete(entity, GONE)
    for first in NOTE_IDS.values():
        store.delete("note", first + GONE + 1)
    store.delete("task", GONE)
    store.delete("unsorted", f"u{GONE:05}")
    store.delete("lead", GONE)
    store.delete("lead", BINNED + GONE)
    # The record with the highest id of the first load goes too.
    store.delete("contact", FIRST_IDS[-1])


@dataclass
class FaultyAccount:
    """One state of the account, served.

    Attributes:
        portal: what is served.
        address: the account's.
        tokens: the folder of the application's tokens.
    """

    portal: AmoPortal
    address: str
    tokens: Path

    def plan(self, *rules: Mapping[str, Any]) -> FaultPlan:
        """What goes wrong from now on; nothing without rules."""
        plan = FaultPlan(list(rules), entities=ENTITIES)
        self.portal.fault_plan = plan if rules else None
        return plan

    def application(self) -> AmoOAuth:
        """The account's application, authorised anew."""
        assert self.portal.oauth is not None
        return AmoOAuth(
            self.address,
            *_CLIENT,
            TokenStore(self.tokens / "main.json"),
            seed_refresh_token=self.portal.oauth.issue()["refresh_token"],
            attempts=2,
        )


@contextlib.contextmanager
def serve(store: AmoStore, tokens: Path) -> Iterator[FaultyAccount]:
    """Serve a state of the account with an application beside the long-lived token."""
    tokens.mkdir(parents=True, exist_ok=True)
    portal = AmoPortal(store, token=TOKEN, oauth=AmoOAuthServer(*_CLIENT))
    with serve_in_thread(portal) as address:
        yield FaultyAccount(portal, address, tokens)
