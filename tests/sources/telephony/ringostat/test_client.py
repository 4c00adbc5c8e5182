"""Ringostat: fields that a project lacks, envelopes, local times."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.ringostat import RingostatStandIn
from sources.errors import RemoteError
from sources.telephony.http import Answer, Passing
from sources.telephony.ringostat import RingostatReader
from sources.telephony.ringostat.tables import CALLS
from tests.support.telephony import access_to, expected, reader_of, received, rows_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=1)
KYIV = ZoneInfo("Europe/Kyiv")


def stand_in(calls: list[Any], **options: Any) -> RingostatStandIn:
    return RingostatStandIn(calls, END + dt.timedelta(hours=2), **options)


def read(ringostat: RingostatStandIn) -> list[dict[str, Any]]:
    with ringostat.served() as address:
        return rows_of(reader_of("ringostat", ringostat, address), CALLS, START, END)


@pytest.mark.parametrize("envelope", ["", "calls", "data"])
def test_the_list_is_found_alone_and_in_an_envelope(envelope: str) -> None:
    calls = invented_calls(START, 1, 30)
    rows = read(stand_in(calls, envelope=envelope))
    assert received("ringostat_calls", rows) == expected("ringostat_calls", calls)


def test_fields_that_a_project_lacks_are_left_out_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    lacking = frozenset({"waittime", "department"})
    (row,) = read(stand_in([a_call(1, START)], lacks=lacking))
    assert row["waittime"] is None
    assert row["billsec"] == 60
    for field in lacking:
        assert f"has no field {field}" in caplog.text


@pytest.mark.parametrize("field", ["uniqueid", "calldate", "billsec"])
def test_a_project_without_a_field_that_is_needed_is_refused(field: str) -> None:
    with pytest.raises(RemoteError, match=f"incorrect field: {field}"):
        read(stand_in([], lacks=frozenset({field})))


def test_times_are_asked_for_and_read_in_the_projects_zone() -> None:
    ringostat = stand_in([a_call(1, START)], zone=KYIV)
    (row,) = read(ringostat)
    assert row["calldate"] == START
    _, asked = ringostat.asked[0]
    assert (asked["from"], asked["to"]) == ("2026-03-01 02:00:00", "2026-03-02 02:00:00")


def test_a_call_is_read_field_by_field() -> None:
    (row,) = read(stand_in([a_call(1, START, wait_seconds=4)]))
    assert (row["billsec"], row["waittime"], row["duration"]) == (60, 4, 64)
    assert (row["has_recording"], row["proper_flag"], row["repeated_flag"]) == (True, True, False)
    assert row["extra"] is None


@pytest.mark.parametrize("body", ['{"error": "odd"}', '{"message": "odd"}'])
def test_an_error_in_place_of_a_list_is_told(body: str) -> None:
    reader = RingostatReader(access_to("ringostat", dict(RingostatStandIn.keys)))
    with pytest.raises(RemoteError, match=r"\(odd\)"):
        reader._rows(Answer(200, body.encode(), START))


@pytest.mark.parametrize("body", ["{}", "null", "", '"nothing"', '{"calls": 7}'])
def test_what_holds_no_list_is_no_empty_log(body: str) -> None:
    reader = RingostatReader(access_to("ringostat", dict(RingostatStandIn.keys)))
    with pytest.raises(Passing):
        reader._rows(Answer(200, body.encode(), START))
