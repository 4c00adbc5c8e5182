"""All six providers alike: every call once, no fewer when something breaks, no key told."""

from __future__ import annotations

import datetime as dt
import logging
import re
import traceback
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.demo.faults import FaultPlan
from sources.demo.telephony.calls import CallRecord, a_call, invented_calls
from sources.demo.telephony.providers import STAND_INS
from sources.demo.telephony.stand_in import PbxStandIn
from sources.errors import RemoteError, SourceError
from sources.telephony.http import MAX_WAIT_SECONDS, PASSING_TRIES
from sources.telephony.providers import TABLES, open_reader
from tests.support.telephony import (
    NAIVE,
    Made,
    access_to,
    expected,
    once,
    reader_of,
    received,
    rows_of,
)

PROVIDERS = sorted(STAND_INS)
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
KYIV = ZoneInfo("Europe/Kyiv")
HOUR = dt.timedelta(hours=1)
# What the data of a provider are asked for at; the clock of Zadarma has an address of its own.
DATA = {
    "binotel": "/api/4.0/stats/incoming-calls-for-period.json",
    "mango": "/vpbx/stats/result",
    "megafon": "/sys/crm_api.wcgp",
    "ringostat": "/calls/list",
    "uis": "get.calls_report",
    "zadarma": "/v1/statistics/pbx/",
}

every_provider = pytest.mark.parametrize("system", PROVIDERS)


def stand_in_of(system: str, calls: list[CallRecord], **options: Any) -> PbxStandIn:
    return STAND_INS[system](calls, **{"clock": END + dt.timedelta(days=1), **options})


@every_provider
def test_every_call_arrives_once_over_windows_and_their_edges(system: str) -> None:
    edges = [START + dt.timedelta(days=n) for n in range(4)]
    calls = invented_calls(START, 3, 40) + [
        a_call(1_000 + 10 * n + m, edge + dt.timedelta(seconds=second), extensions=("101", "102"))
        for n, edge in enumerate(edges)
        for m, second in enumerate((-1, 0, 1))
    ]
    stand_in = stand_in_of(system, calls)
    inside = [call for call in calls if START <= call.started_at < END]
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        for table in reader.tables:
            rows = once(table, rows_of(reader, table, START, END, days=1))
            assert received(table.raw.name, rows) == [
                row for row in expected(table.raw.name, calls) if START <= row[1] <= END
            ]
            assert len(rows) >= len(inside)
        reader.close()


@every_provider
def test_a_window_without_calls_is_empty(system: str) -> None:
    stand_in = stand_in_of(system, [])
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        for table in reader.tables:
            assert rows_of(reader, table, START, END) == []
            assert reader.count(table, START, END) in (None, 0)
        assert reader.first_at() is None


@every_provider
def test_the_clock_is_the_providers_in_the_zone_of_its_times(system: str) -> None:
    stand_in = stand_in_of(system, [], zone=KYIV)
    with stand_in.served() as address:
        now = reader_of(system, stand_in, address).now()
    assert now == stand_in.clock
    assert now.utcoffset() == dt.timedelta(hours=2)


@every_provider
def test_wrong_keys_are_told_with_the_remedy_and_without_the_keys(
    system: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stand_in = stand_in_of(system, [])
    wrong = {name: f"wr0ng-{name}-value" for name in stand_in.keys}
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address, wrong)
        for attempt in (reader.now, lambda: rows_of(reader, reader.tables[0], START, END)):
            with pytest.raises(RemoteError, match="refused the access of connection") as refused:
                attempt()
            told = str(refused.value)
            assert refused.value.is_connection_wide
            assert f"[sources.{system}.shop.main]" in told
            assert all(name in told for name in stand_in.keys)
            whole = "".join(traceback.format_exception(refused.value)) + caplog.text + repr(reader)
            assert "wr0ng" not in whole


@every_provider
@pytest.mark.parametrize(
    "action", ["html", "not_json", "half_body", "reset", "bad_gateway", "server_error"]
)
def test_what_breaks_is_asked_for_again(system: str, action: str, waits: list[float]) -> None:
    # None is recorded: of a list that is cut within the address of a record nobody can tell.
    calls = [
        a_call(n, START + n * HOUR, outcome="missed", extensions=("101", "102"))
        for n in range(1, 20)
    ]
    plan = FaultPlan([{"method": DATA[system], "action": action, "times": 2}])
    stand_in = stand_in_of(system, calls, fault_plan=plan)
    if system == "mango":
        # What is cut is to be the report, not the news that it is being made.
        stand_in.pending = 0  # type: ignore[attr-defined]
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        table = reader.tables[0]
        rows = once(table, rows_of(reader, table, START, START + 23 * HOUR))
    assert received(table.raw.name, rows) == expected(table.raw.name, calls)
    assert plan.fired[action] == 2
    assert len(waits) >= 2


