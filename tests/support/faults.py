"""A portal of every entity in two states, loads of it under faults, and what they must leave.

The portal's clock stands still while it is read, so that two loads of one state write the same
rows to the microsecond, `received_at` included: a load that met a fault and was run again is
compared with one that met none, without tolerance.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import duckdb

import sources.bitrix24.connector as connector_module
from orchestration.settings import PROJECT_DIR
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.details import DETAILS
from sources.bitrix24.history import VERSIONED
from sources.bitrix24.oauth import OAuth
from sources.connection import Cut, Entity, Request, Tally
from sources.demo.faults import FaultPlan
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import ENTITIES, PortalStore
from sources.errors import CallfunnelError
from sources.loading import ConnectionLoad, LoadOptions, load_connection
from sources.pipelines import make_pipeline
from sources.tokens import TokenStore
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal

SMART_PROCESS = 177
SCHEMA = "raw_bitrix24"
CLIENT = ("local.faults", "s3cret")
Stage = Literal["first", "increment"]
STAGES: tuple[Stage, ...] = ("first", "increment")
CLOCKS: Mapping[Stage, dt.datetime] = {
    "first": NOON + dt.timedelta(hours=24),
    "increment": NOON + dt.timedelta(hours=48),
}
CHANGED = 30 * 60
"""Minutes after NOON at which everything of the increment happened."""


@dataclass(frozen=True)
class Read:
    """How the requests and commands that read an entity are told from others in a fault plan.

    Attributes:
        method: of its list, or of one of the requests it needs.
        where: parameters that tell it from other entities of the method.
        in_cut: how many commands of it stand in the request of counts before.
        is_batched: whether it is read by batches: at the first load, and at increments.
    """

    method: str
    where: Mapping[str, str] = field(default_factory=dict)
    in_cut: int = 0
    is_batched: tuple[bool, bool] = (True, True)


def _list(method: str, *, is_batched: tuple[bool, bool] = (True, True), **where: str) -> Read:
    return Read(method, where, 2, is_batched)


READS: Mapping[str, Read] = {
    "users": Read("user.get", is_batched=(False, False)),
    "departments": Read("department.get", is_batched=(False, False)),
    "categories": Read("crm.category.list"),
    "statuses": Read("crm.status.list"),
    "currencies": Read("crm.currency.list", is_batched=(False, False)),
    "custom_fields": Read("crm.contact.fields"),
    "custom_field_options": Read("crm.deal.fields"),
    "products": _list("crm.product.list"),
    "companies": _list("crm.company.list"),
    "contacts": _list("crm.contact.list"),
    "leads": _list("crm.lead.list"),
    "deals": _list("crm.deal.list"),
    "invoices": _list("crm.item.list", entityTypeId="31"),
    f"smart_items_{SMART_PROCESS}": _list("crm.item.list", entityTypeId=str(SMART_PROCESS)),
    "lead_stage_history": _list("crm.stagehistory.list", entityTypeId="1"),
    "stage_history": _list("crm.stagehistory.list", entityTypeId="2"),
    "invoice_stage_history": _list("crm.stagehistory.list", entityTypeId="31"),
    "activities": _list("crm.activity.list"),
    "tasks": _list("tasks.task.list"),
    "calls": _list("voximplant.statistic.get"),
    "product_rows": Read("crm.item.productrow.list"),
    "activity_bindings": Read("crm.activity.binding.list"),
    "task_history": Read("tasks.task.history.list"),
    "timeline_comments": Read("crm.timeline.comment.list"),
}
"""By entity, in the order of the connector."""

STORED: Mapping[str, str] = {
    "users": "user",
    "departments": "department",
    "categories": "category",
    "statuses": "status",
    "currencies": "currency",
    "custom_fields": "custom_field",
    "custom_field_options": "custom_field",
    "products": "product",
    "companies": "company",
    "contacts": "contact",
    "leads": "lead",
    "deals": "deal",
    "invoices": "invoice",
    f"smart_items_{SMART_PROCESS}": "smart_item",
    "lead_stage_history": "lead_stage_history",
    "stage_history": "stage_history",
    "invoice_stage_history": "invoice_stage_history",
    "activities": "activity",
    "tasks": "task",
    "calls": "call",
    "product_rows": "product_row",
    "activity_bindings": "binding",
    "task_history": "task_history",
    "timeline_comments": "timeline_comment",
}
"""The portal's own table of each entity."""


# The portal in two states


