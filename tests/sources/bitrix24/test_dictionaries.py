"""Lists without a cursor: whole, also where they change while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sources.bitrix24 import Bitrix24Client
from sources.bitrix24.dictionaries import Dictionaries
from sources.bitrix24.errors import PortalError
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.reading import Reader
from sources.connection import Cut, Tally
from sources.demo.faults import FaultPlan
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import NOON, make_portal


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[Portal, Reader]]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        portal = Portal(store)
        with serve_in_thread(portal) as address:
            reader = Reader(Bitrix24Client(address, requests_per_second=0))
            yield portal, reader
            reader.close()


def read(
    reader: Reader, name: str, smart_processes: tuple[int, ...] = ()
) -> tuple[list[dict[str, Any]], Tally]:
    tally = Tally()
    extraction = PortalExtraction(reader, "bitrix24:main", tally)
    dictionaries = Dictionaries(extraction, Cut(NOON, {}), smart_processes)
    tables = [table for table in dictionaries.readers[name]() if table is not None]
    return [row for table in tables for row in table.to_pylist()], tally


def users(*ids: int) -> list[dict[str, Any]]:
    return [{"ID": n, "ACTIVE": 1, "NAME": f"User {n}"} for n in ids]


def test_a_user_is_not_lost_where_one_goes_and_one_comes_between_two_pages(
    portal: tuple[Portal, Reader],
) -> None:
    """The count stays the same, and the 51st moves onto the page that was read before."""
    served, reader = portal
    served.store.insert("user", users(*range(1, 61)))
    served.fault_plan = FaultPlan(
        [
            {"method": "user.get", "nth": 2, "action": "delete", "entity": "user", "id": 5},
            {
                "method": "user.get",
                "nth": 2,
                "action": "insert",
                "entity": "user",
                "row": users(99)[0],
            },
        ]
    )
    rows, tally = read(reader, "users")
    assert {row["id"] for row in rows} == {*range(1, 61), 99} - {5}
    assert tally.reported == {"users": 60}


def test_users_of_one_page_are_read_once(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    rows, _ = read(reader, "users")
    assert [row["id"] for row in rows] == [1]
    assert served.calls["user.get"] == 1


def test_a_list_that_never_stands_still_is_an_error(
    portal: tuple[Portal, Reader],
) -> None:
    served, reader = portal
    served.store.insert("user", users(*range(1, 61)))
    changes = [
        {"method": "user.get", "nth": n, "action": "insert", "entity": "user", "row": row}
        for n, row in enumerate(users(*range(100, 120)), start=1)
    ]
    served.fault_plan = FaultPlan(changes)
    with pytest.raises(PortalError, match=r"counts .* rows of user\.get"):
        read(reader, "users")


def test_a_pipeline_of_more_than_50_stages_is_read_whole(portal: tuple[Portal, Reader]) -> None:
    served, reader = portal
    served.store.insert(
        "status",
        [
            {"ID": 100 + n, "ENTITY_ID": "DEAL_STAGE", "STATUS_ID": f"S{n:03}", "NAME": f"S {n}"}
            for n in range(120)
        ],
    )
    rows, tally = read(reader, "statuses")
    assert len({row["status_id"] for row in rows}) == len(rows) == 124
    assert tally.reported == {"statuses": 124}


def test_what_the_portal_does_not_count_is_compared_with_nothing(
    portal: tuple[Portal, Reader],
) -> None:
    served, reader = portal
    served.store.insert("currency", [{"ID": 1, "CURRENCY": "RUB", "DATE_UPDATE": NOON}])
    for name in ("currencies", "custom_fields"):
        _, tally = read(reader, name)
        assert tally.reported == {}
        assert name in tally.received


def fields_of_items() -> list[dict[str, Any]]:
    return [
        {
            "ID": number,
            "ENTITY_TYPE": kind,
            "FIELD_NAME": name,
            "USER_TYPE": "enumeration",
            "LABEL": f"Label of {kind}",
            "IS_MULTIPLE": 0,
            "ITEMS": [{"ID": number * 10, "VALUE": f"Option of {kind}"}],
        }
        for number, (kind, name) in enumerate(
            {
                "deal": "UF_CRM_GRADE",
                "invoice": "UF_CRM_SMART_INVOICE_1639669411830",
                "smart_item_177": "UF_CRM_7_1639669411830",
            }.items(),
            start=1,
        )
    ]


def test_custom_fields_of_invoices_and_smart_processes_come_with_their_options(
    portal: tuple[Portal, Reader],
) -> None:
    served, reader = portal
    served.store.insert("custom_field", fields_of_items())
    served.store.insert("category", [{"ID": 7, "NAME": "Repairs", "ENTITY_TYPE_ID": 177}])
    found, _ = read(reader, "custom_fields", (177,))
    assert {(row["entity_type"], row["field"], row["label"]) for row in found} == {
        ("deal", "UF_CRM_GRADE", "Label of deal"),
        ("invoice", "UF_CRM_SMART_INVOICE_1639669411830", "Label of invoice"),
        ("smart_item_177", "UF_CRM_7_1639669411830", "Label of smart_item_177"),
    }
    options, _ = read(reader, "custom_field_options", (177,))
    assert {(row["entity_type"], row["option_id"], row["label"]) for row in options} == {
        ("deal", "10", "Option of deal"),
        ("invoice", "20", "Option of invoice"),
        ("smart_item_177", "30", "Option of smart_item_177"),
    }


@pytest.mark.parametrize(
    ("code", "told"), [("ACCESS_DENIED", {"invoices"}), ("ENTITY_TYPE_NOT_SUPPORTED", set())]
)
def test_fields_that_a_portal_keeps_to_itself_cost_no_others(
    portal: tuple[Portal, Reader], code: str, told: set[str]
) -> None:
    served, reader = portal
    served.store.insert("custom_field", fields_of_items())
    place = {"method": "crm.item.fields", "where": {"entityTypeId": "31"}}
    denial = {"action": "error", "status": 400, "code": code, "description": "No."}
    served.fault_plan = FaultPlan([{**place, **denial}])
    found, tally = read(reader, "custom_fields")
    assert [row["entity_type"] for row in found] == ["deal"]
    assert set(tally.refused) == told
