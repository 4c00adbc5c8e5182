"""Bitrix24 in the matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any
from unittest import mock

import sources.bitrix24.connector as connector_module
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.details import DETAILS
from sources.bitrix24.history import VERSIONED
from sources.bitrix24.oauth import OAuth
from sources.connection import Connector, Cut, Entity, Request, Tally
from sources.demo.store import PortalStore
from tests.support.faults.bitrix24 import entities, plans, portal
from tests.support.faults.bitrix24.mutations import KINDS, mutations
from tests.support.faults.system import Death, Held, System, is_deleted

_BINDING = "activity_id || ' to ' || entity_type_id || ' ' || entity_id"
_NAMES = {
    "currencies": ("currency", "currency"),
    "custom_fields": ("field_name", "field"),
    "custom_field_options": ("field_name", "field"),
    "activity_bindings": (_BINDING, _BINDING),
}
"""SQL that tells the records apart, in the portal's store and in raw, where it is not the id."""
_GIVEN = {
    "product_rows": "owner_id in (select id from deal)",
    "activity_bindings": "activity_id in (select id from activity where type_id = 2)",
    "task_history": "task_id in (select id from task)",
    "timeline_comments": "(entity_type = 'deal' and entity_id in (select id from deal)) "
    "or (entity_type = 'lead' and entity_id in (select id from lead))",
}
"""Which details the portal is asked for: those of the owners that it has."""
_OWNERS = {
    "product_rows": ("'deal'", "owner_id"),
    "activity_bindings": ("'activity'", "activity_id"),
    "task_history": ("'task'", "task_id"),
    "timeline_comments": ("records.entity_type", "entity_id"),
}
"""SQL of the type of a detail's owner, and the column of its id."""
_REQUEST = "sources.bitrix24.client:Bitrix24Client._read"


def _held(entity: str) -> Held:
    key, raw_key = _NAMES.get(entity, ("id", "id"))
    return Held(entities.STORED[entity], key, _GIVEN.get(entity, "true"), raw_key)


class _Narrow(Bitrix24Connector):
    """A connector of some entities; `DETAILS` and the dictionaries are narrowed beside it."""

    def __init__(self, client: Bitrix24Client, only: Collection[str]) -> None:
        super().__init__(client, "main", (entities.SMART_PROCESS,))
        self._only = frozenset(only)
        self.lists = {name: found for name, found in self.lists.items() if name in only}

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> Any:  # noqa: B008
        if request == Request():
            request = Request(only=self._only)
        return super().source(cut, tally, request)


@contextlib.contextmanager
def _connector(access: str | OAuth, only: Collection[str]) -> Iterator[Connector]:
    client = Bitrix24Client(access, "main", requests_per_second=0)
    if not only:
        yield Bitrix24Connector(client, "main", (entities.SMART_PROCESS,))
        return
    details = tuple(found for found in DETAILS if found.name in only)
    dictionaries = tuple(name for name in connector_module._DICTIONARIES if name in only)
    with (
        mock.patch.object(connector_module, "DETAILS", details),
        mock.patch.object(connector_module, "_DICTIONARIES", dictionaries),
    ):
        yield _Narrow(client, only)


def _is_present(entity: Entity) -> str:
    if entity.is_listed:
        return f"not {is_deleted('bitrix24', entity.name)}"
    if not entity.is_detail:
        return f"_dlt_load_id = (select max(_dlt_load_id) from raw_bitrix24.{entity.table})"
    type_, id_ = _OWNERS[entity.name]
    return (
        f"exists (select 1 from raw_bitrix24.detail_reads as reads "
        f"where reads.entity = '{entity.name}' and reads.owner_type = {type_} "
        f"and reads.owner_id = records.{id_} and records.received_at >= reads.read_at) "
        f"and not exists (select 1 from raw_bitrix24.deleted_records as deleted "
        f"where deleted.entity = case {type_} when 'activity' then 'activities' "
        f"else {type_} || 's' end and deleted.id = records.{id_})"
    )


SYSTEM = System(
    name="bitrix24",
    clocks=portal.CLOCKS,
    held={entity: _held(entity) for entity in entities.READS},
    core=entities.CORE,
    sharing={"custom_field_options": "custom_fields"},
    make=portal.make_faulty_portal,
    change=portal.change_faulty_portal,
    open=PortalStore,
    serve=portal.serve,
    connector=_connector,
    needed=entities.needed,
    place=plans.place,
    befalls=plans.befalls,
    kinds=KINDS,
    mutations=mutations,
    is_present=_is_present,
    secret="/rest/",
    versioned=VERSIONED,
    keys={
        "categories": "entity_type_id, id",
        "category_versions": "entity_type_id, id, first_seen_at",
        "statuses": "entity_id, status_id",
        "status_versions": "entity_id, status_id, first_seen_at",
        "currencies": "currency",
        "custom_fields": "entity_type, field",
        "custom_field_options": "entity_type, field, option_id",
        "smart_items": "entity_type_id, id",
        "smart_item_versions": "entity_type_id, id, first_seen_at",
        "activity_bindings": "activity_id, entity_type_id, entity_id",
        "timeline_comments": "entity_type, entity_id, id",
    },
    # What is gone from a dictionary is told once, by the load that saw it (`World.problems`); the
    # clock stands still, so the row of the one that goes on replaces that load's.
    unmatched={"load_log": {None: ("rows_received", "was_swept", "rows_fewer")}},
    deaths={
        **{
            f"request {nth}": Death(_REQUEST, nth, when)
            for nth, when in (
                (1, "before"),
                (2, "after"),
                (5, "before"),
                (12, "after"),
                (20, "before"),
                (33, "after"),
                (40, "before"),
            )
        },
        "between the packages of details": Death(
            "sources.bitrix24.connector:Bitrix24Connector.detail_source", 1, "after"
        ),
        "before a package of details is complete": Death(
            "dlt.load.load:Load.complete_package", 2, "before"
        ),
    },
    tables={f"smart_items_{entities.SMART_PROCESS}": "smart_items"},
    detailed=entities.DETAILED,
)
