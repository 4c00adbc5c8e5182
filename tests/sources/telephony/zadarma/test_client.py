"""Zadarma: signatures, pages, months, the account's zone."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.demo.limiter import SlidingWindow
from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.zadarma import ZadarmaStandIn
from sources.errors import RemoteError
from sources.telephony.windows import slices
from sources.telephony.zadarma import ZadarmaReader
from sources.telephony.zadarma.client import PROVIDER
from sources.telephony.zadarma.tables import CALLS
from tests.support.telephony import access_to, expected, once, reader_of, received, rows_of

START = dt.datetime(2026, 1, 15, tzinfo=dt.UTC)
END = START + dt.timedelta(days=70)
KYIV = ZoneInfo("Europe/Kyiv")


def stand_in(calls: list[Any], **options: Any) -> ZadarmaStandIn:
    return ZadarmaStandIn(calls, END + dt.timedelta(hours=2), **options)


def test_longer_than_a_month_is_asked_for_in_parts() -> None:
    calls = invented_calls(START, 70, 3)
    zadarma = stand_in(calls, zone=KYIV)
    with zadarma.served() as address:
        reader = reader_of("zadarma", zadarma, address)
        rows = once(CALLS, rows_of(reader, CALLS, START, END))
    assert received("zadarma_calls", rows) == expected("zadarma_calls", calls)
    assert len(zadarma.asked) == len(list(slices(START, END, reader.slice_days))) == 3


def test_all_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.zadarma.client.PAGE_ROWS", 10)
    calls = [a_call(n, START + n * dt.timedelta(minutes=3)) for n in range(1, 31)]
    zadarma = stand_in(calls)
    with zadarma.served() as address:
        rows = rows_of(reader_of("zadarma", zadarma, address), CALLS, START, END, days=29)
    assert received("zadarma_calls", once(CALLS, rows)) == expected("zadarma_calls", calls)
    skips = [parameters["skip"] for _, parameters in zadarma.asked]
    assert skips[:4] == ["0", "10", "20", "30"]


def test_pages_that_repeat_are_an_error_not_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.zadarma.client.PAGE_ROWS", 10)
    calls = [a_call(n, START + n * dt.timedelta(minutes=3)) for n in range(1, 31)]
    zadarma = stand_in(calls, knows_skip=False)
    with (
        zadarma.served() as address,
        pytest.raises(RemoteError, match="the page from row 10 on repeats earlier ones"),
    ):
        rows_of(reader_of("zadarma", zadarma, address), CALLS, START, END)


def test_a_call_has_a_row_per_leg() -> None:
    zadarma = stand_in([a_call(1, START, extensions=("101", "102"), wait_seconds=10)])
    with zadarma.served() as address:
        first, second = rows_of(reader_of("zadarma", zadarma, address), CALLS, START, END, days=9)
    assert first["pbx_call_id"] == second["pbx_call_id"]
    assert first["call_id"] == second["call_id"] == f"{int(START.timestamp())}.000001"
    assert first["row_key"] != second["row_key"]
    assert (first["disposition"], second["disposition"]) == ("no answer", "answered")
    assert (first["is_recorded"], second["is_recorded"]) == (False, True)
    assert second["seconds"] == 60
    assert first["extra"] is None


def test_an_account_in_another_zone_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    zadarma = stand_in([], zone=KYIV)
    with zadarma.served() as address:
        secrets = {**zadarma.keys, "base_url": address}
        now = ZadarmaReader(access_to("zadarma", secrets)).now()
        assert "set time_zone of connection 'main'" in caplog.text
        caplog.clear()
        reader_of("zadarma", zadarma, address).now()
        assert caplog.text == ""
    assert now == zadarma.clock


def test_three_requests_a_minute_are_kept() -> None:
    assert PROVIDER.requests_per_minute == 3
    reader = ZadarmaReader(access_to("zadarma", dict(ZadarmaStandIn.keys)))
    throttle = reader.client._limiter
    assert throttle is not None
    assert not throttle.limit().limited
    assert throttle.limit().limited
    assert 19 <= throttle.limit().state.retry_after <= 20


def test_the_limit_of_statistics_is_waited_for(waits: list[float]) -> None:
    moments = iter(range(0, 10_000, 15))
    zadarma = stand_in(
        invented_calls(START, 70, 1), bucket=SlidingWindow(3, 60, now=lambda: next(moments))
    )
    with zadarma.served() as address:
        rows = rows_of(reader_of("zadarma", zadarma, address), CALLS, START, END, days=10)
    assert len(once(CALLS, rows)) == len(expected("zadarma_calls", zadarma.calls))
    assert 1.0 in waits
