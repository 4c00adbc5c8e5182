"""How the list methods are asked and answered: encoding, envelopes, ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest

from sources.bitrix24 import lists
from sources.bitrix24.client import Answer, Bitrix24Client
from sources.bitrix24.connector import Bitrix24Connector
from sources.bitrix24.lists import IdList, command
from sources.bitrix24.reading import Reader, Span, spans
from sources.demo.parameters import parse_query
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import at, call_row, deal_row, history_row, make_portal

ROWS = 101
IDS = list(range(1, ROWS + 1))
CONNECTOR = Bitrix24Connector(Bitrix24Client("http://127.0.0.1:1/rest/1/none/"), "main", (177,))


def columns_of(entity_name: str, number: int) -> dict[str, Any]:
    """A row of each entity of the store."""
    made = {"DATE_CREATE": at(number), "DATE_MODIFY": at(number)}
    item = {"CREATED_TIME": at(number), "UPDATED_TIME": at(number)}
    entry = {"OWNER_ID": 1, "CREATED_TIME": at(number)}
    rows: Mapping[str, dict[str, Any]] = {
        "product": {"NAME": "Thing", "DATE_CREATE": at(number)},
        "company": made,
        "contact": made,
        "lead": {**made, "STATUS_ID": "NEW"},
        "invoice": {**item, "STAGE_ID": "NEW"},
        "smart_item": {**item, "ENTITY_TYPE_ID": 177},
        "lead_stage_history": {**entry, "STATUS_ID": "NEW"},
        "invoice_stage_history": {**entry, "STAGE_ID": "NEW"},
        "activity": {"CREATED": at(number), "LAST_UPDATED": at(number), "TYPE_ID": 1},
        "task": {"CREATED_DATE": at(number), "CHANGED_DATE": at(number)},
    }
    if entity_name == "deal":
        return deal_row(number, **made)
    if entity_name == "stage_history":
        return history_row(number, 1, number, "NEW")
    if entity_name == "call":
        return call_row(number, number)
    return {"ID": number, **rows[entity_name]}


STORED = {
    "products": "product",
    "companies": "company",
    "contacts": "contact",
    "leads": "lead",
    "deals": "deal",
    "invoices": "invoice",
    "smart_items_177": "smart_item",
    "lead_stage_history": "lead_stage_history",
    "stage_history": "stage_history",
    "invoice_stage_history": "invoice_stage_history",
    "activities": "activity",
    "tasks": "task",
    "calls": "call",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A portal with 101 rows of every list."""
    with make_portal(tmp_path_factory.mktemp("lists") / "portal.sqlite") as store:
        for entity_name in STORED.values():
            store.insert(entity_name, (columns_of(entity_name, number) for number in IDS))
        with serve_in_thread(Portal(store)) as address:
            reader = Reader(Bitrix24Client(address, requests_per_second=0))
            yield reader
            reader.close()


# Commands of a batch


def test_a_command_is_percent_encoded() -> None:
    asked = command("crm.deal.list", {"filter": {"<=ID": 5}, "order": {"ID": "ASC"}, "start": -1})
    assert asked == "crm.deal.list?filter%5B%3C%3DID%5D=5&order%5BID%5D=ASC&start=-1"


def test_an_encoded_filter_arrives_and_an_unencoded_one_does_not() -> None:
    _, _, query = command("crm.deal.list", {"filter": {"<=ID": 5}}).partition("?")
    assert parse_query(query) == {"filter": {"<=ID": "5"}}
    assert parse_query("filter[<=ID]=5") != {"filter": {"<=ID": "5"}}, "the control"


@pytest.mark.parametrize(
    ("parameters", "arrives"),
    [
        ({"select": ["ID", "UF_*"]}, {"select": ["ID", "UF_*"]}),
        (
            {"filter": {"=ownerId": [7, 8], "=ownerType": "D"}},
            {"filter": {"=ownerId": ["7", "8"], "=ownerType": "D"}},
        ),
        ({"filter": {"%TITLE": "Ель & Co = 100%+1"}}, {"filter": {"%TITLE": "Ель & Co = 100%+1"}}),
        (
            {"filter": {">=DATE_MODIFY": "2026-01-01T00:00:00+03:00"}},
            {"filter": {">=DATE_MODIFY": "2026-01-01T00:00:00+03:00"}},
        ),
        ({"filter": {"=X": None}}, {"filter": {"=X": ""}}),
    ],
)
def test_parameters_arrive_as_they_were_meant(
    parameters: dict[str, Any], arrives: dict[str, Any]
) -> None:
    assert parse_query(command("m", parameters).partition("?")[2]) == arrives


def test_a_command_without_parameters_is_its_method() -> None:
    assert command("server.time", {}) == "server.time"


def test_a_reference_stays_readable() -> None:
    asked = command("m", {"filter": {">ID": "$result[s0p0][49][ID]"}})
    assert asked == "m?filter%5B%3EID%5D=$result[s0p0][49][ID]"


