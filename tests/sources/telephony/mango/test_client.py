"""Mango Office: reports that take a while, cells without a header, legs of an entry."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.mango import MangoStandIn
from sources.errors import RemoteError
from sources.parsing import parse_rows
from sources.telephony.http import WAITING_TRIES, Waiting
from sources.telephony.mango import MangoReader
from sources.telephony.mango.client import EMPTY_TRIES
from sources.telephony.mango.tables import CALLS, FIELDS
from tests.support.telephony import access_to, reader_of, rows_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)


def stand_in(calls: list[Any], **options: Any) -> MangoStandIn:
    return MangoStandIn(calls, END, **options)


def read(mango: MangoStandIn) -> list[dict[str, Any]]:
    with mango.served() as address:
        return rows_of(reader_of("mango", mango, address), CALLS, START, END)


def test_a_report_is_ordered_once_and_polled_until_it_is_made(waits: list[float]) -> None:
    mango = stand_in([a_call(1, START + HOUR)], pending=6)
    assert len(read(mango)) == 1
    paths = [path for path, _ in mango.asked]
    assert paths == ["/vpbx/stats/request"] + ["/vpbx/stats/result"] * 7
    assert waits[0] < 2 < waits[-1] <= 31


def test_a_report_that_is_never_made_is_told() -> None:
    mango = stand_in([], pending=10_000)
    with pytest.raises(RemoteError, match="the report is being made"):
        read(mango)
    assert len(mango.asked) == WAITING_TRIES + 1


def test_an_empty_report_may_be_one_that_is_not_made_yet() -> None:
    mango = stand_in([a_call(1, START + HOUR)], is_pending_empty=True, pending=EMPTY_TRIES - 1)
    assert len(read(mango)) == 1


def test_an_empty_report_is_believed_when_it_comes_again() -> None:
    mango = stand_in([], pending=0)
    assert read(mango) == []
    assert len(mango.asked) == EMPTY_TRIES + 1


def test_a_call_that_is_passed_on_has_a_row_per_leg() -> None:
    mango = stand_in([a_call(1, START + HOUR, extensions=("101", "102"), wait_seconds=10)])
    first, second = read(mango)
    assert first["entry_id"] == second["entry_id"]
    assert first["row_key"] != second["row_key"]
    assert (first["to_extension"], second["to_extension"]) == ("101", "102")
    # 0 is printed where nobody answered.
    assert first["answer"] is None
    assert second["answer"] == START + HOUR + dt.timedelta(seconds=20)
    assert first["create"] == second["create"] == first["start"] == START + HOUR
    assert json.loads(first["records"]) == []
    assert len(json.loads(second["records"])) == 1
    assert first["extra"] is None


def test_keys_of_rows_are_the_same_at_every_reading() -> None:
    mango = stand_in(invented_calls(START, 1, 50))
    keys = [sorted(row["row_key"] for row in read(mango)) for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == len(keys[0])


def test_an_internal_call_has_extensions_on_both_sides() -> None:
    call = a_call(1, START + HOUR, direction="internal", client="105")
    (row,) = read(stand_in([call]))
    assert (row["from_extension"], row["to_extension"]) == ("105", "101")


def test_cells_that_newer_reports_add_are_kept() -> None:
    (row,) = read(stand_in([a_call(1, START + HOUR)], more_cells=("call-id-7", "2")))
    assert json.loads(row["extra"]) == {"cell_14": "call-id-7", "cell_15": "2"}


def test_a_row_without_its_entry_goes_to_the_quarantine() -> None:
    mango = stand_in([a_call(1, START + HOUR)], pending=0)
    with mango.served() as address:
        (answer,) = reader_of("mango", mango, address).read(CALLS, START, END)
    _, refused = parse_rows(CALLS.raw, [{**answer.rows[0], "entry_id": None}], "mango:x", END)
    assert [row.reason for row in refused] == ["entry_id: is missing"]


def test_a_report_cut_within_its_last_cell_is_asked_for_again(waits: list[float]) -> None:
    mango = stand_in([a_call(1, START + HOUR), a_call(2, START + 2 * HOUR)], pending=0)
    whole = mango._lines

    def cut(order: Any) -> list[str]:
        lines = whole(order)
        if not waits:
            lines[-1] = lines[-1][:-4]
        return lines

    mango._lines = cut  # type: ignore[method-assign]
    assert len(read(mango)) == 2
    assert len(waits) == 1


def test_all_fields_are_asked_for_and_the_last_one_shows_a_cut() -> None:
    mango = stand_in([])
    read(mango)
    asked = json.loads(mango.asked[0][1]["json"])
    assert asked["fields"].split(",") == list(FIELDS)
    assert FIELDS[-1] == "start"
    assert (asked["date_from"], asked["date_to"]) == (
        str(int(START.timestamp())),
        str(int(END.timestamp())),
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (3102, "refused the access"),
        ("3105", "refused the access"),
        (2100, "pay for it"),
        (3300, "refused to list the calls"),
        ("odd", "refused to list the calls"),
    ],
)
def test_codes_of_refusals_are_told_with_their_remedy(code: Any, told: str) -> None:
    reader = MangoReader(access_to("mango", dict(MangoStandIn.keys)))
    assert told in str(reader._refusal(code, f"{code}"))


def test_an_overload_is_waited_for() -> None:
    reader = MangoReader(access_to("mango", dict(MangoStandIn.keys)))
    assert isinstance(reader._refusal(5001, "5001"), Waiting)
