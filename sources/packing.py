"""The rows of one answer as columns, made at once by whoever has received it.

A row of JSON is some hundred objects. Where rows wait for others until `parse_rows` turns a block
of them into a table, the processor fetches each of these from memory again, and the thread that
parses keeps the interpreter from those that receive: 20 microseconds a lead of amoCRM. Packed
while they are still in the processor's cache, the same rows take 5.

Only what is plain is packed: every row has the same fields, and every value is null or of the one
type that JSON has for its kind. What anything else means, `parse_rows` alone decides; of plain
rows a table comes out that is equal to its.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.parsing import declared_fields, extra_texts, json_texts, microseconds, values_of
from sources.raw_tables import ARROW_TYPES, Column, Kind, RawTable

# What does not fit into the type in Arrow is not plain: no instant before 1970 or after 2106, no
# amount of 17 digits.
_PLAIN: Mapping[Kind, tuple[type, pa.DataType]] = {
    "integer": (int, pa.int64()),
    "text": (str, pa.string()),
    "seconds": (int, pa.uint32()),
    "flag": (bool, pa.bool_()),
    "decimal": (int, pa.decimal128(16, 0)),
}


@dataclass(frozen=True)
class PackedRows:
    """Rows of one answer.

    Attributes:
        ids: one per row.
        received_at: the system's clock at the answer.
        columns: the declared columns, not yet of the table's types, and `extra`.
    """

    ids: Sequence[int]
    received_at: dt.datetime
    columns: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, is_wanted: Sequence[bool]) -> PackedRows:
        """Some of the rows."""
        ids = [number for number, wanted in zip(self.ids, is_wanted, strict=True) if wanted]
        columns = self.columns.filter(pa.array(is_wanted, pa.bool_()))
        return PackedRows(ids, self.received_at, columns)


def pack_rows(table: RawTable, rows: Sequence[Any], received_at: dt.datetime) -> PackedRows | None:
    """Pack the rows of one answer.

    Args:
        table: the raw table with its declared columns.
        rows: JSON objects as the API printed them.
        received_at: the system's clock at the answer, aware.

    Returns:
        The rows; None where one of them is not plain, or has no `id`.
    """
    if set(map(type, rows)) != {dict}:
        return None
    shapes = set(map(tuple, rows))
    if len(shapes) > 1:
        return None
    columns = zip(*map(dict.values, rows), strict=True)
    fields: dict[str, Sequence[Any]] = dict(zip(shapes.pop(), columns, strict=True))
    ids = fields.get("id", ())
    if set(map(type, ids)) != {int} or 0 in ids:
        return None
    known = dict(fields)  # and by and by fields of maps among them
    arrays: list[pa.Array] = []
    try:
        for column in table.columns:
            array = _packed(values_of(column.field, rows, known), column)
            if array is None:
                return None
            arrays.append(array)
        arrays.append(_extra(table, fields, len(rows)))
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return None
    names = [*(column.name for column in table.columns), "extra"]
    return PackedRows(ids, received_at, pa.RecordBatch.from_arrays(arrays, names))


def _packed(values: Sequence[Any], column: Column) -> pa.Array | None:
    """A column of plain values; None where one is not.

    Raises:
        ArrowInvalid: a value does not fit into the type.
        OverflowError: the same.
        UnicodeEncodeError: half a surrogate pair.
    """
    if column.kind == "json":
        array = json_texts(values)
    else:
        expected, arrow_type = _PLAIN.get(column.kind, (None, None))
        if expected is None or not set(map(type, values)) <= {expected, NoneType}:
            return None
        if column.is_required and column.kind == "seconds" and 0 in values:
            return None  # which is no instant
        array = pa.array(values, arrow_type)
    return None if column.is_required and array is not None and array.null_count else array


def _extra(table: RawTable, fields: Mapping[str, Sequence[Any]], count: int) -> pa.Array:
    declared = declared_fields(table)
    undeclared = {name: values for name, values in fields.items() if name not in declared}
    return pa.array(extra_texts(undeclared)) if undeclared else pa.nulls(count, pa.string())


def unpack(table: RawTable, packed: Sequence[PackedRows], source_key: str) -> pa.Table:
    """The rows of at least one answer as an Arrow table with exactly `table.schema`."""
    columns = pa.Table.from_batches([rows.columns for rows in packed]).combine_chunks()
    at = np.repeat([microseconds(rows.received_at) for rows in packed], list(map(len, packed)))
    arrays = [
        pa.repeat(pa.scalar(source_key, pa.string()), len(columns)),
        *(_finished(columns[column.name], column.kind) for column in table.columns),
        columns["extra"],
        _instants(pa.array(at, pa.int64())),
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _finished(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "seconds":
        seconds = pc.if_else(pc.equal(values, 0), None, values)
        return _instants(pc.multiply(seconds.cast(pa.int64()), 1_000_000))
    return values.cast(ARROW_TYPES[kind])


def _instants(since_1970: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return since_1970.cast(ARROW_TYPES["instant"])
