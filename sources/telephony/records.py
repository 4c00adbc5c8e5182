"""Calls that stand in a table or in files, as a `PbxReader`: windows, keys, a count, local time."""

from __future__ import annotations

import datetime as dt
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from sources.telephony.reading import PbxTable, Rows

EARLIEST = dt.datetime(1971, 1, 1)
LATEST = dt.datetime(9999, 12, 31)
"""A beginning outside these two is none: zero dates, texts that are no date."""
_EARLIEST_SECOND = 10**8
_LATEST_SECOND = 253_402_214_400
_LONGEST_SHIFT = dt.timedelta(hours=3)
"""Clocks were never put back by more, but where a country changed the date line."""
_UNIX_SECONDS = re.compile(r"\d{9,11}(\.\d+)?", re.ASCII)
_LOCAL_DATE = re.compile(
    r"(\d\d?)\.(\d\d?)\.(\d{4})(?:[ ,T]+(\d\d?):(\d\d)(?::(\d\d))?)?", re.ASCII
)

logger = logging.getLogger("callfunnel.telephony")


class Records(Protocol):
    """One table, or files of the same columns."""

    @property
    def is_windowed(self) -> bool:
        """Whether `read` brings the window's rows alone; otherwise the reader picks them out."""

    def now(self) -> dt.datetime:
        """The clock of the place that keeps them, aware; proves the access."""

    def beginnings(self) -> Iterable[Any]:
        """Values of the column that says when a call began: of all rows, or the smallest."""

    def read(
        self, start: dt.datetime, end: dt.datetime, *, with_undated: bool
    ) -> Iterator[list[Mapping[str, Any]]]:
        """Rows in pieces: those of `[start, end)` at least, on demand those without a date."""

    def beginning_of(self, row: Mapping[str, Any]) -> Any:
        """What a row says about when its call began."""

    def count(self, start: dt.datetime, end: dt.datetime, *, with_undated: bool) -> int | None:
        """How many rows `read` would bring, as the place itself counts; None: it does not."""

    def close(self) -> None:
        """Let go of connections."""


class RecordReader:
    """A `PbxReader` of one table of calls.

    Times without an offset are compared in local time. The hour that comes twice is read whole by
    every window that touches it: no row falls between two windows, and rows that come twice have
    the same key. Rows without a readable beginning come with the first window of a load, so that
    they end in the quarantine instead of nowhere.

    Args:
        table: the list that is read.
        records: where its rows stand.
        zone: of times without an offset.
        prepare: a row as raw wants it, with the fields of the table's key and its beginning.
        slice_days: the longest window that is asked for at once.
    """

    def __init__(
        self,
        table: PbxTable,
        records: Records,
        zone: dt.tzinfo,
        prepare: Callable[[Mapping[str, Any]], dict[str, Any]],
        slice_days: int,
    ) -> None:
        self.tables: tuple[PbxTable, ...] = (table,)
        self.slice_days = slice_days
        self._records = records
        self._zone = zone
        self._prepare = prepare
        fields = {column.name: column.field for column in table.raw.columns}
        self._key = fields[table.raw.primary_key[1]]
        self._at: dt.datetime | None = None
        self._undated_came = False
        self._counts: dict[tuple[dt.datetime, dt.datetime], int] = {}

    def now(self) -> dt.datetime:
        """The clock of the place that keeps the rows, in the zone of its times."""
        self._at = self._records.now().astimezone(self._zone)
        return self._at

    def first_at(self) -> dt.datetime | None:
        """The beginning of the oldest row."""
        found = (moment(value) for value in self._records.beginnings())
        return min((self._aware(at) for at in found if at is not None), default=None)

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """The rows that began in `[start, end)`; at first also those that say none."""
        with_undated = not self._undated_came
        bounds = local_bounds(start, end, self._zone)
        # Before reading: calls that end meanwhile make more rows come than were counted, not less.
        counted = self._records.count(start, end, with_undated=with_undated)
        received = self._at or self.now()
        keys: set[str] = set()
        came = 0
        for piece in self._records.read(start, end, with_undated=with_undated):
            rows = [
                self._prepare(row)
                for row in piece
                if self._records.is_windowed
                or _is_within(self._records.beginning_of(row), start, end, bounds, with_undated)
            ]
            came += len(rows)
            keys.update(str(row[self._key] or repr(row)) for row in rows)
            if rows:
                yield Rows(rows, received)
        self._undated_came = True
        repeated = came - len(keys)
        if repeated:
            logger.warning(
                "%s: %s rows of %s to %s repeat the key of another one; one of each is kept",
                table.entity,
                f"{repeated:,}",
                start.isoformat(timespec="minutes"),
                end.isoformat(timespec="minutes"),
            )
        # A file counts by being read: what the pass has met.
        self._counts = {(start, end): max(came, counted or 0) - repeated}

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """The rows of a window that was just read, as the place counted them; each key once."""
        return self._counts.get((start, end))

    def close(self) -> None:
        """Let go of connections."""
        self._records.close()

    def _aware(self, at: dt.datetime) -> dt.datetime:
        return at if at.tzinfo else at.replace(tzinfo=self._zone)


