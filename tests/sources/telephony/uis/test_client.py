"""UIS: pages and their count, limits told in the answer, local times."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.demo.faults import FaultPlan
from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.uis import UisStandIn
from sources.errors import RemoteError
from sources.telephony.http import Passing, Waiting
from sources.telephony.uis import UisReader
from sources.telephony.uis.tables import CALL_LEGS, CALLS
from tests.support.telephony import access_to, expected, once, reader_of, received, rows_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=2)
HOUR = dt.timedelta(hours=1)


def stand_in(calls: list[Any], **options: Any) -> UisStandIn:
    return UisStandIn(calls, END, **options)


@pytest.mark.parametrize("table", [CALLS, CALL_LEGS])
def test_all_pages_are_read_and_counted(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.uis.client.PAGE_ROWS", 7)
    calls = invented_calls(START, 1, 40)
    uis = stand_in(calls)
    with uis.served() as address:
        reader = reader_of("uis", uis, address)
        rows = rows_of(reader, table, START, END)
        assert received(table.raw.name, rows) == expected(table.raw.name, calls)
        assert reader.count(table, START, END) == len(rows)
    offsets = [parameters["offset"] for _, parameters in uis.asked[:-1]]
    assert offsets == list(range(0, len(rows), 7))


def test_a_page_shorter_than_asked_for_is_no_end() -> None:
    calls = invented_calls(START, 1, 30)
    uis = stand_in(calls, most_rows=11)
    with uis.served() as address:
        rows = rows_of(reader_of("uis", uis, address), CALLS, START, END)
    assert received("uis_calls", rows) == expected("uis_calls", calls)


def test_a_call_that_turns_up_between_pages_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.uis.client.PAGE_ROWS", 5)
    calls = invented_calls(START, 1, 20)
    uis = stand_in(calls)
    with uis.served() as address:
        reader = reader_of("uis", uis, address)
        answers = reader.read(CALLS, START, END)
        rows = list(next(answers).rows)
        # One that began before all others, and has ended only now.
        uis.calls = [*calls, a_call(99, START)]
        for answer in answers:
            rows += answer.rows
    assert {row["id"] for row in rows} >= {7_000_000 + call.number for call in calls}


def test_more_rows_than_pages_reach_are_read_in_shorter_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sources.telephony.uis.client.PAGE_ROWS", 10)
    monkeypatch.setattr("sources.telephony.uis.client.LAST_OFFSET", 20)
    calls = invented_calls(START, 2, 60)
    uis = stand_in(calls, last_offset=20)
    with uis.served() as address:
        rows = rows_of(reader_of("uis", uis, address), CALLS, START, END)
    found = received("uis_calls", once(CALLS, rows))
    assert found == expected("uis_calls", [call for call in calls if call.ended_at <= END])


def test_a_minutes_points_that_are_used_up_are_waited_for(waits: list[float]) -> None:
    plan = FaultPlan([{"method": "get.calls_report", "action": "query_limit"}])
    uis = stand_in([a_call(1, START)], fault_plan=plan)
    with uis.served() as address:
        assert len(rows_of(reader_of("uis", uis, address), CALLS, START, END)) == 1
    assert waits == [1.0]


def test_times_are_read_in_the_accounts_zone() -> None:
    moscow = ZoneInfo("Europe/Moscow")
    uis = stand_in([a_call(1, START + HOUR)], zone=moscow)
    with uis.served() as address:
        (row,) = rows_of(reader_of("uis", uis, address), CALLS, START, END)
    assert row["start_time"] == START + HOUR
    _, parameters = uis.asked[0]
    assert (parameters["date_from"], parameters["date_till"]) == (
        "2026-03-01 03:00:00",
        "2026-03-03 03:00:00",
    )


def test_the_address_may_be_given_with_its_version() -> None:
    uis = stand_in([a_call(1, START)])
    with uis.served() as address:
        reader = reader_of("uis", uis, f"{address}/v2.0/")
        assert reader.count(CALLS, START, END) == 1


def test_employees_and_records_come_as_json() -> None:
    uis = stand_in([a_call(1, START, extensions=("101", "102"))])
    with uis.served() as address:
        (row,) = rows_of(reader_of("uis", uis, address), CALLS, START, END)
        legs = rows_of(reader_of("uis", uis, address), CALL_LEGS, START, END)
    assert [one["is_talked"] for one in json.loads(row["employees"])] == [False, True]
    assert json.loads(row["call_records"]) == ["rec1"]
    assert row["is_lost"] is False
    assert [(leg["employee_id"], leg["is_talked"]) for leg in legs] == [(101, False), (102, True)]
    assert [leg["call_session_id"] for leg in legs] == [row["id"]] * 2
    assert row["extra"] is None


def error(code: int, mnemonic: str, limits: dict[str, int] | None = None) -> dict[str, Any]:
    data = {"mnemonic": mnemonic, "metadata": {"limits": limits or {}}}
    return {"code": code, "message": "Told by the server", "data": data}


def refusal(told: dict[str, Any]) -> Exception:
    return UisReader(access_to("uis", dict(UisStandIn.keys)))._refusal(told)


@pytest.mark.parametrize(
    ("code", "mnemonic", "remedy"),
    [
        (-32001, "access_token_expired", "check access_token under"),
        (-32003, "ip_not_whitelisted", "admits this machine's address"),
        (-32008, "method_component_disabled", "pay for it"),
        (-32009, "account_inactive", "pay for it"),
        (-32602, "unexpected_parameters", "refused to list the calls"),
    ],
)
def test_errors_are_told_with_their_remedy(code: int, mnemonic: str, remedy: str) -> None:
    told = refusal(error(code, mnemonic))
    assert isinstance(told, RemoteError)
    assert remedy in str(told)
    assert mnemonic in str(told)


def test_an_internal_error_may_pass() -> None:
    assert isinstance(refusal(error(-32603, "internal_error")), Passing)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"day_remaining": 0, "day_reset": 7200, "minute_remaining": 0, "minute_reset": 9}, 7200),
        ({"day_remaining": 5, "day_reset": 7200, "minute_remaining": 0, "minute_reset": 9}, 9),
        ({}, None),
    ],
)
def test_a_limit_says_when_it_ends(limits: dict[str, int], seconds: float | None) -> None:
    told = refusal(error(-32029, "limit_exceeded", limits))
    assert isinstance(told, Waiting)
    assert told.seconds == seconds
