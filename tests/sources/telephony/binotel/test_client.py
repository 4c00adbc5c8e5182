"""Binotel: a map or a list of calls, days that are too full, refusals with a status of success."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from sources.demo.telephony.binotel import BinotelStandIn
from sources.demo.telephony.calls import a_call, invented_calls
from sources.errors import RemoteError
from sources.telephony.binotel import BinotelReader
from sources.telephony.binotel.tables import CALLS
from sources.telephony.http import Answer, Waiting
from tests.support.telephony import access_to, expected, once, reader_of, received, rows_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=2)


def stand_in(calls: list[Any], **options: Any) -> BinotelStandIn:
    return BinotelStandIn(calls, END + dt.timedelta(hours=2), **options)


def read(binotel: BinotelStandIn) -> list[dict[str, Any]]:
    with binotel.served() as address:
        return rows_of(reader_of("binotel", binotel, address), CALLS, START, END)


@pytest.mark.parametrize("shape", ["map", "list"])
@pytest.mark.parametrize("is_absent_if_empty", [True, False])
def test_both_shapes_and_all_emptiness_are_read(shape: Any, is_absent_if_empty: bool) -> None:
    # None is outgoing: one of the two lists is empty.
    calls = [a_call(n, START + n * dt.timedelta(hours=1)) for n in range(1, 40)]
    rows = read(stand_in(calls, shape=shape, is_absent_if_empty=is_absent_if_empty))
    assert received("binotel_calls", once(CALLS, rows)) == expected("binotel_calls", calls)


def test_a_map_names_calls_that_do_not_name_themselves() -> None:
    reader = BinotelReader(access_to("binotel", dict(BinotelStandIn.keys)))
    body = {"status": "success", "callDetails": {"77": {"startTime": "1"}, "78": "odd"}}
    rows = reader._rows(Answer(200, json.dumps(body).encode(), START)).rows
    assert rows == [{"generalCallID": "77", "startTime": "1"}, "odd"]


def test_a_day_with_more_calls_than_an_answer_holds_is_read_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sources.telephony.binotel.client.FULL_ROWS", 10)
    calls = invented_calls(START, 2, 70)
    binotel = stand_in(calls, most_rows=10)
    assert received("binotel_calls", once(CALLS, read(binotel))) == expected("binotel_calls", calls)


def test_a_minute_that_is_too_full_is_an_error_not_fewer_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sources.telephony.binotel.client.FULL_ROWS", 10)
    calls = [a_call(n, START + dt.timedelta(seconds=n)) for n in range(1, 20)]
    with pytest.raises(RemoteError, match="10 calls in a minute, maybe not all"):
        read(stand_in(calls, most_rows=10))


def test_legs_come_as_json_and_the_rest_in_extra() -> None:
    rows = read(stand_in([a_call(1, START, extensions=("101", "102"))]))
    (row,) = rows
    assert [leg["disposition"] for leg in json.loads(row["history_data"])] == ["NOANSWER", "ANSWER"]
    assert (row["call_type"], row["billsec"], row["is_new_call"]) == (0, 60, True)
    assert json.loads(row["extra"]) == {"companyID": "1000"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("120 Wrong key or secret", "check key and secret under"),
        ("103 Period is more than 24 hours", "refused to list the calls"),
    ],
)
def test_refusals_are_told_with_their_remedy(said: str, told: str) -> None:
    reader = BinotelReader(access_to("binotel", dict(BinotelStandIn.keys)))
    assert told in str(reader._refusal(Answer(200, b"", START), said))


def test_too_many_requests_are_waited_for() -> None:
    reader = BinotelReader(access_to("binotel", dict(BinotelStandIn.keys)))
    answer = Answer(200, b"", START)
    for said in ("Too many requests", "Слишком частые запросы", "Занадто часті запити"):
        assert isinstance(reader._refusal(answer, said), Waiting)
