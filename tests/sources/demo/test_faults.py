"""Planned faults as a real HTTP client meets them over loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydantic
import pytest
import requests

from sources.demo.certificates import issue_certificate
from sources.demo.faults import FaultPlan
from sources.demo.portal import Portal
from sources.demo.server import serve_in_process, serve_in_thread
from sources.errors import InputError
from tests.support.portals import NOON, at, deal_row, history_row, make_portal


class Faulty:
    """A portal whose plan tests write."""

    def __init__(self, portal: Portal, address: str) -> None:
        self.portal = portal
        self.address = address

    def plan(self, *rules: Mapping[str, Any]) -> FaultPlan:
        self.portal.fault_plan = FaultPlan([{"method": "crm.deal.list", **rule} for rule in rules])
        return self.portal.fault_plan

    def post(self, method: str = "crm.deal.list", parameters: Any = None) -> requests.Response:
        return requests.post(self.address + method, json=parameters or {}, timeout=10)

    def batch(self, *commands: str, halt: int = 0) -> dict[str, Any]:
        body = {"halt": halt, "cmd": {f"c{n}": command for n, command in enumerate(commands)}}
        response = self.post("batch", body)
        assert response.status_code == 200, response.text
        return response.json()

    def total(self) -> int:
        response = self.post()
        assert response.status_code == 200, response.text
        return int(response.json()["total"])


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", (deal_row(n) for n in range(1, 4)))
        store.insert("stage_history", (history_row(n, n, 0, "NEW") for n in range(1, 4)))
        portal = Portal(store)
        with serve_in_thread(portal) as address:
            yield Faulty(portal, address)


# Each action


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("query_limit", 503, "QUERY_LIMIT_EXCEEDED"),
        ("overload", 503, "OVERLOAD_LIMIT"),
        ("server_error", 500, "INTERNAL_SERVER_ERROR"),
        ("expired_token", 401, "expired_token"),
    ],
)
@pytest.mark.parametrize("in_batch", [False, True])
def test_a_refusal_befalls_the_whole_request(
    faulty: Faulty, action: str, status: int, code: str, in_batch: bool
) -> None:
    faulty.plan({"action": action})
    parameters = {"cmd": {"users": "user.get", "deals": "crm.deal.list.json?start=-1"}}
    refused = faulty.post("batch", parameters) if in_batch else faulty.post()
    assert (refused.status_code, refused.json()["error"]) == (status, code)
    assert faulty.total() == 3


@pytest.mark.parametrize(("action", "status"), [("bad_gateway", 502), ("html", 200)])
def test_a_page_of_html_comes_in_place_of_an_answer(
    faulty: Faulty, action: str, status: int
) -> None:
    faulty.plan({"action": action})
    response = faulty.post()
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<html>")
    assert faulty.total() == 3


def test_half_an_answer_looks_whole_but_is_no_json(faulty: Faulty) -> None:
    faulty.plan({"action": "not_json"})
    response = faulty.post()
    assert response.status_code == 200
    assert response.text.startswith('{"result":[{"ID":"1"')
    assert len(response.content) == int(response.headers["content-length"])
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        response.json()
    assert faulty.total() == 3


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_breaks_off_in_the_middle(faulty: Faulty, tmp_path: Path, tls: bool) -> None:
    faulty.plan({"action": "half_body"}, {"action": "reset", "nth": 2})
    files = issue_certificate(tmp_path / "tls") if tls else None
    with serve_in_thread(faulty.portal, tls=files) as address, requests.Session() as session:
        session.trust_env = False  # an authority named by the environment would win
        session.verify = str(files.ca_file) if files else True
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            session.post(address + "crm.deal.list", timeout=10)
        with pytest.raises(requests.exceptions.ConnectionError):
            session.post(address + "crm.deal.list", timeout=10)
        assert session.post(address + "crm.deal.list", timeout=10).json()["total"] == 3


def test_a_reset_ends_the_connection_before_any_answer(faulty: Faulty) -> None:
    faulty.plan({"action": "reset"})
    with pytest.raises(requests.exceptions.ConnectionError, match=r"[Rr]eset"):
        faulty.post()
    assert faulty.portal.calls["crm.deal.list"] == 0, "nothing was done"
    assert faulty.total() == 3


def test_a_delay_takes_its_time_and_answers(faulty: Faulty) -> None:
    faulty.plan({"action": "delay", "seconds": 0.3})
    started = time.monotonic()
    assert faulty.total() == 3
    assert time.monotonic() - started >= 0.3
    faulty.plan({"action": "delay", "seconds": 1})
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(faulty.address + "crm.deal.list", timeout=0.2)


def test_an_operation_limit_says_when_it_ends(faulty: Faulty) -> None:
    faulty.plan({"action": "operation_limit", "seconds": 7})
    response = faulty.post()
    assert response.status_code == 429
    block = response.json()["time"]
    assert response.json()["error"] == "OPERATION_TIME_LIMIT"
    assert block["operating_reset_at"] - block["finish"] == 7
    assert faulty.total() == 3


def test_an_operation_limit_inside_a_batch_is_an_error_of_its_command(faulty: Faulty) -> None:
    faulty.plan({"action": "operation_limit", "seconds": 7, "nth": 2})
    body = faulty.batch("crm.deal.list", "crm.deal.list", "user.get")
    assert body["result"]["result"].keys() == {"c0", "c2"}
    assert body["result"]["result_error"]["c1"]["error"] == "OPERATION_TIME_LIMIT"
    block = body["result"]["result_time"]["c1"]
    assert block["operating_reset_at"] - block["finish"] == 7
    assert body["time"]["operating_reset_at"] == block["operating_reset_at"]


def test_an_error_has_the_status_and_body_it_is_given(faulty: Faulty) -> None:
    faulty.plan({"action": "error", "status": 418, "code": 0, "description": "odd"})
    response = faulty.post()
    assert response.status_code == 418
    assert response.json() == {"error": 0, "error_description": "odd"}
    assert faulty.total() == 3


def test_an_error_inside_a_batch_is_an_error_of_its_command(faulty: Faulty) -> None:
    faulty.plan({"action": "error", "code": "X", "description": "odd", "nth": 2})
    body = faulty.batch("crm.deal.list", "crm.deal.list", "crm.deal.list")["result"]
    assert body["result"].keys() == {"c0", "c2"}
    assert body["result_error"] == {"c1": {"error": "X", "error_description": "odd"}}
    faulty.plan({"action": "error", "code": "X"})
    halted = faulty.batch("user.get", "crm.deal.list", "user.get", halt=1)["result"]
    assert halted["result"].keys() == {"c0"}


def test_a_command_error_leaves_single_requests_alone(faulty: Faulty) -> None:
    faulty.plan({"action": "command_error", "code": "X"})
    assert faulty.total() == 3
    assert faulty.batch("crm.deal.list")["result"]["result_error"]["c0"]["error"] == "X"
    assert faulty.batch("crm.deal.list")["result"]["result_error"] == []


def test_a_command_is_read_with_other_parameters(faulty: Faulty) -> None:
    faulty.plan({"action": "misread", "parameters": {"start": 50}, "nth": 2})
    body = faulty.batch("crm.deal.list?start=0", "crm.deal.list?start=0")["result"]["result"]
    assert [len(body[name]) for name in ("c0", "c1")] == [3, 0]
    assert faulty.total() == 3


def test_records_change_just_before_the_answer(faulty: Faulty) -> None:
    created = (NOON.replace(hour=13)).isoformat()
    faulty.plan(
        {"action": "insert", "entity": "deal", "row": {"ID": 9, "DATE_CREATE": created}, "nth": 2},
        {"action": "change", "entity": "deal", "id": 1, "row": {"TITLE": "Moved"}, "nth": 3},
        {"action": "delete", "entity": "deal", "id": 2, "nth": 4},
    )
    assert faulty.total() == 3
    assert faulty.total() == 4
    first = faulty.post().json()["result"][0]
    assert (first["TITLE"], first["STAGE_ID"]) == ("Moved", "NEW")
    assert [row["ID"] for row in faulty.post().json()["result"]] == ["1", "3", "9"]
    store = faulty.portal.store
    assert store.query('select "DATE_CREATE" from deal where "ID" = 9')[0][0] == at(60)
    owners = store.query('select distinct "OWNER_ID" from stage_history order by 1')
    assert [row[0] for row in owners] == [1, 3], "a deal takes its history with it"


def test_a_change_of_a_missing_record_is_said(faulty: Faulty) -> None:
    faulty.plan({"action": "change", "entity": "deal", "id": 99, "row": {"TITLE": "x"}})
    response = faulty.post()
    assert response.status_code == 500
    assert "deal 99" in response.json()["error_description"]


# When


def statuses(faulty: Faulty, count: int, parameters: Any = None) -> list[int]:
    return [faulty.post(parameters=parameters).status_code for _ in range(count)]


def test_a_fault_happens_once_at_the_nth_request(faulty: Faulty) -> None:
    plan = faulty.plan({"action": "server_error", "nth": 3})
    assert statuses(faulty, 5) == [200, 200, 500, 200, 200]
    assert plan.fired == {"server_error": 1}


def test_a_fault_may_repeat_or_never_end(faulty: Faulty) -> None:
    faulty.plan({"action": "server_error", "nth": 2, "times": 2})
    assert statuses(faulty, 5) == [200, 500, 500, 200, 200]
    faulty.plan({"action": "server_error", "nth": 2, "times": "forever"})
    assert statuses(faulty, 5) == [200, 500, 500, 500, 500]


def test_other_methods_and_parameters_are_not_counted(faulty: Faulty) -> None:
    faulty.plan(
        {"method": "CRM.StageHistory.list", "where": {"entityTypeId": 2}, "action": "server_error"}
    )
    assert faulty.post().status_code == 200
    assert faulty.post("crm.stagehistory.list", {"entityTypeId": "1"}).status_code == 200
    assert faulty.post("batch", {"cmd": ["user.get"]}).status_code == 200
    command = "crm.stagehistory.list?entityTypeId=2&filter[OWNER_ID]=1"
    assert faulty.post("batch", {"cmd": [command]}).status_code == 500
    assert faulty.post("crm.stagehistory.list", {"entityTypeId": 2}).status_code == 200


def test_a_batch_counts_once_for_a_request_and_each_command_for_itself(faulty: Faulty) -> None:
    batch = {"cmd": ["crm.deal.list", "crm.deal.list", "crm.deal.list"]}
    faulty.plan({"action": "server_error", "nth": 2})
    assert [faulty.post("batch", batch).status_code for _ in range(3)] == [200, 500, 200]
    faulty.plan({"action": "command_error", "code": "X", "nth": 5})
    assert faulty.post("batch", batch).json()["result"]["result_error"] == []
    assert faulty.post("batch", batch).json()["result"]["result_error"].keys() == {"1"}


def test_the_first_of_two_rules_decides(faulty: Faulty) -> None:
    faulty.plan({"action": "overload"}, {"action": "html"}, {"action": "server_error"})
    assert statuses(faulty, 2) == [503, 200]


def test_counting_is_exact_from_many_threads() -> None:
    plan = FaultPlan([{"method": "a", "action": "html", "nth": 101, "times": 300}])
    with ThreadPoolExecutor(8) as pool:
        hits = list(pool.map(lambda _: len(plan.for_request([("a", {})])), range(1000)))
    assert sum(hits) == 300 == plan.fired["html"]


# The file

TOML = """
[[rules]]
method = "crm.deal.list"
where = {start = "50"}
nth = 2
times = "forever"
action = "error"
status = 403
code = "ACCESS_DENIED"

