"""From Bitrix24's JSON rows to Arrow tables of a declared schema, losing nothing on the way.

The API prints one value in many ways: ids as strings or integers, flags as `Y`/`N` or true/false,
"nothing" as null, "", [] or {} (vendor's page data-types). A row with a value that can't be read
becomes a row of the quarantine, with the reason, instead of an exception or a silent null.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from sources.bitrix24.tables import ARROW_TYPES, Column, Kind, RawTable

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_DECIMAL_LIMIT = 10**16
_DECIMAL_STEP = Decimal("0.0001")
_TRUE = frozenset({"Y", "1", "TRUE"})
_FALSE = frozenset({"N", "0", "FALSE"})


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that raw can't take: what it was and why; `record_id` where it can be read."""

    table: str
    reason: str
    payload: str
    record_id: int | None = None


class Unreadable(ValueError):
    """A value is not of its column's kind."""


def parse_rows(
    table: RawTable, rows: Iterable[Any], source_key: str, received_at: dt.datetime
) -> tuple[pa.Table, list[QuarantinedRow]]:
    """Parse the rows of one answer.

    Args:
        table: the raw table with its declared columns.
        rows: JSON objects as the API printed them.
        source_key: `bitrix24:<connection>`.
        received_at: the portal's clock at the answer, aware; its offset is the portal's and is
            used for the few fields that come without one.

    Returns:
        An Arrow table with exactly `table.schema`, and the rows that could not be read.
    """
    given = list(rows)
    try:
        return _parse_rows(table, given, source_key, received_at)
    except UnicodeEncodeError:
        # Half a surrogate pair: JSON can print it, UTF-8 (and with it Arrow) can't.
        broken = [(row, _field_not_utf8(row)) for row in given]
        readable = [row for row, field in broken if field is None]
        parsed, quarantined = _parse_rows(table, readable, source_key, received_at)
        return parsed, quarantined + [
            QuarantinedRow(
                table.name, f"{field}: is not valid Unicode", _payload(row), _record_id(row)
            )
            for row, field in broken
            if field is not None
        ]


def _parse_rows(
    table: RawTable, rows: Sequence[Any], source_key: str, received_at: dt.datetime
) -> tuple[pa.Table, list[QuarantinedRow]]:
    readers = [(column, _reader(column.kind, received_at)) for column in table.columns]
    declared = {column.field for column in table.columns}
    values: list[list[Any]] = [[] for _ in readers]
    extras: list[str | None] = []
    quarantined: list[QuarantinedRow] = []
    for row in rows:
        try:
            parsed = _parse_row(row, readers)
        except Unreadable as problem:
            quarantined.append(
                QuarantinedRow(table.name, str(problem), _payload(row), _record_id(row))
            )
            continue
        for collected, value in zip(values, parsed, strict=True):
            collected.append(value)
        extra = {field: value for field, value in row.items() if field not in declared}
        extras.append(json.dumps(extra, ensure_ascii=False) if extra else None)
    count = len(extras)
    received = [_microseconds(received_at)] * count
    arrays = [pa.array([source_key] * count, pa.string())]
    arrays += [
        _array(collected, column.kind)
        for collected, column in zip(values, table.columns, strict=True)
    ]
    arrays += [pa.array(extras, pa.string()), _array(received, "instant")]
    return pa.Table.from_arrays(arrays, schema=table.schema), quarantined


def empty_table(table: RawTable) -> pa.Table:
    """The table without rows: yielded so that the raw table exists in every company."""
    return table.schema.empty_table()


def parse_instant(value: Any, portal_zone: dt.tzinfo | None = None) -> int | None:
    """Microseconds since 1970 in UTC; None for any way to print "nothing".

    Raises:
        Unreadable: the text is no date, or has no offset and the portal's is unknown.
    """
    if value is None or value in ("", "0", 0) or value in ({}, []):
        return None
    if not isinstance(value, str) or value.isdigit():
        # ISO 8601 allows "20240101", and 13 digits of milliseconds may look like it.
        raise Unreadable(f"{value!r} is not a date")
    try:
        instant = dt.datetime.fromisoformat(value)
    except ValueError:
        try:
            instant = dt.datetime.strptime(value, "%d.%m.%Y %H:%M:%S")
        except ValueError:
            raise Unreadable(f"{value!r} is not a date") from None
    if instant.tzinfo is None:
        if portal_zone is None:
            raise Unreadable(f"{value!r} has no offset")
        instant = instant.replace(tzinfo=portal_zone)
    return _microseconds(instant)


def _record_id(row: Any) -> int | None:
    if not isinstance(row, Mapping):
        return None
    try:
        return _integer(row.get("ID", row.get("id")))
    except Unreadable:
        return None


def _parse_row(row: Any, readers: Sequence[tuple[Column, Callable[[Any], Any]]]) -> list[Any]:
    if not isinstance(row, Mapping):
        raise Unreadable("the row is not an object")
    parsed = []
    for column, read in readers:
        try:
            value = read(row.get(column.field))
        except Unreadable as problem:
            raise Unreadable(f"{column.field}: {problem}") from None
        if value is None and column.is_required:
            raise Unreadable(f"{column.field}: is missing")
        parsed.append(value)
    return parsed


def _reader(kind: Kind, received_at: dt.datetime) -> Callable[[Any], Any]:
    if kind == "instant":
        zone = received_at.tzinfo
        return lambda value: parse_instant(value, zone)
    return _READERS[kind]


def _integer(value: Any) -> int | None:
    if value is None or value == "" or value in ({}, []):
        return None
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise Unreadable(f"{value!r} is not a whole number")
    try:
        number = int(value) if not isinstance(value, float) else int(str(value).removesuffix(".0"))
    except (TypeError, ValueError):
        raise Unreadable(f"{value!r} is not a whole number") from None
    if not -(2**63) <= number < 2**63:
        raise Unreadable(f"{value!r} is too large")
    return number


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "" or value in ({}, []):
        return None
    text = str(value)
    try:
        number = Decimal(text) if "_" not in text else None
    except ArithmeticError:
        number = None
    if number is None:
        raise Unreadable(f"{value!r} is not a number")
    if number.is_finite() and abs(number) < _DECIMAL_LIMIT:
        rounded = number.quantize(_DECIMAL_STEP)
        if abs(rounded) < _DECIMAL_LIMIT:
            return rounded
    raise Unreadable(f"{value!r} is not a number that raw can hold")


def _flag(value: Any) -> bool | None:
    if value is None or value == "" or value in ({}, []):
        return None
    if isinstance(value, bool):
        return value
    word = str(value).upper()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unreadable(f"{value!r} is neither Y nor N")


def _text(value: Any) -> str | None:
    if value is None or value in ({}, []):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _payload(row: Any) -> str:
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(row)
    return text


def _field_not_utf8(row: Any) -> str | None:
    if not isinstance(row, Mapping):
        return None
    for field, value in row.items():
        try:
            json.dumps([field, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return ascii(field)[1:-1]
    return None


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "integer": _integer,
    "text": _text,
    "flag": _flag,
    "decimal": _decimal,
    "json": _json,
}


def _microseconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _array(values: list[Any], kind: Kind) -> pa.Array:
    if kind == "instant":
        # From integers: pyarrow's own conversion of datetimes is slower and stops at year 9999.
        return pa.array(values, pa.int64()).cast(ARROW_TYPES["instant"])
    return pa.array(values, ARROW_TYPES[kind])