def local_bounds(
    start: dt.datetime, end: dt.datetime, zone: dt.tzinfo
) -> tuple[dt.datetime, dt.datetime]:
    """The times on a wall clock between which everything of `[start, end)` lies.

    Where clocks are put back, one time stands for two instants. So the bounds widen by the change
    where it lies within hours of them: after the start for the lower, before the end for the upper.
    """
    behind = min(_offset(at, zone) for at in (start, start + _LONGEST_SHIFT))
    ahead = max(_offset(at, zone) for at in (end, end - _LONGEST_SHIFT))
    return _in_utc(start) + behind, _in_utc(end) + ahead


def moment(value: Any) -> dt.datetime | None:
    """When a call began, as a system may say it; naive where it does not say the offset.

    Dates and times of a database; ISO 8601; `dd.mm.yyyy hh:mm[:ss]`; Unix seconds, as a number or
    as its digits. None: no such thing, or a year that no call has.
    """
    at = _read_moment(value)
    return at if at is not None and EARLIEST <= at.replace(tzinfo=None) < LATEST else None


def plain(value: Any) -> Any:
    """A value of a database or a file as JSON knows it; numbers lose no digit."""
    if value is None or isinstance(value, str | int):
        return value
    for kinds, convert in _PLAIN:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


def text_of(data: bytes) -> str:
    """Text that is UTF-8, or else of an old Windows: PBX take names as the trunk sends them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1251", errors="replace")


def _is_within(
    value: Any,
    start: dt.datetime,
    end: dt.datetime,
    bounds: tuple[dt.datetime, dt.datetime],
    with_undated: bool,
) -> bool:
    at = moment(value)
    if at is None:
        return with_undated
    return start <= at < end if at.tzinfo else bounds[0] <= at < bounds[1]


def _read_moment(value: Any) -> dt.datetime | None:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    try:
        if isinstance(value, str):
            return _read_text(value.strip())
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return _from_seconds(value)
    except ValueError:
        pass
    return None


def _read_text(text: str) -> dt.datetime | None:
    if text[4:5] == "-":
        return dt.datetime.fromisoformat(text)
    if _UNIX_SECONDS.fullmatch(text):
        return _from_seconds(Decimal(text))
    found = _LOCAL_DATE.fullmatch(text)
    if found is None:
        # Forms of ISO 8601 without hyphens look like any number.
        return None
    day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
    return dt.datetime(year, month, day, hour, minute, second)


def _from_seconds(value: float | Decimal) -> dt.datetime | None:
    if not _EARLIEST_SECOND <= value < _LATEST_SECOND:
        return None
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=round(value * 10**6))


def _offset(at: dt.datetime, zone: dt.tzinfo) -> dt.timedelta:
    return at.astimezone(zone).utcoffset() or dt.timedelta()


def _in_utc(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC).replace(tzinfo=None)


def _plain_float(value: float) -> Any:
    if math.isnan(value):
        return None
    # Whole numbers with gaps come out of pandas as floats, phone numbers among them.
    return int(value) if value.is_integer() else value


_PLAIN: Sequence[tuple[type | tuple[type, ...], Callable[[Any], Any]]] = (
    (float, lambda value: _plain_float(value) if not math.isinf(value) else str(value)),
    (Decimal, lambda value: format(value, "f")),
    (dt.datetime, lambda value: value.isoformat(sep=" ")),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, lambda value: _plain_float(value.total_seconds())),
    ((bytes, bytearray, memoryview), lambda value: text_of(bytes(value))),
    (Mapping, lambda value: {str(name): plain(item) for name, item in value.items()}),
    ((list, tuple, set), lambda value: [plain(item) for item in value]),
)