def make_faulty_portal(path: Path) -> PortalStore:
    """The portal as the first load finds it: 130 rows of every list, details of most owners."""
    store = make_portal(path)
    numbers = range(1, 131)
    for entity in ("user", "department", "status", "currency", "custom_field"):
        store.insert(entity, _dictionary(entity, 0))
    store.insert(
        "category",
        [
            {"ID": 5, "NAME": "Invoices", "SORT": 1, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": 31},
            {"ID": 7, "NAME": "Repairs", "SORT": 1, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": 177},
        ],
    )
    for entity in _MADE:
        store.insert(entity, [_MADE[entity](number, number) for number in numbers])
    # One card with more comments than fit a page, and one with more product rows.
    store.insert("timeline_comment", [_comment(n, 3, 5) for n in range(2001, 2072)])
    store.insert("product_row", [_product_row(n, 3, 5) for n in range(2001, 2056)])
    return store


def change_faulty_portal(store: PortalStore) -> None:
    """What happens until the second load: new rows, changed rows, deleted rows of every entity."""
    store.clock = CLOCKS["increment"]
    for entity in ("user", "department", "status", "currency", "custom_field"):
        store.insert(entity, _dictionary(entity, CHANGED))
    store.insert("category", [{"ID": 0, "NAME": "Renamed", "SORT": 11, "IS_DEFAULT": 1}])
    for entity, make in _MADE.items():
        new = [make(number, CHANGED) for number in range(131, 201)]
        is_changing = entity not in ("stage_history", "lead_stage_history", "invoice_stage_history")
        changed = [make(number, CHANGED) for number in range(41, 101)] if is_changing else []
        store.insert(entity, [*changed, *new])
    store.insert("timeline_comment", [_comment(n, CHANGED, 50) for n in range(3001, 3061)])
    for entity in STORED.values():
        if entity not in ("category", "currency", "custom_field", "status", "user"):
            store.delete(entity, 33)
    # The record with the highest id of the first load goes too.
    store.delete("contact", 130)


def _dictionary(entity: str, minutes: float) -> list[dict[str, Any]]:
    changed = " changed" if minutes else ""
    count = 125 if minutes else 120
    if entity == "user":
        return [
            {
                "ID": number,
                "ACTIVE": 1,
                "NAME": f"Name {number}{changed if number > 60 else ''}",
                "LAST_NAME": "Test",
                "USER_TYPE": "employee",
            }
            for number in range(1, count)
        ]
    if entity == "department":
        return [{"ID": number, "NAME": f"Team {number}{changed}"} for number in range(1, count)]
    if entity == "status":
        return [
            {
                "ID": 100 + number,
                "ENTITY_ID": "SOURCE" if number > 20 else "SMART_INVOICE_STAGE_5",
                "STATUS_ID": f"S{number}",
                "NAME": f"Status {number}{changed}",
                "SORT": number,
            }
            for number in range(1, count)
        ]
    if entity == "currency":
        return [
            {"ID": number, "CURRENCY": code, "AMOUNT": f"{number + minutes:.2f}", "AMOUNT_CNT": 1}
            for number, code in enumerate(("RUB", "USD", "EUR"), start=1)
        ]
    return [
        {
            "ID": number,
            "ENTITY_TYPE": kind,
            "FIELD_NAME": f"UF_CRM_{number}",
            "USER_TYPE": "enumeration",
            "LABEL": f"Field {number}{changed}",
            "IS_MULTIPLE": 0,
            "ITEMS": [{"ID": str(number * 10), "VALUE": f"Option{changed}"}],
        }
        for number, kind in enumerate(("lead", "deal", "contact", "company"), start=1)
    ]


def _card(number: int, minutes: float) -> dict[str, Any]:
    created = number if number <= 130 else minutes
    return {
        "ID": number,
        "ASSIGNED_BY_ID": 1 + number % 7,
        "CREATED_BY_ID": 1,
        "DATE_CREATE": at(created),
        "DATE_MODIFY": at(minutes),
    }


def _deal(number: int, minutes: float) -> dict[str, Any]:
    custom = {"UF_CRM_2": "20"}
    # Three deals a client: a call may belong to any of them, so that the portal has to be asked,
    # also when one of the three is gone.
    return deal_row(number, **_card(number, minutes), CONTACT_ID=1 + number // 3, CUSTOM=custom)


def _lead(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "TITLE": f"Lead {number}", "STATUS_ID": "NEW"}


def _contact(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "NAME": f"Contact {number}", "PHONE": []}


def _company(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "TITLE": f"Company {number}"}


def _item(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "TITLE": f"Item {number}",
        "CATEGORY_ID": 5,
        "STAGE_ID": f"S{1 + number % 3}",
        "OPPORTUNITY": "10.00",
        "CURRENCY_ID": "RUB",
        "PARENT_ID_2": number,
        "ASSIGNED_BY_ID": 1,
        "CREATED_TIME": at(number if number <= 130 else minutes),
        "UPDATED_TIME": at(minutes),
    }


def _activity(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "OWNER_ID": number,
        "OWNER_TYPE_ID": 2,
        "TYPE_ID": 2 if number % 2 else 1,
        "SUBJECT": f"Activity {number}",
        "CREATED": at(number if number <= 130 else minutes),
        "LAST_UPDATED": at(minutes),
        "COMPLETED": number % 3 == 0,
        "RESPONSIBLE_ID": 1,
    }


def _task(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "TITLE": f"Task {number}",
        "STATUS": 2,
        "CREATED_BY": 1,
        "RESPONSIBLE_ID": 1,
        "CREATED_DATE": at(number if number <= 130 else minutes),
        "CHANGED_DATE": at(minutes),
        "DEADLINE": at(minutes + 60),
    }


def _comment(number: int, minutes: float, owner: int) -> dict[str, Any]:
    return {
        "ID": number,
        "ENTITY_TYPE": "deal" if number % 4 else "lead",
        "ENTITY_ID": owner,
        "AUTHOR_ID": 1,
        "CREATED": at(minutes),
        "COMMENT": f"Comment {number} of {minutes:.0f}",
    }


def _product_row(number: int, minutes: float, owner: int) -> dict[str, Any]:
    return {
        "ID": number,
        "OWNER_TYPE": "D",
        "OWNER_ID": owner,
        "PRODUCT_ID": 1,
        "PRODUCT_NAME": f"Thing {minutes:.0f}",
        "PRICE": "5.00",
        "QUANTITY": "1",
    }


_MADE: Mapping[str, Callable[[int, float], dict[str, Any]]] = {
    "product": lambda number, minutes: {
        "ID": number,
        "NAME": f"Product {number} of {minutes:.0f}",
        "PRICE": "5.00",
        "DATE_CREATE": at(number),
    },
    "company": _company,
    "contact": _contact,
    "lead": _lead,
    "deal": _deal,
    "invoice": _item,
    "smart_item": lambda number, minutes: {
        **_item(number, minutes),
        "CATEGORY_ID": 7,
        "ENTITY_TYPE_ID": SMART_PROCESS,
    },
    "lead_stage_history": lambda number, minutes: {
        "ID": number,
        "TYPE_ID": 1,
        "OWNER_ID": number,
        "CREATED_TIME": at(minutes),
        "STATUS_ID": "NEW",
    },
    "stage_history": lambda number, minutes: history_row(number, number, minutes, "NEW"),
    "invoice_stage_history": lambda number, minutes: {
        "ID": number,
        "TYPE_ID": 1,
        "OWNER_ID": number,
        "CREATED_TIME": at(minutes),
        "CATEGORY_ID": 5,
        "STAGE_ID": "S1",
    },
    "activity": _activity,
    "task": _task,
    "call": lambda number, minutes: call_row(
        number, number if number <= 130 else minutes, CALL_VOTE=5 if minutes == CHANGED else None
    ),
    "binding": lambda number, minutes: {
        "ID": number,
        "ACTIVITY_ID": number,
        "ENTITY_TYPE_ID": 3,
        "ENTITY_ID": number,
    },
    "product_row": lambda number, minutes: _product_row(number, minutes, number),
    "timeline_comment": lambda number, minutes: _comment(number, minutes, number),
    "task_history": lambda number, minutes: {
        "ID": number,
        "TASK_ID": number,
        "CREATED_DATE": at(minutes),
        "USER_ID": 1,
        "FIELD": "STATUS",
        "VALUE_FROM": "1",
        "VALUE_TO": "2",
    },
}


# Loading it


class _Narrow(Bitrix24Connector):
    """A connector of some entities; `DETAILS` and the dictionaries are narrowed beside it."""

    def __init__(self, client: Bitrix24Client, only: Collection[str]) -> None:
        super().__init__(client, "main", (SMART_PROCESS,))
        self._only = frozenset(only)
        self.lists = {name: found for name, found in self.lists.items() if name in only}

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> Any:  # noqa: B008
        if request == Request():
            request = Request(only=self._only)
        return super().source(cut, tally, request)


@dataclass
class Desk:
    """A folder with a warehouse, its pipeline's state and its archive."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def load(self, access: str | OAuth, only: Collection[str] = ()) -> ConnectionLoad:
        """One load without a brake of our own.

        Args:
            access: the portal's webhook address, or its application.
            only: read these entities alone, which takes a third of the time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        client = Bitrix24Client(access, "main", requests_per_second=0)
        pipeline = make_pipeline(
            "bitrix24",
            "main",
            warehouse=self.warehouse,
            pipelines_dir=self.folder / "pipelines",
        )
        options = LoadOptions(archive_dir=self.archive)
        if not only:
            connector = Bitrix24Connector(client, "main", (SMART_PROCESS,))
            return load_connection(pipeline, connector, options)
        details = tuple(found for found in DETAILS if found.name in only)
        dictionaries = tuple(name for name in connector_module._DICTIONARIES if name in only)
        with (
            mock.patch.object(connector_module, "DETAILS", details),
            mock.patch.object(connector_module, "_DICTIONARIES", dictionaries),
        ):
            return load_connection(pipeline, _Narrow(client, only), options)

    def copy(self, folder: Path) -> Desk:
        """Everything, elsewhere."""
        shutil.copytree(self.folder, folder)
        return Desk(folder)

    @contextlib.contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, in UTC."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection


@dataclass
class FaultyPortal:
    """One state of the portal, served."""

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
            *CLIENT,
            TokenStore(self.tokens / "main.json"),
            seed_refresh_token=seed,
            token_url=f"{base}/oauth/token/",
            attempts=2,
        )


@contextlib.contextmanager
def serve(store: PortalStore, tokens: Path) -> Iterator[FaultyPortal]:
    """Serve a state of the portal with an application beside the webhook."""
    tokens.mkdir(parents=True, exist_ok=True)
    portal = Portal(store, oauth=OAuthServer(*CLIENT))
    with serve_in_thread(portal) as address:
        yield FaultyPortal(portal, address, tokens)


# What a load leaves

Rows = Mapping[str, list[tuple[Any, ...]]]
"""Sorted rows by table."""

_DIFFERING = {"load_log": ("rows_received", "was_swept")}
"""What a load that goes on where another stopped says otherwise: it has less left to read."""


def rows_of(desk: Desk, only: Collection[str] = ()) -> Rows:
    """Every table of the raw schema and of the archive, sorted, without dlt's own columns.

    Args:
        desk: where.
        only: these entities' rows alone.
    """
    wanted = {entity for entity in READS if not only or entity in only}
    tables = {_table(entity) for entity in wanted}
    tables |= {table.versions for table in VERSIONED if table.table in tables}
    found: dict[str, list[tuple[Any, ...]]] = {}
    with desk.open() as connection:
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = ? "
            "and table_name not like '\\_dlt%' escape '\\'",
            [SCHEMA],
        ).fetchall():
            if name in tables or name in _BY_ENTITY:
                condition = _condition(name, wanted)
                found[name] = _sorted_rows(connection, f"{SCHEMA}.{name} where {condition}", name)
        for place in sorted(desk.archive.glob("*/*")):
            # Rows may stand in several files, and are the same in each.
            if list(place.glob("*/*.parquet")) and place.name in tables | _BY_ENTITY:
                source = f"read_parquet('{place}/*/*.parquet', union_by_name = true)"
                found[f"archived {place.name}"] = _sorted_rows(
                    connection,
                    f"(select distinct * from {source}) where {_condition(place.name, wanted)}",
                    place.name,
                )
    return found


_BY_ENTITY = {"load_log", "deleted_records", "detail_reads", "quarantine"}


def _table(entity: str) -> str:
    return "smart_items" if entity.startswith("smart_items") else entity


def _condition(table: str, entities: Collection[str]) -> str:
    listed = ", ".join(f"'{entity}'" for entity in entities)
    return f"entity in ({listed})" if table in _BY_ENTITY else "true"


def _sorted_rows(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> list[Any]:
    skipped = (*_DIFFERING.get(name, ()), "_dlt_load_id", "_dlt_id")
    listed = ", ".join(f"'{column}'" for column in skipped)
    return connection.execute(
        f"select columns(c -> not list_contains([{listed}], c)) from {source} order by all"
    ).fetchall()


def differences(found: Rows, expected: Rows) -> list[str]:
    """What differs, a line per table with the first few rows; empty where nothing does."""
    told = []
    for name in sorted(found.keys() | expected.keys()):
        mine, theirs = found.get(name), expected.get(name)
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            told.append(f"{name} is {'missing' if mine is None else 'too much'}")
            continue
        # Rows hold lists (JSON is text): compared by their texts.
        lines = {str(row) for row in mine}, {str(row) for row in theirs}
        missing, added = sorted(lines[1] - lines[0]), sorted(lines[0] - lines[1])
        told.append(
            f"{name}: {len(mine)} rows, expected {len(theirs)}; missing {missing[:2]} "
            f"({len(missing)}), too much {added[:2]} ({len(added)})"
        )
    return told


def assert_same(found: Rows, expected: Rows) -> None:
    """Fail with what differs."""
    told = differences(found, expected)
    assert not told, "\n".join(told)


def logged_cuts(desk: Desk) -> list[dt.datetime]:
    """The cuts of the loads that count."""
    if not desk.warehouse.exists():
        return []
    with desk.open() as connection:
        has = connection.execute(
            "select count(*) from information_schema.tables where table_schema = ? "
            "and table_name = 'load_log'",
            [SCHEMA],
        ).fetchone()
        if not has or not has[0]:
            return []
        return [
            row[0]
            for row in connection.execute(
                f"select distinct cut_at from {SCHEMA}.load_log order by 1"
            ).fetchall()
        ]


def current_rows(desk: Desk, entities: Sequence[Entity]) -> Rows:
    """What raw holds of the portal as it is: no deleted rows, no details that left their owner."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with desk.open() as connection:
        for entity in entities:
            table = f"{SCHEMA}.{entity.table}"
            if entity.is_listed:
                condition = (
                    f"not exists (select 1 from {SCHEMA}.deleted_records as deleted "
                    f"where deleted.entity = '{entity.name}' and deleted.id = records.id "
                    "and deleted.noticed_at >= records.received_at)"
                )
            elif entity.is_detail:
                type_, id_ = _OWNERS[entity.name]
                condition = (
                    f"exists (select 1 from {SCHEMA}.detail_reads as reads "
                    f"where reads.entity = '{entity.name}' and reads.owner_type = {type_} "
                    f"and reads.owner_id = records.{id_} "
                    "and records.received_at >= reads.read_at) "
                    f"and not exists (select 1 from {SCHEMA}.deleted_records as deleted "
                    f"where deleted.entity = case {type_} when 'activity' then 'activities' "
                    f"else {type_} || 's' end and deleted.id = records.{id_})"
                )
            else:
                condition = f"_dlt_load_id = (select max(_dlt_load_id) from {table})"
            found[entity.name] = connection.execute(
                "select columns(c -> not list_contains("
                "['_dlt_load_id', '_dlt_id', 'received_at'], c)) "
                f"from {table} as records where {entity.condition} and {condition} order by all"
            ).fetchall()
    return found


_OWNERS = {
    "product_rows": ("'deal'", "owner_id"),
    "activity_bindings": ("'activity'", "activity_id"),
    "task_history": ("'task'", "task_id"),
    "timeline_comments": ("records.entity_type", "entity_id"),
}


# Faults

Outcome = Literal["passes", "raises", "refused"]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong while one entity is read.

    Attributes:
        name: of the test.
        rule: the fault plan's rule without its place.
        outcome: what the load makes of it: nothing, an error, or, where no report needs the
            entity, a load of all the others that says so.
        of_commands: whether the plan counts commands, not requests.
        is_application: the portal is read by an application with tokens.
    """

    name: str
    rule: Mapping[str, Any]
    outcome: Outcome = "passes"
    of_commands: bool = False
    is_application: bool = False

    def rules(self, entity: str, stage: Stage) -> dict[str, Any]:
        """The rule at the first request, or the second command, that reads the entity's rows."""
        read = READS[entity]
        # Counting stands before reading: two commands of one request.
        before = read.in_cut if self.of_commands else min(read.in_cut, 1)
        is_batched = read.is_batched[STAGES.index(stage)]
        second = 1 if self.of_commands and is_batched and entity in _PAGED else 0
        return {
            "method": read.method,
            "where": dict(read.where),
            "nth": before + 1 + second,
            **self.rule,
        }

    @property
    def is_portal_wide(self) -> bool:
        """Whether the first one ends the load."""
        return self.rule["action"] in ("overload", "expired_token", "reset", "half_body")

    @property
    def is_told(self) -> bool:
        """Whether the load says so of the entity and reads the others."""
        return self.outcome != "passes" and not self.is_portal_wide

    def outcome_for(self, entity: str) -> Outcome:
        """What a load makes of it where it is this entity's."""
        if self.outcome == "refused" and entity in CORE:
            return "raises"
        if self.of_commands and self.outcome == "raises" and entity in _OWNING_DETAILS:
            return "refused"  # one owner of many: told, and asked again by the next load
        return self.outcome

    def befalls(self, entity: str, stage: Stage) -> bool:
        """Whether there is a request that it can befall."""
        is_batched = READS[entity].is_batched[STAGES.index(stage)]
        return self.rule["action"] != "command_error" or is_batched


_OWNING_DETAILS = ("product_rows", "activity_bindings", "task_history", "timeline_comments")
_PAGED = {name for name, read in READS.items() if read.in_cut} | {
    "statuses",
    "product_rows",
    "activity_bindings",
    "task_history",
    "timeline_comments",
}


def _fault(name: str, outcome: Outcome = "passes", **rule: Any) -> Fault:
    of_commands = rule["action"] in ("operation_limit", "error", "command_error")
    return Fault(name, rule, outcome, of_commands)


_DENIALS: Mapping[str, tuple[Outcome, int, str | int, str]] = {
    "access_denied": ("refused", 403, "ACCESS_DENIED", "Access denied!"),
    "insufficient_scope": ("refused", 403, "insufficient_scope", "Higher privileges are needed"),
    "denied_without_a_code": ("refused", 400, "", "Access denied."),
    "code_zero": ("raises", 400, 0, "Something went wrong"),
}

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        _fault("query_limit", action="query_limit", times=2),
        _fault("operation_limit", action="operation_limit", seconds=1),
        _fault("server_error", action="server_error", times=2),
        _fault("bad_gateway", action="bad_gateway", times=2),
        _fault("html", action="html", times=2),
        _fault("not_json", action="not_json", times=2),
        _fault("half_body", action="half_body", times=2),
        _fault("reset", action="reset", times=2),
        _fault("delay", action="delay", seconds=0.2),
        Fault("expired_token", {"action": "expired_token"}, is_application=True),
        _fault("overload", "raises", action="overload"),
        _fault("expired_webhook", "raises", action="expired_token"),
        *(
            _fault(
                f"{action}_{name}",
                outcome,
                action=action,
                status=status,
                code=code,
                description=description,
            )
            for action in ("error", "command_error")
            for name, (outcome, status, code, description) in _DENIALS.items()
        ),
    )
}
LASTING: Mapping[str, Fault] = {
    f"{action}_for_good": _fault(f"{action}_for_good", "raises", action=action, times="forever")
    for action in ("server_error", "bad_gateway", "html", "not_json", "half_body", "reset")
}
"""What passes, when it does not."""

