"""Details owner by owner: who is due, what is read, what is remembered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sources.bitrix24 import details, tables
from sources.bitrix24.client import Bitrix24Client
from sources.bitrix24.detail_reading import DetailReader
from sources.bitrix24.details import (
    ACTIVITY_BINDINGS,
    PRODUCT_ROWS,
    TASK_HISTORY,
    TIMELINE_COMMENTS,
    Detail,
    Owner,
)
from sources.bitrix24.errors import PortalError
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.reading import Reader
from sources.connection import Tally
from sources.demo.faults import FaultPlan
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import NOON, at, deal_row, make_portal

KEY = "bitrix24:main"
OTHER = "bitrix24:branch"


def after(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


# Who is due


class Raw:
    """Raw tables with the columns that the source declares."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute("create schema raw")
        for table in (tables.DEALS, tables.LEADS, tables.ACTIVITIES, tables.TASKS):
            self._create(table.name, table.schema)
        self._create("detail_reads", tables.DETAIL_READS_SCHEMA)

    def _create(self, name: str, schema: pa.Schema) -> None:
        empty = schema.empty_table()
        self.connection.register("empty", empty)
        self.connection.execute(f"create table raw.{name} as from empty")
        self.connection.execute(f"alter table raw.{name} alter source_key set default '{KEY}'")

    def add(self, table: str, **row: Any) -> None:
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        self.connection.execute(
            f"insert into raw.{table} ({names}) values ({marks})", list(row.values())
        )

    def read(self, detail: Detail, owner_type: str, owner_id: int, changed_at: Any) -> None:
        self.add(
            "detail_reads",
            entity=detail.name,
            owner_type=owner_type,
            owner_id=owner_id,
            owner_changed_at=changed_at,
            read_at=NOON,
            rows_received=0,
        )

    def due(self, detail: Detail, limit: int = 100, key: str = KEY) -> list[Any]:
        return [
            (owner.type, owner.id)
            for owner in details.due(self.connection, detail, "raw", key, limit)
        ]

    def waiting(self, detail: Detail) -> tuple[int, int]:
        found = details.waiting(self.connection, detail, "raw", KEY)
        return found.pending, found.inferred


@pytest.fixture
def raw() -> Raw:
    return Raw()


def test_owners_are_due_until_they_are_read_and_again_when_they_change(raw: Raw) -> None:
    for deal_id in (1, 2, 3):
        raw.add("deals", id=deal_id, date_modify=after(deal_id))
    assert raw.due(PRODUCT_ROWS) == [("deal", 3), ("deal", 2), ("deal", 1)]
    raw.read(PRODUCT_ROWS, "deal", 3, after(3))
    raw.read(PRODUCT_ROWS, "deal", 2, after(1))
    assert raw.due(PRODUCT_ROWS) == [("deal", 2), ("deal", 1)]
    assert raw.waiting(PRODUCT_ROWS) == (2, 0)


def test_the_latest_changes_are_read_first_up_to_the_limit(raw: Raw) -> None:
    for task_id, minutes in ((1, 30), (2, None), (3, 50), (4, 40)):
        changed = None if minutes is None else after(minutes)
        raw.add("tasks", id=task_id, changed_date=changed)
    assert raw.due(TASK_HISTORY, limit=3) == [("task", 3), ("task", 4), ("task", 1)]
    assert raw.due(TASK_HISTORY)[-1] == ("task", 2)
    assert raw.waiting(TASK_HISTORY) == (4, 0)


def test_an_owner_that_had_no_time_of_change_is_due_when_it_gets_one(raw: Raw) -> None:
    raw.add("tasks", id=1, changed_date=after(5))
    raw.read(TASK_HISTORY, "task", 1, None)
    assert raw.due(TASK_HISTORY) == [("task", 1)]


def test_what_was_read_for_one_detail_is_not_read_for_another(raw: Raw) -> None:
    raw.add("deals", id=1, date_modify=after(0))
    raw.read(TIMELINE_COMMENTS, "deal", 1, after(0))
    raw.read(PRODUCT_ROWS, "lead", 1, after(0))
    assert raw.due(PRODUCT_ROWS) == [("deal", 1)]


def test_owners_of_another_connection_are_not_due(raw: Raw) -> None:
    raw.add("deals", id=1, date_modify=after(0))
    raw.add("deals", id=1, date_modify=after(0), source_key=OTHER)
    raw.read(PRODUCT_ROWS, "deal", 1, after(0))
    assert raw.due(PRODUCT_ROWS) == []
    assert raw.due(PRODUCT_ROWS, key=OTHER) == [("deal", 1)]


