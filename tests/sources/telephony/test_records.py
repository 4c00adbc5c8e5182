"""Local time, beginnings and values, without a database."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.errors import SourceError
from sources.loading import load_connection
from sources.telephony.asterisk.tables import CDR, prepare
from sources.telephony.connector import PbxConnector
from sources.telephony.records import RecordReader, local_bounds, moment, plain, text_of
from sources.telephony.windows import Windows
from tests.support.call_databases import make_pbx
from tests.support.companies import pipeline_of

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


class ListedRecords:
    """Rows in memory that change between counting and reading."""

    is_windowed = True

    def __init__(self, counted: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        self.counted = counted
        self.rows = rows

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 3, 2, 12, tzinfo=UTC)

    def beginnings(self) -> list[Any]:
        return [row["calldate"] for row in self.rows]

    def beginning_of(self, row: Mapping[str, Any]) -> Any:
        return row["calldate"]

    def read(
        self, start: dt.datetime, end: dt.datetime, *, with_undated: bool
    ) -> Iterator[list[Mapping[str, Any]]]:
        yield list(self.rows)

    def count(self, start: dt.datetime, end: dt.datetime, *, with_undated: bool) -> int | None:
        return self.counted

    def close(self) -> None: ...


def legs(*numbers: int) -> list[dict[str, Any]]:
    return [
        {"uniqueid": "1.1", "sequence": number, "calldate": "2026-03-01 12:00:00"}
        for number in numbers
    ]


@pytest.mark.parametrize(
    ("counted", "rows", "expected"),
    [
        (3, legs(1, 2, 3), 3),
        # A call ended between counting and reading.
        (2, legs(1, 2, 3), 3),
        # Rows were lost on the way: the load will find 2 of 3.
        (3, legs(1, 2), 3),
        (3, legs(1, 2, 2), 2),
        (None, legs(1, 2), 2),
        (0, [], 0),
    ],
)
def test_what_is_counted_is_what_should_have_come(
    counted: int | None, rows: Sequence[Mapping[str, Any]], expected: int
) -> None:
    zone = ZoneInfo("Europe/Kyiv")
    reader = RecordReader(CDR, ListedRecords(counted, rows), zone, prepare, 31)
    window = (dt.datetime(2026, 3, 1, tzinfo=UTC), dt.datetime(2026, 3, 2, tzinfo=UTC))
    assert reader.count(CDR, *window) is None
    answers = list(reader.read(CDR, *window))
    assert all(answer.received_at == reader.now() for answer in answers)
    assert reader.count(CDR, *window) == expected
    assert reader.first_at() == (dt.datetime(2026, 3, 1, 10, tzinfo=UTC) if rows else None)


def test_a_window_that_lost_rows_is_read_again_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = make_pbx(tmp_path, monkeypatch)
    records = ListedRecords(3, legs(1, 2))
    reader = RecordReader(CDR, records, ZoneInfo("Europe/Kyiv"), prepare, 31)
    connector = PbxConnector(reader, "asterisk", "main", Windows())
    with pytest.raises(SourceError, match=r"counts 3 rows of cdr .* and returned 2, 3 times"):
        load_connection(pipeline_of(pbx.settings, "main", "asterisk"), connector)
    records.rows = legs(1, 2, 3)
    assert load_connection(pipeline_of(pbx.settings, "main", "asterisk"), connector).problems == ()
    assert pbx.raw("select count(*) from asterisk_cdr") == [(3,)]