CORE = ("users", "categories", "statuses", "deals", "stage_history")
COMPANIONS = ("users", "deals")
_OWNING: Mapping[str, tuple[str, ...]] = {
    "activity_bindings": ("activities", "leads"),
    "task_history": ("tasks",),
    "timeline_comments": ("leads",),
}


def needed(entity: str) -> tuple[str, ...]:
    """The entity, what owns its rows, and two others to be read beside it."""
    return tuple(dict.fromkeys((*COMPANIONS, *_OWNING.get(entity, ()), entity)))


@dataclass(frozen=True)
class World:
    """Both states of the portal, served, and the warehouses of loads that met no fault."""

    portals: Mapping[Stage, FaultyPortal]
    references: Mapping[Stage, Desk]

    def desk(self, stage: Stage, folder: Path) -> Desk:
        """Where a load of this stage begins: nowhere, or after the first."""
        return Desk(folder) if stage == "first" else self.references["first"].copy(folder)

    def expected(self, stage: Stage, only: Collection[str] = ()) -> Rows:
        """What a load of this stage leaves."""
        return rows_of(self.references[stage], only)


@contextlib.contextmanager
def fault_free_world(folder: Path) -> Iterator[World]:
    """Make both states and load them, one after the other."""
    first = folder / "first.sqlite"
    make_faulty_portal(first).close()
    shutil.copy(first, folder / "increment.sqlite")
    with contextlib.ExitStack() as stack:
        stores = {
            stage: stack.enter_context(PortalStore(folder / f"{stage}.sqlite")) for stage in STAGES
        }
        change_faulty_portal(stores["increment"])
        portals = {
            stage: stack.enter_context(serve(stores[stage], folder / f"tokens_{stage}"))
            for stage in STAGES
        }
        loaded = Desk(folder / "after_first")
        loaded.load(portals["first"].address)
        grown = loaded.copy(folder / "after_increment")
        grown.load(portals["increment"].address)
        yield World(portals, {"first": loaded, "increment": grown})