def test_comments_are_read_again_when_their_deal_or_lead_changes(raw: Raw) -> None:
    raw.add("deals", id=1, date_modify=after(9))
    raw.add("leads", id=1, date_modify=after(5))
    raw.read(TIMELINE_COMMENTS, "deal", 1, after(0))
    raw.read(TIMELINE_COMMENTS, "lead", 1, after(5))
    assert raw.due(TIMELINE_COMMENTS) == [("deal", 1)]


def call(raw: Raw, activity_id: int, owner: tuple[int, int], kind: int = 2) -> None:
    owner_type_id, owner_id = owner
    raw.add(
        "activities",
        id=activity_id,
        type_id=kind,
        owner_type_id=owner_type_id,
        owner_id=owner_id,
    )


def test_bindings_are_asked_for_only_where_they_cannot_be_inferred(raw: Raw) -> None:
    # The only card of contact 10.
    raw.add("deals", id=1, contact_id=10, company_id=0)
    # Contact 20 has two deals; contact 30 a deal and a lead; company 5 two deals.
    raw.add("deals", id=2, contact_id=20, company_id=0)
    raw.add("deals", id=3, contact_id=20, company_id=0)
    raw.add("deals", id=4, contact_id=30, company_id=0)
    raw.add("leads", id=9, contact_id=30)
    raw.add("deals", id=5, contact_id=50, company_id=5)
    raw.add("deals", id=6, contact_id=60, company_id=5)
    # No client at all, printed as null or as 0, and the only card of company 7.
    raw.add("deals", id=7, contact_id=None, company_id=0)
    raw.add("deals", id=8, contact_id=0, company_id=0)
    raw.add("deals", id=9, contact_id=0, company_id=7)
    # The same contact in another portal is somebody else.
    raw.add("deals", id=1, contact_id=10, company_id=0, source_key=OTHER)
    for deal_id in range(1, 10):
        call(raw, 100 + deal_id, (2, deal_id))
    call(raw, 201, (3, 10))  # of the contact
    call(raw, 202, (1, 9))  # of the lead
    call(raw, 203, (2, 999))  # of a deal that raw does not hold
    call(raw, 204, (2, 2), kind=1)  # a meeting
    asked = {owner_id for _, owner_id in raw.due(ACTIVITY_BINDINGS)}
    assert asked == {102, 103, 104, 105, 106, 201, 202, 203}
    assert raw.waiting(ACTIVITY_BINDINGS) == (8, 4)
    for activity_id in asked:
        raw.read(ACTIVITY_BINDINGS, "activity", activity_id, None)
    assert raw.waiting(ACTIVITY_BINDINGS) == (0, 4)


# Reading them


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[Portal, Reader]]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        portal = Portal(store)
        with serve_in_thread(portal) as address:
            reader = Reader(Bitrix24Client(address, requests_per_second=0), 2)
            yield portal, reader
            reader.close()


def fetch(
    reader: Reader, detail: Detail, owners: list[tuple[str, int]]
) -> tuple[list[dict[str, Any]], dict[int, int], Tally]:
    """Rows, and how many were noted by owner."""
    tally, marks = Tally(), list[pa.Table]()
    extraction = PortalExtraction(reader, KEY, tally)
    due = {detail.name: [Owner(kind, number, None) for kind, number in owners]}
    found = list(DetailReader(extraction, detail, due, marks).read())
    rows = [row for table in found if table is not None for row in table.to_pylist()]
    noted = [row for table in marks for row in table.to_pylist()]
    refused = tally.refused_owners.get(detail.name, {})
    assert [row["owner_id"] for row in noted] == [
        n for kind, n in owners if (kind, n) not in refused
    ]
    assert tally.received.get(detail.name, 0) == len(rows)
    return rows, {row["owner_id"]: row["rows_received"] for row in noted}, tally


def comment(number: int, deal_id: int) -> Mapping[str, Any]:
    return {
        "ID": number,
        "ENTITY_TYPE": "deal",
        "ENTITY_ID": deal_id,
        "AUTHOR_ID": 1,
        "CREATED": at(number),
        "COMMENT": f"Comment {number}",
    }


