"""Local time, beginnings and values, without a database."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from sources.telephony.records import local_bounds, moment, plain, text_of

UTC = dt.UTC


def night(zone: str, day: dt.datetime, step: int) -> None:
    """Every instant's wall-clock time lies in its window; windows leave nothing between them."""
    place = ZoneInfo(zone)
    edges = [day + dt.timedelta(minutes=step * number) for number in range(24 * 60 // step)]
    bounds = [local_bounds(first, last, place) for first, last in itertools.pairwise(edges)]
    for number, (lower, upper) in enumerate(bounds):
        for second in range(0, step * 60, 59):
            wall = (edges[number] + dt.timedelta(seconds=second)).astimezone(place)
            assert lower <= wall.replace(tzinfo=None) < upper, (wall, lower, upper)
    for (_, upper), (lower, _) in itertools.pairwise(bounds):
        assert lower <= upper


@pytest.mark.parametrize("step", [7, 20, 60, 90, 300])
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Kyiv", dt.datetime(2025, 10, 25, 12, tzinfo=UTC)),
        ("Europe/Kyiv", dt.datetime(2026, 3, 28, 12, tzinfo=UTC)),
        ("America/New_York", dt.datetime(2025, 11, 1, 18, tzinfo=UTC)),
        ("America/New_York", dt.datetime(2026, 3, 7, 18, tzinfo=UTC)),
        ("Australia/Lord_Howe", dt.datetime(2026, 4, 4, 3, tzinfo=UTC)),
        ("Europe/Moscow", dt.datetime(2014, 10, 25, 12, tzinfo=UTC)),
        ("Asia/Kolkata", dt.datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_call_of_a_night_lies_in_the_window_of_its_instant(
    zone: str, day: dt.datetime, step: int
) -> None:
    night(zone, day, step)


def test_far_from_a_change_of_clocks_bounds_are_the_wall_clock() -> None:
    start = dt.datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert local_bounds(start, start + dt.timedelta(days=3), ZoneInfo("Europe/Kyiv")) == (
        dt.datetime(2026, 1, 5, 12),
        dt.datetime(2026, 1, 8, 12),
    )


NOON = dt.datetime(2026, 1, 5, 12)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOON, NOON),
        (dt.date(2026, 1, 5), dt.datetime(2026, 1, 5)),
        ("2026-01-05 12:00:00", NOON),
        ("2026-01-05T12:00", NOON),
        (" 2026-01-05 12:00:00.000 ", NOON),
        ("2026-01-05T12:00:00Z", NOON.replace(tzinfo=UTC)),
        ("2026-01-05 14:00:00+02:00", NOON.replace(tzinfo=UTC)),
        ("05.01.2026 12:00", NOON),
        ("5.1.2026 12:00:00", NOON),
        ("05.01.2026", dt.datetime(2026, 1, 5)),
        ("1767614400", NOON.replace(tzinfo=UTC)),
        ("1767614400.0", NOON.replace(tzinfo=UTC)),
        (1767614400, NOON.replace(tzinfo=UTC)),
        (1767614400.0, NOON.replace(tzinfo=UTC)),
        (Decimal("1767614400.000"), NOON.replace(tzinfo=UTC)),
        ("20260105", None),
        ("20260105120000", None),
        ("32.01.2026 12:00", None),
        ("0000-00-00 00:00:00", None),
        ("1970-01-01 00:00:00", None),
        ("9999-12-31 00:00:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (True, None),
        (0, None),
        (float("nan"), None),
        (1e30, None),
        (b"2026-01-05", None),
    ],
)
def test_a_beginning_in_any_form(value: object, expected: dt.datetime | None) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (79001234567.0, 79001234567),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), "inf"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12.50"), "12.50"),
        (NOON, "2026-01-05 12:00:00"),
        (dt.date(2026, 1, 5), "2026-01-05"),
        (dt.time(0, 1, 23), "00:01:23"),
        (dt.timedelta(minutes=1, seconds=23), 83),
        ("Иван".encode("cp1251"), "Иван"),
        (memoryview("Іван".encode()), "Іван"),
        ({"a": Decimal("1")}, {"a": "1"}),
        ((1, None), [1, None]),
        (ZoneInfo("UTC"), "UTC"),
    ],
)
def test_values_become_what_json_knows(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_bytes_of_no_encoding_are_still_a_text() -> None:
    assert text_of(b"\x98\xff") == "\ufffdя"