def unfired(plan: FaultPlan) -> list[str]:
    """Rules that befell nothing: such a test would prove nothing."""
    return [
        f"{rule.action} at {rule.method} {rule.where} ({plan._counts[place]} of {rule.nth})"
        for place, rule in enumerate(plan.rules)
        if plan._counts[place] < rule.nth
    ]


def meet(world: World, fault: Fault, entity: str, stage: Stage, folder: Path) -> None:
    """Load while one entity meets a fault; assert what that leaves, then that a rerun heals it."""
    desk, portal, only = world.desk(stage, folder), world.portals[stage], needed(entity)
    access = portal.application() if fault.is_application else portal.address
    plan = portal.plan(fault.rules(entity, stage))
    load: ConnectionLoad | None = None
    sentence = ""
    try:
        load = desk.load(access, only)
    except CallfunnelError as error:
        sentence = str(error)
    finally:
        portal.plan()
    assert not unfired(plan)
    if fault.outcome == "passes":
        assert not sentence
        assert_same(rows_of(desk, only), world.expected(stage, only))
        return
    if load is None:
        assert_is_told(sentence)
        assert CLOCKS[stage] not in logged_cuts(desk), "the load counts though it failed"
    assert (load is None) == (fault.outcome_for(entity) == "raises"), sentence
    if load is not None:
        assert_is_refused(load, entity)
        others = [name for name in only if name != entity]
        assert_same(rows_of(desk, others), world.expected(stage, others))
    again = desk.load(portal.address, only)
    assert again.problems == ()
    assert_same(rows_of(desk, only), world.expected(stage, only))