def test_more_comments_than_a_page_holds_arrive_all(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.store.insert("timeline_comment", [comment(n, 1) for n in range(1, 121)])
    served.store.insert("timeline_comment", [comment(n, 2) for n in range(121, 171)])
    served.store.insert("timeline_comment", [comment(171, 3)])
    rows, noted, _ = fetch(reader, TIMELINE_COMMENTS, [("deal", n) for n in (1, 2, 3, 4)])
    assert sorted(row["id"] for row in rows) == list(range(1, 172))
    assert {row["id"] for row in rows if row["entity_id"] == 2} == set(range(121, 171))
    assert noted == {1: 120, 2: 50, 3: 1, 4: 0}
    # Pages of several owners go together: 4, 2 and 1 commands.
    assert (served.requests, served.calls["crm.timeline.comment.list"]) == (3, 7)


def test_product_rows_of_deals_arrive_all(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    row = {"OWNER_TYPE": "D", "PRICE": "1.50"}
    served.store.insert(
        "product_row",
        [
            *({"ID": n, "OWNER_ID": 1, **row} for n in range(1, 61)),
            *({"ID": n, "OWNER_ID": 2, **row} for n in range(61, 111)),
            {"ID": 500, "OWNER_ID": 3, **row, "OWNER_TYPE": "L"},
        ],
    )
    rows, noted, _ = fetch(reader, PRODUCT_ROWS, [("deal", n) for n in (1, 2, 3)])
    assert sorted(row["id"] for row in rows) == list(range(1, 111))
    assert {(row["owner_type"], float(row["price"])) for row in rows} == {("D", 1.5)}
    assert noted == {1: 60, 2: 50, 3: 0}


def test_task_history_gets_its_task(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.store.insert("task", [{"ID": n, "CREATED_DATE": at(0)} for n in (1, 2)])
    moved = {"FIELD": "DEADLINE", "VALUE_FROM": "1", "VALUE_TO": "2", "USER_ID": 1}
    served.store.insert(
        "task_history",
        [{"ID": n, "TASK_ID": 1 + n % 2, "CREATED_DATE": at(n), **moved} for n in range(1, 8)],
    )
    rows, noted, _ = fetch(reader, TASK_HISTORY, [("task", 1), ("task", 2), ("task", 3)])
    assert {row["id"]: row["task_id"] for row in rows} == {n: 1 + n % 2 for n in range(1, 8)}
    assert {(row["field"], row["value_to"], row["user_id"]) for row in rows} == {
        ("DEADLINE", "2", 1)
    }
    assert noted == {1: 3, 2: 4, 3: 0}


def test_an_owner_that_is_gone_counts_as_read_without_rows(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.store.insert("deal", [deal_row(1)])
    served.store.insert(
        "activity", [{"ID": 5, "TYPE_ID": 2, "OWNER_TYPE_ID": 2, "OWNER_ID": 1, "CREATED": at(0)}]
    )
    rows, noted, tally = fetch(reader, ACTIVITY_BINDINGS, [("activity", 5), ("activity", 6)])
    assert [(row["activity_id"], row["entity_id"]) for row in rows] == [(5, 1)]
    assert noted == {5: 1, 6: 0}
    rows, noted, tally = fetch(reader, ACTIVITY_BINDINGS, [("activity", 7), ("activity", 8)])
    assert (rows, noted, tally.failed) == ([], {7: 0, 8: 0}, {})


def test_an_owner_that_must_not_be_read_stays_due_and_does_not_stop_the_others(
    portal: tuple[Portal, Reader],
) -> None:
    served, reader = portal
    served.store.insert("timeline_comment", [comment(1, 1), comment(2, 2)])
    denied = {"action": "command_error", "code": "", "description": "Access denied."}
    served.fault_plan = FaultPlan([{"method": "crm.timeline.comment.list", **denied}])
    marks = list[pa.Table]()
    owners = {TIMELINE_COMMENTS.name: [Owner("deal", 1, None), Owner("deal", 2, None)]}
    tally = Tally()
    extraction = PortalExtraction(reader, KEY, tally)
    list(DetailReader(extraction, TIMELINE_COMMENTS, owners, marks).read())
    assert list(tally.refused_owners[TIMELINE_COMMENTS.name]) == [("deal", 1)]
    assert (tally.refused, tally.failed) == ({}, {})
    noted = [(row["owner_id"], row["rows_received"]) for row in marks[0].to_pylist()]
    assert noted == [(2, 1)]


def test_a_method_that_is_refused_altogether_is_an_error(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.scopes = ("crm",)
    with pytest.raises(PortalError, match="lacks a scope") as refused:
        fetch(reader, TASK_HISTORY, [("task", 1)])
    assert refused.value.is_refusal


@pytest.mark.parametrize("code", ["ACCESS_DENIED", "", "INTERNAL_SERVER_ERROR"])
@pytest.mark.parametrize("others", [0, 2])
def test_owners_that_the_portal_chokes_on_are_told_and_the_others_read(
    portal: tuple[Portal, Reader], monkeypatch: pytest.MonkeyPatch, code: str, others: int
) -> None:
    """However few are asked beside them, and at every load anew."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
    served, reader = portal
    served.store.insert("timeline_comment", [comment(n, n) for n in (1, 2, 3, 4)])
    bad = {
        "method": "crm.timeline.comment.list",
        "action": "command_error",
        "code": code,
        "description": "Odd",
        "times": "forever",
    }
    owners = [("deal", n) for n in (1, 2)]
    # The plan counts commands; the two bad owners come first in each request.
    served.fault_plan = FaultPlan([bad]) if not others else None
    batch = reader.client.batch_with_errors

    def choking(commands: dict[str, str], **named: Any) -> Any:
        answers = batch(commands, **named)
        error = PortalError("portal refused crm.timeline.comment.list: Odd.", code.casefold())
        return {key: error if key in ("c0", "c1") else found for key, found in answers.items()}

    if others:
        monkeypatch.setattr(reader.client, "batch_with_errors", choking)
        owners += [("deal", n) for n in (3, 4)]
    rows, noted, tally = fetch(reader, TIMELINE_COMMENTS, owners)
    assert noted == {3: 1, 4: 1} if others else noted == {}
    assert sorted(row["entity_id"] for row in rows) == ([3, 4] if others else [])
    assert set(tally.refused_owners[TIMELINE_COMMENTS.name]) == {("deal", 1), ("deal", 2)}
    assert (tally.refused, tally.failed) == ({}, {})


def test_an_owner_refused_behind_the_first_page_counts_as_not_read(
    portal: tuple[Portal, Reader],
) -> None:
    served, reader = portal
    served.store.insert("timeline_comment", [comment(n, 1) for n in range(1, 121)])
    refused = {"action": "command_error", "nth": 2, "code": "ODD", "description": "Not now"}
    served.fault_plan = FaultPlan([{"method": "crm.timeline.comment.list", **refused}])
    rows, noted, tally = fetch(reader, TIMELINE_COMMENTS, [("deal", 1)])
    assert (rows, noted) == ([], {})
    assert list(tally.refused_owners[TIMELINE_COMMENTS.name]) == [("deal", 1)]


def test_a_method_that_denies_a_whole_batch_is_refused(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    denied = {"action": "command_error", "code": "ACCESS_DENIED", "times": "forever"}
    served.fault_plan = FaultPlan([{"method": "crm.timeline.comment.list", **denied}])
    with pytest.raises(PortalError, match="lacks a right") as refused:
        fetch(reader, TIMELINE_COMMENTS, [("deal", n) for n in range(1, 51)])
    assert refused.value.is_refusal


def test_details_of_a_window_are_due_again(raw: Raw) -> None:
    for deal_id in (1, 2, 3):
        raw.add("deals", id=deal_id, date_create=after(deal_id), date_modify=after(9))
        raw.read(PRODUCT_ROWS, "deal", deal_id, after(9))
        raw.read(TIMELINE_COMMENTS, "deal", deal_id, after(9))
    found = details.forget(raw.connection, PRODUCT_ROWS, "raw", KEY, after(2), after(3))
    assert found == 1
    assert raw.due(PRODUCT_ROWS) == [("deal", 2)]
    assert raw.due(TIMELINE_COMMENTS) == []


def test_a_blocked_method_is_asked_again_and_doubles_nothing(
    portal: tuple[Portal, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, reader = portal
    served.store.insert("timeline_comment", [comment(n, 1) for n in range(1, 121)])
    served.fault_plan = FaultPlan(
        [
            {
                "method": "crm.timeline.comment.list",
                "action": "operation_limit",
                "nth": 2,
                "seconds": 30,
            }
        ]
    )
    moments = iter(range(0, 10_000, 10))
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("sources.bitrix24.reading.time", clock)
    rows, noted, _ = fetch(reader, TIMELINE_COMMENTS, [("deal", 1)])
    assert sorted(row["id"] for row in rows) == list(range(1, 121))
    assert noted == {1: 120}


def test_rows_that_cannot_be_read_are_counted(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.store.insert("task", [{"ID": 1, "CREATED_DATE": at(0)}])
    entry = {"TASK_ID": 1, "CREATED_DATE": at(1), "FIELD": "STATUS"}
    served.store.insert(
        "task_history", [{"ID": 1, **entry}, {"ID": 2, **entry, "USER_ID": "somebody"}]
    )
    tally, marks = Tally(), list[pa.Table]()
    reader_of_one = DetailReader(
        PortalExtraction(reader, KEY, tally),
        TASK_HISTORY,
        {TASK_HISTORY.name: [Owner("task", 1, None)]},
        marks,
    )
    tables_read = [table for table in reader_of_one.read() if table is not None]
    assert [table.column("id").to_pylist() for table in tables_read] == [[1]]
    assert (tally.received["task_history"], tally.quarantined["task_history"]) == (2, 1)