@pytest.mark.parametrize(
    ("entity", "reference"),
    [
        (lists.DEALS, "$result[k][49][ID]"),
        (lists.INVOICES, "$result[k][items][49][id]"),
        (lists.STAGE_HISTORY, "$result[k][items][49][ID]"),
        (lists.TASKS, "$result[k][tasks][49][id]"),
        (lists.CALLS, "$result[k][49][ID]"),
    ],
)
def test_a_reference_goes_by_envelope_and_id(entity: IdList, reference: str) -> None:
    assert entity.last_id_of("k", 50) == reference


def test_calls_are_asked_in_upper_case() -> None:
    assert lists.CALLS.request({">ID": 5}, descending=True) == {
        "FILTER": {">ID": 5},
        "SORT": "ID",
        "ORDER": "DESC",
    }


def test_ids_alone_are_selected_where_the_portal_can() -> None:
    assert lists.DEALS.request({}, only_ids=True)["select"] == ["ID"]
    only_ids = lists.INVOICES.request({}, only_ids=True)
    assert (only_ids["select"], only_ids["entityTypeId"]) == (["id"], 31)
    assert "select" not in lists.CALLS.request({}, only_ids=True)


# Answers


@pytest.mark.parametrize(
    ("entity", "result"),
    [
        (lists.DEALS, [{"ID": "7"}]),
        (lists.DEALS, {"items": [{"ID": "7"}]}),
        (lists.STAGE_HISTORY, {"items": [{"ID": 7}]}),
        (lists.STAGE_HISTORY, [{"ID": 7}]),
        (lists.TASKS, {"tasks": [{"id": "7"}]}),
        (lists.TASKS, {"list": [{"id": 7}], "total": 1}),
    ],
)
def test_rows_are_found_in_whatever_envelope(entity: IdList, result: Any) -> None:
    assert entity.ids(entity.rows(result)) == [7]


@pytest.mark.parametrize("result", [[], {}, None, "", {"items": []}, {"tasks": {}}])
@pytest.mark.parametrize("entity", [lists.DEALS, lists.STAGE_HISTORY, lists.TASKS])
def test_nothing_is_printed_in_many_ways(entity: IdList, result: Any) -> None:
    assert entity.rows(result) == []


def test_ids_that_cannot_be_read_are_left_out() -> None:
    rows = [{"ID": "7"}, {"ID": 8}, {"ID": "x"}, {"ID": None}, {}, "rubbish", None, []]
    assert lists.DEALS.ids(rows) == [7, 8]
    assert [lists.DEALS.id_of(row) for row in rows] == [7, 8, *[None] * 6]


def test_rows_get_what_the_portal_does_not_print() -> None:
    items = CONNECTOR.lists["smart_items_177"]
    assert items.rows({"items": [{"id": 1}, "rubbish"]}) == [
        {"entityTypeId": 177, "id": 1},
        "rubbish",
    ]


# Each list against the portal


def test_every_list_is_tried() -> None:
    assert STORED.keys() == CONNECTOR.lists.keys()


@pytest.mark.parametrize("only_ids", [False, True])
@pytest.mark.parametrize("name", STORED)
def test_every_list_is_read_by_id_in_chains(reader: Reader, name: str, only_ids: bool) -> None:
    entity = CONNECTOR.lists[name]

    def parse(rows: list[Any], _: Answer) -> pa.Table:
        return pa.table({"id": pa.array(entity.ids(rows), pa.int64())})

    for ranges in (spans(0, ROWS, ROWS, 1), [Span(0, None, 50)], [Span(0, 60, 60)]):
        blocks = reader.read(entity, {}, ranges, parse, only_ids=only_ids)
        found = sorted(n for block in blocks if block for n in block.table["id"].to_pylist())
        assert found == [n for n in IDS if n <= (ranges[-1].upper or ROWS)]


@pytest.mark.parametrize("name", [n for n in STORED if CONNECTOR.lists[n].in_filter])
def test_every_list_with_such_a_filter_is_read_by_a_set_of_ids(reader: Reader, name: str) -> None:
    entity = CONNECTOR.lists[name]
    request = entity.request({entity.in_filter or "": [3, 99, 7, 5000]})
    answer = reader.client.batch({"k": entity.command({**request, "start": -1})})["k"]
    assert sorted(entity.ids(entity.rows(answer.result))) == [3, 7, 99]


@pytest.mark.parametrize("name", [n for n in STORED if CONNECTOR.lists[n].modified])
def test_every_changing_list_is_read_by_its_time_of_change(reader: Reader, name: str) -> None:
    entity = CONNECTOR.lists[name]
    filters = {f">={entity.modified}": "2026-03-02T13:30:00+00:00"}
    answer = reader.client.call(entity.method, entity.request(filters))
    assert sorted(entity.ids(entity.rows(answer.result))) == [n for n in IDS if n >= 90]


@pytest.mark.parametrize("name", STORED)
def test_every_list_has_a_window_of_creation(reader: Reader, name: str) -> None:
    entity = CONNECTOR.lists[name]
    filters = {
        f">={entity.created}": "2026-03-02T12:10:00+00:00",
        f"<{entity.created}": "2026-03-02T12:20:00+00:00",
    }
    answer = reader.client.call(entity.method, entity.request(filters))
    assert sorted(entity.ids(entity.rows(answer.result))) == list(range(10, 20))