def meet_everywhere(
    world: World,
    fault: Fault,
    entities: Collection[str],
    stage: Stage,
    folder: Path,
    only: Collection[str] = (),
) -> None:
    """Load while each of the entities meets the same fault; assert as `meet` does."""
    desk, portal = world.desk(stage, folder), world.portals[stage]
    entities = [entity for entity in entities if fault.befalls(entity, stage)]
    access = portal.application() if fault.is_application else portal.address
    plan = portal.plan(*(fault.rules(entity, stage) for entity in entities))
    load: ConnectionLoad | None = None
    sentence = ""
    try:
        load = desk.load(access, only)
    except CallfunnelError as error:
        sentence = str(error)
    finally:
        portal.plan()
    assert not unfired(plan)
    if fault.outcome == "passes":
        assert not sentence
        assert_same(rows_of(desk, only), world.expected(stage, only))
        return
    told = {name for name in entities if f"{name}: " in sentence}
    if load is None:
        assert_is_told(sentence)
        assert CLOCKS[stage] not in logged_cuts(desk), "the load counts though it failed"
    else:
        told = {found.entity for found in load.entities if found.problem}
    # Both tables of custom fields come from one request: what fails it for one, fails one.
    unsaid = {"custom_field_options"}
    if load is None:
        # The sentence is about what ends the load.
        unsaid |= {name for name in entities if fault.outcome_for(name) != "raises"}
    assert set(entities) - unsaid <= told, sentence
    assert (load is None) == any(fault.outcome_for(name) == "raises" for name in entities)
    again = desk.load(portal.address, only)
    assert again.problems == ()
    assert_same(rows_of(desk, only), world.expected(stage, only))


