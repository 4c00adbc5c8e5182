"""Lists without a cursor: whole, also where they change while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sources.bitrix24 import Bitrix24Client
from sources.bitrix24.dictionaries import Dictionaries
from sources.bitrix24.errors import PortalError
from sources.bitrix24.extraction import Extraction
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


def read(reader: Reader, name: str) -> tuple[list[dict[str, Any]], Tally]:
    tally = Tally()
    dictionaries = Dictionaries(Extraction(reader, "bitrix24:main", tally), Cut(NOON, {}), ())
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