@every_provider
@pytest.mark.parametrize("action", ["html", "server_error", "reset"])
def test_what_stays_broken_is_told_and_no_key(
    system: str, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan = FaultPlan([{"method": DATA[system], "action": action, "times": "forever"}])
    stand_in = stand_in_of(system, [], fault_plan=plan)
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        with pytest.raises(RemoteError, match=r"does not answer .* as .* does") as broken:
            rows_of(reader, reader.tables[0], START, END)
    assert plan.fired[action] == PASSING_TRIES
    whole = "".join(traceback.format_exception(broken.value)) + caplog.text
    assert not any(key in whole for key in stand_in.keys.values())
    assert "base_url" in str(broken.value)


@every_provider
def test_a_limit_is_waited_for_as_long_as_the_provider_says(
    system: str, waits: list[float]
) -> None:
    calls = [a_call(1, START + HOUR)]
    plan = FaultPlan([{"method": DATA[system], "action": "query_limit", "times": 3}])
    stand_in = stand_in_of(system, calls, fault_plan=plan)
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        rows = rows_of(reader, reader.tables[0], START, START + 2 * HOUR)
    assert len(once(reader.tables[0], rows)) == 1
    assert waits.count(1.0) == 3


@every_provider
def test_a_limit_that_never_ends_is_told(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.http.WAITING_TRIES", 7)
    plan = FaultPlan([{"method": DATA[system], "action": "query_limit", "times": "forever"}])
    stand_in = stand_in_of(system, [], fault_plan=plan)
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        with pytest.raises(RemoteError, match=r"kept connection 'main' waiting .*limit"):
            rows_of(reader, reader.tables[0], START, END)
    assert plan.fired["query_limit"] == 7


@every_provider
def test_a_time_out_may_pass(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.telephony.http.REQUEST_SECONDS", 0.5)
    plan = FaultPlan([{"method": DATA[system], "action": "delay", "seconds": 1.0}])
    stand_in = stand_in_of(system, [a_call(1, START + HOUR)], fault_plan=plan)
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        rows = rows_of(reader, reader.tables[0], START, START + 2 * HOUR)
    assert len(once(reader.tables[0], rows)) == 1
    assert plan.fired["delay"] == 1


@every_provider
@pytest.mark.parametrize(
    "night", [dt.datetime(2026, 3, 29, tzinfo=dt.UTC), dt.datetime(2026, 10, 25, tzinfo=dt.UTC)]
)
def test_no_call_is_lost_in_the_nights_when_clocks_change(system: str, night: dt.datetime) -> None:
    start, end = night - 4 * HOUR, night + 6 * HOUR
    calls = [a_call(n, start + n * dt.timedelta(minutes=7), talk_seconds=20) for n in range(1, 80)]
    stand_in = stand_in_of(system, calls, zone=KYIV, clock=end + HOUR)
    with stand_in.served() as address:
        reader = reader_of(system, stand_in, address)
        for table in reader.tables:
            rows = []
            # Edges in both hours that are the same on the clock, and the wrong way round there.
            edges = [start, night + 0.3 * HOUR, night + 0.7 * HOUR, night + 1.2 * HOUR, end]
            for first, last in pairwise(edges):
                found = rows_of(reader, table, first.astimezone(KYIV), last.astimezone(KYIV))
                inside = [row for row in expected(table.raw.name, calls) if first <= row[1] < last]
                # A load may begin or end here: what lies inside does not wait for its neighbours.
                assert set(_as_read(system, inside)) <= set(received(table.raw.name, found))
                rows += found
            wanted = _as_read(system, expected(table.raw.name, calls))
            assert sorted(received(table.raw.name, once(table, rows))) == sorted(wanted)


def _as_read(system: str, rows: Made) -> Made:
    """Rows as they stand in raw: an hour that comes twice is read as the first one."""
    if system not in NAIVE:
        return rows
    return [(identity, _first_reading(at)) for identity, at in rows]


def _first_reading(at: dt.datetime) -> dt.datetime:
    return at.astimezone(KYIV).replace(fold=0).astimezone(dt.UTC)


@every_provider
def test_missing_secrets_are_named_with_their_place(system: str) -> None:
    keys = STAND_INS[system].keys
    for missing in keys:
        secrets = {name: value for name, value in keys.items() if name != missing}
        with pytest.raises(SourceError, match=f"has no {missing}: put it under") as told:
            open_reader(system, access_to(system, {**secrets, "base_url": "https://a.example"}))
        assert f"SOURCES__{system}__SHOP__MAIN__{missing}".upper() in str(told.value)
        assert not any(value in str(told.value) for value in keys.values())


@every_provider
@pytest.mark.parametrize("address", ["http://pbx.example", "https://me@pbx.example", "pbx.example"])
def test_no_key_goes_to_an_unsafe_address(system: str, address: str) -> None:
    secrets = {**STAND_INS[system].keys, "base_url": address}
    with pytest.raises(SourceError, match="has no base_url of the form https://"):
        open_reader(system, access_to(system, secrets))


@every_provider
def test_raw_tables_are_named_after_the_provider(system: str) -> None:
    for table in TABLES[system]:
        assert re.fullmatch(rf"{system}_\w+", table.raw.name)
        assert table.started in [column.field for column in table.raw.columns]
        names = [column.name for column in table.raw.columns]
        assert set(table.raw.primary_key[1:]) <= set(names)
        assert len(names) == len(set(names))
        assert names == [name.lower() for name in names]


def test_nobody_waits_longer_than_the_patience() -> None:
    assert MAX_WAIT_SECONDS <= 900
