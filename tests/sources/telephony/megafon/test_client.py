"""MegaFon: missed calls apart or not, newer engines, refusals by JSON."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.megafon import MegafonStandIn
from sources.errors import RemoteError
from sources.telephony.megafon.tables import CALLS
from tests.support.telephony import expected, once, reader_of, received, rows_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=1)


def stand_in(calls: list[Any], **options: Any) -> MegafonStandIn:
    return MegafonStandIn(calls, END + dt.timedelta(hours=2), **options)


def read(megafon: MegafonStandIn, suffix: str = "") -> list[dict[str, Any]]:
    with megafon.served() as address:
        return rows_of(reader_of("megafon", megafon, address + suffix), CALLS, START, END)


@pytest.mark.parametrize("all_has_missed", [True, False])
@pytest.mark.parametrize("is_newer", [True, False])
def test_missed_calls_come_once_wherever_they_stand(all_has_missed: bool, is_newer: bool) -> None:
    calls = invented_calls(START, 1, 60)
    rows = read(stand_in(calls, all_has_missed=all_has_missed, is_newer=is_newer))
    assert received("megafon_calls", once(CALLS, rows)) == expected("megafon_calls", calls)
    assert {"in", "out", "missed"} == {row["type"] for row in rows}


def test_a_newer_engines_cell_is_kept_by_its_name() -> None:
    (row,) = read(stand_in([a_call(1, START)], is_newer=True))
    assert json.loads(row["extra"]) == {"quality_control": "5"}


def test_a_call_is_read_cell_by_cell() -> None:
    (row,) = read(stand_in([a_call(1, START, wait_seconds=9, talk_seconds=61)]))
    assert row["start"] == START
    assert (row["wait"], row["duration"]) == (9, 61)
    assert row["account"] == "user101@shop.megapbx.ru"
    assert row["record"].startswith("https://")
    assert row["extra"] is None


def test_the_whole_address_of_the_settings_page_may_be_given() -> None:
    assert len(read(stand_in([a_call(1, START)]), "/sys/crm_api.wcgp")) == 1


def test_json_in_place_of_a_list_is_a_refusal() -> None:
    megafon = stand_in([], is_plain_refusal=True)
    with (
        megafon.served() as address,
        pytest.raises(RemoteError, match=r"refused the access .*Invalid token"),
    ):
        reader_of("megafon", megafon, address, {"token": "wrong"}).now()


def test_times_are_asked_for_in_utc() -> None:
    megafon = stand_in([])
    read(megafon)
    assert {parameters["type"] for _, parameters in megafon.asked} == {"all", "missed"}
    for _, parameters in megafon.asked:
        assert (parameters["start"], parameters["end"]) == ("20260301T000000Z", "20260302T000000Z")
