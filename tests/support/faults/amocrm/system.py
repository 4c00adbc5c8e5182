"""amoCRM in the matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any
from unittest import mock

import sources.amocrm.client as client_module
import sources.amocrm.connector as connector_module
from sources.amocrm import AmoClient, AmoConnector, LongLivedToken
from sources.amocrm.history import VERSIONED
from sources.amocrm.oauth import AmoOAuth
from sources.connection import Connector, Cut, Entity, Request, Tally
from sources.demo.amocrm.store import AmoStore
from tests.support.faults.amocrm import account, entities, plans
from tests.support.faults.amocrm.mutations import KINDS, mutations
from tests.support.faults.system import Death, System, is_deleted

ROWS_PER_PAGE = 60
"""Three pages of every list, in place of the 250 (events: 100) rows that the API allows."""
_WHOLE = ("deleted_leads", "unsorted")
_REQUEST = "sources.amocrm.client:AmoClient._read"


class _Narrow(AmoConnector):
    """A connector of some entities; the dictionaries are narrowed beside it."""

    def __init__(self, client: AmoClient, only: Collection[str]) -> None:
        super().__init__(client, "main")
        self._only = frozenset(only)
        self.lists = {name: found for name, found in self.lists.items() if name in only}

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> Any:  # noqa: B008
        if request == Request():
            request = Request(only=self._only)
        return super().source(cut, tally, request)


@contextlib.contextmanager
def _connector(access: str | AmoOAuth, only: Collection[str]) -> Iterator[Connector]:
    if isinstance(access, str):
        access = LongLivedToken(access, account.TOKEN)
    limits = {
        # Fields are asked for by pages of 50 anyway.
        name: min(rows, ROWS_PER_PAGE)
        for name, rows in client_module.LIMITS.items()
    }
    dictionaries = tuple(
        name for name in connector_module._DICTIONARIES if not only or name in only
    )
    with (
        mock.patch.object(client_module, "LIMITS", limits),
        mock.patch.object(connector_module, "_DICTIONARIES", dictionaries),
    ):
        client = AmoClient(access, "main", requests_per_second=0)
        yield _Narrow(client, only) if only else AmoConnector(client, "main")


def _is_present(entity: Entity) -> str:
    if entity.name == "events":
        return "true"
    if entity.is_listed and entity.name not in _WHOLE:
        return f"not {is_deleted('amocrm', entity.name)}"
    return f"_dlt_load_id = (select max(_dlt_load_id) from raw_amocrm.{entity.table})"


SYSTEM = System(
    name="amocrm",
    clocks=account.CLOCKS,
    held=entities.HELD,
    core=entities.CORE,
    sharing=entities.SHARING,
    make=account.make_faulty_account,
    change=account.change_faulty_account,
    open=AmoStore,
    serve=account.serve,
    connector=_connector,
    needed=entities.needed,
    place=plans.place,
    befalls=plans.befalls,
    kinds=KINDS,
    mutations=mutations,
    is_present=_is_present,
    secret=account.TOKEN,
    versioned=VERSIONED,
    keys={
        "statuses": "pipeline_id, id",
        "status_versions": "pipeline_id, id, first_seen_at",
        "custom_fields": "entity_type, id",
        "custom_field_enums": "entity_type, field_id, id",
        "tags": "entity_type, id",
        "catalog_elements": "catalog_id, id",
        "unsorted": "uid",
        "notes": "entity_type, id",
    },
    unmatched={
        "load_log": {
            None: ("rows_received", "rows_reported", "rows_fewer", "was_swept"),
            # Counted by the windows that a load has read.
            "events": ("rows_raw",),
        }
    },
    deaths={
        **{
            f"request {nth}": Death(_REQUEST, nth, when)
            for nth, when in (
                (1, "before"),
                (2, "after"),
                (9, "before"),
                (20, "after"),
                (33, "before"),
                (47, "after"),
                (60, "before"),
                (75, "after"),
                (90, "before"),
                (105, "after"),
                (120, "before"),
            )
        },
        "after the cut": Death("sources.amocrm.connector:AmoConnector.cut", 1, "after"),
        "between two windows of events": Death(
            "sources.amocrm.windows:EventReader._window", 1, "after"
        ),
        "amid the sweep": Death("sources.bookkeeping:Books.compare", 4, "after", ("increment",)),
        "after the sweep's last list": Death(
            "sources.amocrm.connector:AmoConnector.recount", 1, "before", ("increment",)
        ),
        "between two marks of what is gone": Death(
            "sources.bookkeeping:Books.mark_deleted", 2, "after", ("increment",)
        ),
    },
    sweeps_alone=True,
    whole=("account", "groups"),
    tables=entities.TABLES,
    conditions=entities.CONDITIONS,
)