def assert_is_told(sentence: str) -> None:
    """The sentence names the portal and a remedy, and no address with its secret."""
    assert "127.0.0.1" in sentence
    assert "/rest/" not in sentence
    assert any(
        remedy in sentence
        for remedy in ("run again", "give it", "make a new webhook", "administrator's", "check")
    ), sentence


def assert_is_refused(load: ConnectionLoad, entity: str) -> None:
    """The load says that it lacks this entity, and does not call it complete."""
    (found,) = (found for found in load.entities if found.entity == entity)
    assert found.problem is not None, f"{entity} counts as complete"
    assert_is_told(found.problem)
    assert found.complete_up_to is None or found.complete_up_to < load.cut_at
    assert [problem.partition(":")[0] for problem in load.problems] == [entity]


# Records that change between pages

MUTATIONS = ("insert", "change", "delete")


def mutations(entity: str, stage: Stage, kinds: Collection[str]) -> list[dict[str, Any]]:
    """Rules that change the portal's records while the entity is being read.

    A deleted row moves the rest of a list by offsets one place forwards. What a first load reads
    comes in one batch, so there it changes between the count and that.
    """
    read, stored = READS[entity], STORED[entity]
    is_second_page = stage == "increment" or not read.in_cut
    place = {
        "method": read.method,
        "where": dict(read.where),
        "nth": min(read.in_cut, 1) + (2 if is_second_page and entity in _PAGED_BY_REQUEST else 1),
    }
    clock = CLOCKS[stage]
    stamp = {name: clock.isoformat() for name in _STAMPS if name in ENTITIES[stored].columns}
    rules: list[dict[str, Any]] = []
    if "insert" in kinds:
        row = _inserted(entity, (clock - NOON).total_seconds() / 60)
        rules.append({**place, "action": "insert", "entity": stored, "row": row})
    if "change" in kinds and entity not in _WRITTEN_ONCE:
        row = {**stamp, **_changed(stored)}
        rules.append({**place, "action": "change", "entity": stored, "id": KNOWN, "row": row})
    if "delete" in kinds and entity not in _NEVER_DELETED:
        rules.append({**place, "action": "delete", "entity": stored, "id": KNOWN + 1})
    if entity in _OWNER_STAMPS:
        # Whoever writes a detail changes its owner.
        owner, name = _OWNER_STAMPS[entity]
        row = {name: (clock + dt.timedelta(minutes=5)).isoformat()}
        rules.append({**place, "action": "change", "entity": owner, "id": KNOWN, "row": row})
    return rules