[[rules]]
method = "user.get"
action = "insert"
entity = "user"
row = {ID = 9, LAST_LOGIN = 2026-03-02T12:00:00+03:00}
"""


def test_a_plan_comes_from_toml_or_json(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TOML)
    plan = FaultPlan.read(path)
    assert plan.writes
    assert [rule.action for rule in plan.rules] == ["error", "insert"]
    again = tmp_path / "plan.json"
    again.write_text(json.dumps({"rules": [{"method": "user.get", "action": "reset"}]}))
    assert not FaultPlan.read(again).writes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("plan.toml", "rules = 5", "rules: Input should be a valid list"),
        ("plan.toml", "rules = [", "can't be read"),
        ("plan.json", "{", "can't be read"),
        ("plan.json", '{"rules": [{"method": "a", "action": "explode"}]}', "rules.0"),
        ("plan.json", '{"rules": [{"method": "a", "action": "html", "nth": 0}]}', "nth"),
        ("plan.json", '{"rules": [{"method": "a", "action": "html", "oops": 1}]}', "oops"),
        ("plan.json", '{"rules": [{"method": "a", "action": "delay"}]}', "seconds"),
        (
            "plan.json",
            '{"rules": [{"method": "a", "action": "delete", "entity": "deal"}]}',
            "delete needs an id",
        ),
        (
            "plan.json",
            '{"rules": [{"method": "a", "action": "insert", "entity": "dael", "row": {"ID": 1}}]}',
            "entity must be one of",
        ),
        (
            "plan.json",
            '{"rules": [{"method": "a", "action": "change", "entity": "deal", "id": 1, '
            '"row": {"TITEL": "x"}}]}',
            "no field TITEL",
        ),
        (
            "plan.json",
            '{"rules": [{"method": "a", "action": "change", "entity": "deal", "id": 1, '
            '"row": {"MOVED_TIME": "2026-03-02T12:00:00"}}]}',
            "offset",
        ),
    ],
)
def test_an_impossible_plan_names_the_place(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        FaultPlan.read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"The fault plan {path} ")


def test_a_missing_plan_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        FaultPlan.read(tmp_path / "plan.toml")


def test_a_plan_in_code_is_checked_too() -> None:
    with pytest.raises(pydantic.ValidationError):
        FaultPlan([{"method": "a", "action": "explode"}])


def test_a_portal_in_a_process_follows_a_plan_from_a_file(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", [deal_row(1)])
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[rules]]\nmethod = "crm.deal.list"\naction = "insert"\nentity = "deal"\n'
        'row = {ID = 2}\nnth = 2\n\n[[rules]]\nmethod = "user.get"\naction = "reset"\n'
    )
    with serve_in_process(tmp_path / "portal.sqlite", faults=plan) as address:
        for total in (1, 2):
            answer = requests.post(address + "crm.deal.list", timeout=10).json()
            assert answer["total"] == total
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(address + "user.get", timeout=10)
        assert requests.post(address + "user.get", timeout=10).json()["total"] == 1
