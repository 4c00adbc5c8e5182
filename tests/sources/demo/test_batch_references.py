"""`$result[key][0][ID]` inside a batch: what the chains of fast clients are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from sources.demo.parameters import parse_query, resolve
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import deal_row, history_row, make_portal

DEALS = 130


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with make_portal(tmp_path_factory.mktemp("portal") / "portal.sqlite") as store:
        store.insert("deal", (deal_row(n, ASSIGNED_BY_ID=1) for n in range(1, DEALS + 1)))
        store.insert("stage_history", (history_row(n, n, 0, "NEW") for n in range(1, DEALS + 1)))
        with serve_in_thread(Portal(store)) as address:
            yield address


def batch(address: str, commands: Any, halt: int = 0) -> dict[str, Any]:
    body = {"halt": halt, "cmd": commands}
    result = requests.post(address + "batch", json=body, timeout=10).json()["result"]
    assert isinstance(result, dict)
    return result


def ids(page: Any) -> list[int]:
    rows = page["items"] if isinstance(page, dict) else page
    return [int(row["ID"]) for row in rows]


def chain(method: str, reference: str, more: str = "") -> dict[str, str]:
    """Four chained pages of a list."""
    commands = {"p0": f"{method}?order[ID]=ASC&start=-1{more}"}
    for number in range(1, 4):
        last = reference.format(number - 1)
        commands[f"p{number}"] = f"{method}?order[ID]=ASC&filter[>ID]={last}&start=-1{more}"
    return commands


@pytest.mark.parametrize(
    "reference", ["$result[p{}][49][ID]", "%24result%5Bp{}%5D%5B49%5D%5BID%5D"]
)
def test_a_chain_of_pages_reads_a_list_in_one_request(address: str, reference: str) -> None:
    pages = batch(address, chain("crm.deal.list", reference))["result"]
    assert [ids(pages[f"p{n}"]) for n in range(3)] == [
        list(range(1, 51)),
        list(range(51, 101)),
        list(range(101, 131)),
    ]


def test_a_reference_that_leads_nowhere_filters_nothing(address: str) -> None:
    # The third page has 30 rows, so its row 49 is missing: the fourth begins anew.
    pages = batch(address, chain("crm.deal.list", "$result[p{}][49][ID]"))["result"]
    assert ids(pages["p3"]) == list(range(1, 51))


def test_a_reference_goes_through_an_envelope(address: str) -> None:
    commands = chain("crm.stagehistory.list", "$result[p{}][items][49][ID]", "&entityTypeId=2")
    pages = batch(address, commands)["result"]
    assert ids(pages["p1"]) == list(range(51, 101))
    assert ids(pages["p2"]) == list(range(101, 131))


def test_references_work_by_position_and_as_a_form(address: str) -> None:
    first, second = "crm.deal.list?start=-1", "crm.deal.list?filter[>ID]=$result[0][49][ID]"
    by_list = batch(address, [first, second + "&start=-1"])
    assert ids(by_list["result"]["1"])[0] == 51
    form = [("cmd[0]", first), ("cmd[1]", quote(second + "&start=-1", safe="=?&"))]
    answer = requests.post(address + "batch", data=form, timeout=10).json()["result"]
    assert ids(answer["result"]["1"])[0] == 51


def test_a_command_that_failed_is_referred_to_as_nothing(address: str) -> None:
    commands = {"a": "no.such.method", "b": "crm.deal.list?filter[>ID]=$result[a][0][ID]&start=-1"}
    result = batch(address, commands)
    assert result["result_error"].keys() == {"a"}
    assert ids(result["result"]["b"])[0] == 1


@pytest.mark.parametrize("operator", [">", ">=", "<", "<="])
def test_nothing_is_compared_as_zero(address: str, operator: str) -> None:
    body = {"filter": {f"{operator}ID": ""}}
    found = requests.post(address + "crm.deal.list", json=body, timeout=10).json()["total"]
    assert found == (DEALS if operator.startswith(">") else 0)


RESULTS: dict[str, Any] = {
    "get_user": {"ID": "5", "UF_DEPARTMENT": [7, 8]},
    "deals": [{"ID": "41", "COMPANY": None}],
}


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("$result[get_user][UF_DEPARTMENT][1]", 8),
        ("$result[get_user][UF_DEPARTMENT]", [7, 8]),
        ("D_$result[deals][0][ID]", "D_41"),
        ("$result[deals][0][ID]-$result[get_user][ID]", "41-5"),
        ("x$result[get_user][UF_DEPARTMENT]", "x"),
        ("$result[deals][0][COMPANY]", ""),
        ("$result[deals][1][ID]", ""),
        ("$result[deals][x][ID]", ""),
        ("$result[deals][0][ID][more]", ""),
        ("$result[nobody]", ""),
        ("$result", "$result"),
        ("plain", "plain"),
    ],
)
def test_references_resolve(given: str, resolved: Any) -> None:
    assert resolve({"filter": {"=ID": [given]}, "start": 5}, RESULTS) == {
        "filter": {"=ID": [resolved]},
        "start": 5,
    }


def test_an_encoded_command_is_decoded_once() -> None:
    query = quote("filter[>ID]=$result[deals][0][ID]", safe="=")
    assert resolve(parse_query(query), RESULTS) == {"filter": {">ID": "41"}}