KNOWN = 3
"""The record that changes; the next one is deleted."""
_PAGED_BY_REQUEST = {
    *(name for name, read in READS.items() if read.in_cut and name != "products"),
    "users",
    "departments",
    "product_rows",
    "task_history",
    "timeline_comments",
}
_STAMPS = ("DATE_MODIFY", "UPDATED_TIME", "LAST_UPDATED", "CHANGED_DATE")
_OWNER_STAMPS = {
    "product_rows": ("deal", "DATE_MODIFY"),
    "timeline_comments": ("deal", "DATE_MODIFY"),
    "task_history": ("task", "CHANGED_DATE"),
}
_WRITTEN_ONCE = (
    "lead_stage_history",
    "stage_history",
    "invoice_stage_history",
    "task_history",
    "activity_bindings",
)
_NEVER_DELETED = (
    "users",  # dismissed
    "categories",
    "statuses",
    "currencies",
    "custom_fields",
    "custom_field_options",
    "activity_bindings",
)


def _inserted(entity: str, minutes: float) -> dict[str, Any]:
    stored = STORED[entity]
    if stored in ("product_row", "timeline_comment"):
        return {**_MADE[stored](991, minutes), _OWNER_FIELDS[stored]: KNOWN}
    if stored == "task_history":
        return {**_MADE[stored](991, minutes), "TASK_ID": KNOWN}
    if stored in _MADE:
        return _MADE[stored](990, minutes)
    if stored == "category":
        return {"ID": 990, "NAME": "New", "SORT": 1, "IS_DEFAULT": 0, "ENTITY_TYPE_ID": 2}
    if stored == "currency":
        return {"ID": 990, "CURRENCY": "KZT", "AMOUNT": "1.00", "AMOUNT_CNT": 1}
    row = dict(_dictionary(stored, 0)[-1], ID=990)
    if stored == "status":
        row["STATUS_ID"] = "S990"
    if stored == "custom_field":
        row |= {"ID": 990 + len(entity), "FIELD_NAME": f"UF_CRM_{entity.upper()}"}
    return row


_OWNER_FIELDS = {"product_row": "OWNER_ID", "timeline_comment": "ENTITY_ID"}


def _changed(stored: str) -> dict[str, Any]:
    names = ("TITLE", "NAME", "SUBJECT", "LABEL", "COMMENT", "PRODUCT_NAME", "CALL_RECORD_URL")
    written = [name for name in (*names, "FULL_NAME") if name in ENTITIES[stored].columns]
    return {written[0]: "Changed on the way"}


