"""The stand-ins answer as the providers' documentation says, oddities included."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from sources.demo.faults import FaultPlan
from sources.demo.limiter import SlidingWindow
from sources.demo.telephony.binotel import BinotelStandIn
from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.mango import MangoStandIn
from sources.demo.telephony.megafon import MegafonStandIn
from sources.demo.telephony.ringostat import RingostatStandIn
from sources.demo.telephony.uis import UisStandIn
from sources.demo.telephony.zadarma import ZadarmaStandIn

START = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
NOW = START + dt.timedelta(days=1)
KYIV = ZoneInfo("Europe/Kyiv")
CALL = a_call(1, START, extensions=("101", "102"), wait_seconds=5, talk_seconds=65)


def test_a_call_knows_who_talked_and_for_how_long() -> None:
    assert CALL.outcome == "answered"
    assert CALL.talker.extension == "102"
    assert CALL.talker.talk_seconds == 65
    assert [leg.wait_seconds for leg in CALL.legs] == [5, 5]
    assert CALL.ended_at == START + dt.timedelta(seconds=75)


def test_invented_calls_are_the_same_for_the_same_seed() -> None:
    assert invented_calls(START, 3, 20) == invented_calls(START, 3, 20)
    assert invented_calls(START, 3, 20) != invented_calls(START, 3, 20, seed=2)
    calls = invented_calls(START, 3, 20)
    assert len({call.number for call in calls}) == 60
    assert {call.direction for call in calls} == {"in", "out"}
    assert len({call.outcome for call in calls}) == 5
    assert {len(call.legs) for call in calls} == {1, 2, 3}


def test_calls_that_have_not_ended_are_not_told() -> None:
    assert MangoStandIn([CALL], CALL.ended_at).told() == [CALL]
    assert MangoStandIn([CALL], CALL.ended_at - dt.timedelta(seconds=1)).told() == []


def mango(body: dict[str, Any], salt: str = MangoStandIn.keys["api_salt"]) -> dict[str, str]:
    text, key = json.dumps(body), MangoStandIn.keys["api_key"]
    sign = hashlib.sha256(f"{key}{text}{salt}".encode()).hexdigest()
    return {"vpbx_api_key": key, "sign": sign, "json": text}


def test_mango_makes_a_report_of_the_fields_that_are_asked_for() -> None:
    with MangoStandIn([CALL], NOW).served() as address:
        first, last = int(START.timestamp()), int(NOW.timestamp())
        order = {"date_from": str(first), "date_to": str(last), "fields": "start,answer,to_number"}
        url = f"{address}/vpbx/stats"
        key = requests.post(f"{url}/request", mango(order), timeout=9).json()
        results = [requests.post(f"{url}/result", mango(key), timeout=9) for _ in range(2)]
        refused = requests.post(f"{url}/request", mango(order, "wrong"), timeout=9)
    assert [result.status_code for result in results] == [204, 200]
    assert results[1].text.split("\n") == [
        f"{first};0;sip:101@shop.mangosip.ru",
        f"{first + 5};{first + 10};sip:102@shop.mangosip.ru",
    ]
    assert results[1].headers["date"] == "Mon, 02 Mar 2026 09:00:00 GMT"
    assert (refused.status_code, refused.json()["result"]) == (401, 3102)


def uis(**params: Any) -> dict[str, Any]:
    window = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-02 00:00:00"}
    given = {"access_token": UisStandIn.keys["access_token"], **window, **params}
    return {"jsonrpc": "2.0", "id": 7, "method": "get.calls_report", "params": given}


def test_uis_tells_the_fields_that_are_asked_for_and_its_limits() -> None:
    with UisStandIn([CALL], NOW, KYIV).served() as address:
        body = uis(fields=["id", "start_time", "tags"])
        told = requests.post(f"{address}/v2.0", json=body, timeout=9).json()
    assert told["id"] == 7
    assert told["result"]["data"] == [
        {"id": 7000001, "start_time": "2026-03-01 11:00:00", "tags": None}
    ]
    assert told["result"]["metadata"]["total_items"] == 1
    assert told["result"]["metadata"]["limits"]["minute_limit"] == 30


@pytest.mark.parametrize(
    ("params", "mnemonic"),
    [
        ({"access_token": "wrong"}, "access_token_invalid"),
        ({"fields": ["nonsense"]}, "unexpected_parameters"),
        ({"sort": [{"field": "id"}]}, "sort_prohibited"),
        ({"date_from": "2025-10-01 00:00:00"}, "date_interval_limit_reached"),
        ({"limit": 10_001}, "invalid_parameter_value"),
        ({"offset": 100_001}, "invalid_parameter_value"),
    ],
)
def test_uis_refuses_by_the_names_of_its_documentation(
    params: dict[str, Any], mnemonic: str
) -> None:
    with UisStandIn([], NOW).served() as address:
        told = requests.post(f"{address}/v2.0", json=uis(**params), timeout=9).json()
    assert told["error"]["data"]["mnemonic"] == mnemonic


def test_uis_tells_when_its_limit_ends() -> None:
    uis_stand_in = UisStandIn([], NOW, bucket=SlidingWindow(1, 60))
    with uis_stand_in.served() as address:
        told = [requests.post(f"{address}/v2.0", json=uis(), timeout=9).json() for _ in range(2)]
    assert "result" in told[0]
    assert told[1]["error"]["code"] == -32029
    assert told[1]["error"]["data"]["metadata"]["limits"]["minute_reset"] == 1


@pytest.mark.parametrize("is_newer", [False, True])
def test_megafon_prints_nine_cells_and_newer_engines_a_header(is_newer: bool) -> None:
    params = {
        "cmd": "history",
        "token": MegafonStandIn.keys["token"],
        "type": "in",
        "start": "20260301T000000Z",
        "end": "20260302T000000Z",
    }
    with MegafonStandIn([CALL], NOW, is_newer=is_newer).served() as address:
        url = f"{address}/sys/crm_api.wcgp"
        text = requests.get(url, params, timeout=9).text
        refused = requests.get(url, {**params, "token": "wrong"}, timeout=9)
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert len(lines) == (3 if is_newer else 2)
    assert lines[-2].split(",")[:8] == [
        "uid1",
        "in",
        "380670000001",
        "user102@shop.megapbx.ru",
        "380441112233",
        "2026-03-01T09:00:00Z",
        "5",
        "65",
    ]
    assert refused.status_code == 401


def zadarma(path: str, query: str) -> dict[str, str]:
    digest = hashlib.md5(query.encode()).hexdigest()
    secret = ZadarmaStandIn.keys["api_secret"].encode()
    signed = hmac.new(secret, (path + query + digest).encode(), hashlib.sha1).hexdigest()
    signature = base64.b64encode(signed.encode()).decode()
    return {"Authorization": f"{ZadarmaStandIn.keys['api_key']}:{signature}"}


def test_zadarma_checks_the_signature_and_tells_local_times() -> None:
    path = "/v1/statistics/pbx/"
    query = "end=2026-03-02+00%3A00%3A00&start=2026-03-01+00%3A00%3A00&version=2"
    with ZadarmaStandIn([CALL], NOW, KYIV).served() as address:
        url = f"{address}{path}?{query}"
        told = requests.get(url, headers=zadarma(path, query), timeout=9).json()
        refused = requests.get(url, headers=zadarma(path, query + "&x=1"), timeout=9)
    assert [row["callstart"] for row in told["stats"]] == [
        "2026-03-01 11:00:00",
        "2026-03-01 11:00:05",
    ]
    assert len({row["pbx_call_id"] for row in told["stats"]}) == 1
    assert refused.status_code == 401


def test_zadarma_shortens_what_is_longer_than_a_month() -> None:
    path = "/v1/statistics/pbx/"
    query = "end=2026-06-01+00%3A00%3A00&start=2026-03-01+00%3A00%3A00"
    with ZadarmaStandIn([CALL], NOW).served() as address:
        told = requests.get(
            f"{address}{path}?{query}", headers=zadarma(path, query), timeout=9
        ).json()
    assert told["end"] == "2026-03-31 00:00:00"


def test_zadarma_limits_statistics_alone() -> None:
    stand_in = ZadarmaStandIn([], NOW, KYIV, bucket=SlidingWindow(0, 60))
    path, clock = "/v1/statistics/pbx/", "/v1/info/timezone/"
    with stand_in.served() as address:
        refused = requests.get(f"{address}{path}", headers=zadarma(path, ""), timeout=9)
        told = requests.get(f"{address}{clock}", headers=zadarma(clock, ""), timeout=9).json()
    assert refused.status_code == 429
    assert told["datetime"] == "2026-03-02 11:00:00"
    assert told["timezone"] == "UTC+02"


def binotel(**changed: Any) -> dict[str, Any]:
    window = {"startTime": int(START.timestamp()), "stopTime": int(START.timestamp()) + 3600}
    return {**BinotelStandIn.keys, **window, **changed}


@pytest.mark.parametrize(("shape", "kind"), [("map", dict), ("list", list)])
def test_binotel_tells_directions_apart_in_either_shape(shape: Any, kind: type) -> None:
    with BinotelStandIn([CALL], NOW, shape=shape).served() as address:
        url = f"{address}/api/4.0/stats/{{}}-calls-for-period.json"
        told = [
            requests.post(url.format(way), json=binotel(), timeout=9).json()
            for way in ("incoming", "outgoing")
        ]
    assert isinstance(told[0]["callDetails"], kind)
    assert len(told[0]["callDetails"]) == 1
    assert told[1]["callDetails"] == []


@pytest.mark.parametrize("changed", [{"secret": "wrong"}, {"stopTime": 2 * 10**9}])
def test_binotel_refuses_under_a_status_of_success(changed: dict[str, Any]) -> None:
    with BinotelStandIn([CALL], NOW).served() as address:
        url = f"{address}/api/4.0/stats/incoming-calls-for-period.json"
        answer = requests.post(url, json=binotel(**changed), timeout=9)
    assert (answer.status_code, answer.json()["status"]) == (200, "error")


def test_ringostat_tells_the_fields_that_are_asked_for_latest_first() -> None:
    calls = [CALL, a_call(2, START + dt.timedelta(hours=1), direction="out")]
    params = {
        "export_type": "json",
        "from": "2026-03-01 00:00:00",
        "to": "2026-03-02 00:00:00",
        "fields": "calldate,call_type,billsec",
        "order": "calldate desc",
    }
    with RingostatStandIn(calls, NOW, KYIV, lacks=frozenset({"odd"})).served() as address:
        headers, url = {"Auth-key": RingostatStandIn.keys["auth_key"]}, f"{address}/calls/list"
        told = requests.get(url, params, headers=headers, timeout=9).json()
        odd = requests.get(url, {**params, "fields": "odd"}, headers=headers, timeout=9)
        refused = requests.get(url, params, timeout=9)
    assert told == [
        {"calldate": "2026-03-01 12:00:00", "call_type": "out", "billsec": "60"},
        {"calldate": "2026-03-01 11:00:00", "call_type": "in", "billsec": "65"},
    ]
    assert odd.text == "incorrect field: odd"
    assert refused.status_code == 403


def test_faults_happen_as_planned_and_requests_are_kept() -> None:
    actions = ["server_error", "html", "query_limit", "expired_token"]
    plan = FaultPlan(
        [
            {"method": "/calls/list", "action": action, "nth": nth}
            for nth, action in enumerate(actions, 1)
        ]
    )
    stand_in = RingostatStandIn([], NOW, fault_plan=plan)
    with stand_in.served() as address:
        found = [requests.get(f"{address}/calls/list?a=1", timeout=9) for _ in actions]
    assert [answer.status_code for answer in found] == [500, 200, 429, 401]
    assert "<html>" in found[1].text
    assert found[2].headers["Retry-After"] == "1"
    assert stand_in.asked == [("/calls/list", {"a": "1"})] * 4
