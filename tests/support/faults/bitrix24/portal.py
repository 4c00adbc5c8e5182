"""The portal of every entity in two states, served, with a plan of what goes wrong.

Its clock stands still while it is read, so that two loads of one state write the same rows to the
microsecond, `received_at` included: a load that met a fault and was run again is compared with one
that met none, without tolerance.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sources.bitrix24.oauth import OAuth
from sources.demo.faults import FaultPlan
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.tokens import TokenStore
from tests.support.faults.bitrix24.entities import SMART_PROCESS, STORED
from tests.support.faults.bitrix24.records import (
    DICTIONARIES,
    MAKERS,
    comment_row,
    dictionary_rows,
    product_row,
)
from tests.support.faults.stages import CHANGED, FIRST_IDS, LAST_ID, Stage
from tests.support.portals import NOON, make_portal

CLOCKS: Mapping[Stage, dt.datetime] = {
    "first": NOON + dt.timedelta(hours=24),
    "increment": NOON + dt.timedelta(hours=48),
}
_CLIENT = ("local.faults", "s3cret")


def make_faulty_portal(path: Path) -> PortalStore:
    """The portal as the first load finds it: 130 rows of every list, details of most owners."""
    store = make_portal(path)
    for entity in DICTIONARIES:
        store.insert(entity, dictionary_rows(entity, 0))
    store.insert(
        "category",
        [
            {"ID": 5, "NAME": "Invoices", "SORT": 1, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": 31},
            {
                "ID": 7,
                "NAME": "Repairs",
                "SORT": 1,
                "IS_DEFAULT": 1,
                "ENTITY_TYPE_ID": SMART_PROCESS,
            },
        ],
    )
    for entity in MAKERS:
        store.insert(entity, [MAKERS[entity](number, number) for number in FIRST_IDS])
    # One card with more comments than fit a page, and one with more product rows.
    store.insert("timeline_comment", [comment_row(n, 3, 5) for n in range(2001, 2072)])
    store.insert("product_row", [product_row(n, 3, 5) for n in range(2001, 2056)])
    return store


def change_faulty_portal(store: PortalStore) -> None:
    """What happens until the second load: new rows, changed rows, deleted rows of every entity."""
    store.clock = CLOCKS["increment"]
    for entity in DICTIONARIES:
        store.insert(entity, dictionary_rows(entity, CHANGED))
    store.insert("category", [{"ID": 0, "NAME": "Renamed", "SORT": 11, "IS_DEFAULT": 1}])
    for entity, make in MAKERS.items():
        new = [make(number, CHANGED) for number in range(FIRST_IDS.stop, LAST_ID + 1)]
        is_changing = entity not in ("stage_history", "lead_stage_history", "invoice_stage_history")
        changed = [make(number, CHANGED) for number in range(41, 101)] if is_changing else []
        store.insert(entity, [*changed, *new])
    store.insert("timeline_comment", [comment_row(n, CHANGED, 50) for n in range(3001, 3061)])
    for entity in STORED.values():
        if entity not in ("category", "currency", "custom_field", "status", "user"):
            store.delete(entity, 33)
    # The record with the highest id of the first load goes too.
    store.delete("contact", FIRST_IDS[-1])


@dataclass
class FaultyPortal:
    """One state of the portal, served.

    Attributes:
        portal: what is served.
        address: the webhook's.
        tokens: the folder of the application's tokens.
    """

    portal: Portal
    address: str
    tokens: Path

    def plan(self, *rules: Mapping[str, Any]) -> FaultPlan:
        """What goes wrong from now on; nothing without rules."""
        plan = FaultPlan(list(rules))
        self.portal.fault_plan = plan if rules else None
        return plan

    def application(self) -> OAuth:
        """The portal's application, authorised anew."""
        assert self.portal.oauth is not None
        seed = self.portal.oauth.issue()["refresh_token"]
        base = self.address.partition("/rest/")[0]
        return OAuth(
            *_CLIENT,
            TokenStore(self.tokens / "main.json"),
            seed_refresh_token=seed,
            token_url=f"{base}/oauth/token/",
            attempts=2,
        )


@contextlib.contextmanager
def serve(store: PortalStore, tokens: Path) -> Iterator[FaultyPortal]:
    """Serve a state of the portal with an application beside the webhook."""
    tokens.mkdir(parents=True, exist_ok=True)
    portal = Portal(store, oauth=OAuthServer(*_CLIENT))
    with serve_in_thread(portal) as address:
        yield FaultyPortal(portal, address, tokens)