def change_on_the_way(world: World, stage: Stage, kinds: Collection[str], folder: Path) -> None:
    """Load while records change, load once more, and compare with a load of the final portal."""
    source = world.portals[stage].portal.store
    source.query("pragma wal_checkpoint(truncate)")
    shutil.copy(source.path, folder / "moving.sqlite")
    desk = world.desk(stage, folder / "desk")
    with (
        PortalStore(folder / "moving.sqlite") as store,
        serve(store, folder / "tokens") as portal,
    ):
        rules = [rule for entity in READS for rule in mutations(entity, stage, kinds)]
        plan = portal.plan(*rules)
        desk.load(portal.address)
        portal.plan()
        assert not unfired(plan)
        # What a detail's last change leaves is read at the next load, an hour later.
        store.clock = CLOCKS[stage] + dt.timedelta(hours=1)
        assert desk.load(portal.address).problems == ()
        fresh = Desk(folder / "fresh")
        fresh.load(portal.address)
    entities = Bitrix24Connector(
        Bitrix24Client("http://127.0.0.1/rest/1/x/"), "main", (SMART_PROCESS,)
    ).entities
    assert_same(current_rows(desk, entities), current_rows(fresh, entities))


# Death


def load_and_die(folder: Path, address: str, place: str, nth: int, when: str) -> None:
    """A load that ends by SIGKILL; run in a process of its own.

    Args:
        folder: of the desk.
        address: the portal's.
        place: `module:function` or `module:class.function`.
        nth: its call at which to die.
        when: `before` or `after` it has done its work.
    """
    module_name, _, path = place.partition(":")
    owner: Any = importlib.import_module(module_name)
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step)
    original = getattr(owner, name)
    calls = itertools.count(1)

    def dying(*arguments: Any, **named: Any) -> Any:
        is_due = next(calls) == nth
        if is_due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)
    Desk(folder).load(address)


def kill_a_load(desk: Desk, address: str, place: str, nth: int, when: str) -> None:
    """Load in another process, which dies on the way; fails where it survives."""
    code = (
        "from pathlib import Path; from tests.support.faults import load_and_die; "
        f"load_and_die(Path({str(desk.folder)!r}), {address!r}, {place!r}, {nth}, {when!r})"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr[-2000:] or "it survived"


DEATHS: Mapping[str, tuple[str, int, str]] = {
    "request 1": ("sources.bitrix24.client:Bitrix24Client._read", 1, "before"),
    "request 2": ("sources.bitrix24.client:Bitrix24Client._read", 2, "after"),
    "request 5": ("sources.bitrix24.client:Bitrix24Client._read", 5, "before"),
    "request 12": ("sources.bitrix24.client:Bitrix24Client._read", 12, "after"),
    "request 20": ("sources.bitrix24.client:Bitrix24Client._read", 20, "before"),
    "request 33": ("sources.bitrix24.client:Bitrix24Client._read", 33, "after"),
    "request 40": ("sources.bitrix24.client:Bitrix24Client._read", 40, "before"),
    "before an extracted package counts": (
        "dlt.extract.extract:Extract.commit_packages",
        1,
        "before",
    ),
    "after an extracted package counts": (
        "dlt.extract.extract:Extract.commit_packages",
        1,
        "after",
    ),
    "before the cursors are saved": ("dlt.pipeline.pipeline:Pipeline._save_state", 1, "before"),
    "after the cursors are saved": ("dlt.pipeline.pipeline:Pipeline._save_state", 2, "after"),
    "after normalizing": ("dlt.normalize.normalize:Normalize.run", 1, "after"),
    "before tables are made": ("dlt.load.load:Load.load_single_package", 1, "before"),
    "between tables": ("dlt.load.load:Load.submit_job", 4, "after"),
    "after the first jobs": ("dlt.load.load:Load.complete_jobs", 1, "after"),
    "between jobs": ("dlt.load.load:Load.complete_jobs", 3, "after"),
    "late between jobs": ("dlt.load.load:Load.complete_jobs", 6, "after"),
    "before a package is complete": ("dlt.load.load:Load.complete_package", 1, "before"),
    "after a package is complete": ("dlt.load.load:Load.complete_package", 1, "after"),
    "before the sweep": ("sources.loading:_sweep", 1, "before"),
    "after the sweep": ("sources.loading:_sweep", 1, "after"),
    "between the packages of details": (
        "sources.bitrix24.connector:Bitrix24Connector.detail_source",
        1,
        "after",
    ),
    "before a package of details is complete": (
        "dlt.load.load:Load.complete_package",
        2,
        "before",
    ),
    "after the details": ("sources.loading:_read_details", 1, "after"),
    "before the books": ("sources.loading:_close", 1, "before"),
    "inside the books after versions": ("sources.loading:_observe", 1, "after"),
    "inside the books before the commit": (
        "sources.bookkeeping:Books.write_log",
        1,
        "after",
    ),
    "between the books and the archive": ("sources.loading:_archive", 1, "before"),
    "amid the archive": ("sources.archive:_copy", 3, "after"),
    "after the archive": ("sources.loading:_archive", 1, "after"),
}
"""Where a load dies: the function, which of its calls, and whether it has done its work."""


def die_and_go_on(world: World, place: str, stage: Stage, folder: Path) -> None:
    """Kill a load, run it again, compare."""
    desk, portal = world.desk(stage, folder), world.portals[stage]
    kill_a_load(desk, portal.address, *DEATHS[place])
    if place not in ("between the books and the archive", "amid the archive", "after the archive"):
        assert CLOCKS[stage] not in logged_cuts(desk), "a load that died counts"
    desk.load(portal.address)
    assert_same(rows_of(desk), world.expected(stage))
