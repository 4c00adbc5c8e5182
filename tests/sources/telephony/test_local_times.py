"""Windows for providers with local times: none of a window is left out."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from sources.telephony.local_times import halves, local_window, unix_window

KYIV = ZoneInfo("Europe/Kyiv")
MINUTE = dt.timedelta(minutes=1)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_on_other_nights_a_window_is_what_clocks_show() -> None:
    window = local_window(at("2026-03-01T00:00:00Z"), at("2026-07-01T00:00:00Z"), KYIV)
    assert window == (at("2026-03-01 02:00:00"), at("2026-07-01 03:00:00"))


def test_an_edge_in_the_hour_that_comes_twice_takes_in_both() -> None:
    # 03:30 for the first time until 03:10 for the second.
    window = local_window(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:10:00Z"), KYIV)
    assert window == (at("2026-10-25 02:30:00"), at("2026-10-25 04:10:00"))


def test_parts_of_a_second_are_taken_in() -> None:
    start, end = at("2026-03-01T00:00:00.7Z"), at("2026-03-01T00:00:05.2Z")
    assert local_window(start, end, dt.UTC) == (
        at("2026-03-01 00:00:00"),
        at("2026-03-01 00:00:06"),
    )
    assert unix_window(start, end) == (1772323200, 1772323206)


def test_halves_meet_and_end_at_a_minute() -> None:
    start = at("2026-03-01T00:00:00Z")
    parts = halves(start, start + 5 * MINUTE)
    assert parts is not None
    (first, middle), (again, last) = parts
    assert (first, last) == (start, start + 5 * MINUTE)
    assert middle == again == start + 2.5 * MINUTE
    assert halves(start, start + 1.9 * MINUTE) is None


@pytest.mark.parametrize("minutes", [30, 50, 70, 90])
def test_halves_are_cut_by_instants_when_clocks_go_back(minutes: int) -> None:
    start = at("2026-10-25T00:15:00Z").astimezone(KYIV)
    end = (at("2026-10-25T00:15:00Z") + minutes * MINUTE).astimezone(KYIV)
    parts = halves(start, end)
    assert parts is not None
    assert parts[0][1] - parts[0][0] == dt.timedelta(minutes=minutes / 2)
