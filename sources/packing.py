"""Pages of plain rows, read straight into columns.

A row of JSON is some hundred objects. Making them all, only to print most of them again as the text
of a JSON column, and fetching them from memory once more when a block of rows is parsed, took 20
microseconds a lead of amoCRM; 8 where a page becomes columns in the thread that has received it,
and what goes into a JSON column is read value by value.

Only what is plain is read so: every value is null or of the one type that JSON has for its kind,
and no row has a field that is not known. What anything else means, `sources.parsing` alone decides;
of plain rows a table comes out that is equal to its.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sources.parsing import declared_fields, extra_texts, microseconds
from sources.raw_tables import ARROW_TYPES, Column, Kind, RawTable

_NULL, _EMPTY = b"null", b"[]"
_NOTHING = msgspec.Raw(b"")
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
    """The rows of one page.

    Attributes:
        ids: one per row.
        received_at: the system's clock at the answer.
        columns: the declared columns, not yet of the table's types, and `extra`.
        has_next: whether another page follows.
    """

    ids: Sequence[int]
    received_at: dt.datetime
    columns: pa.RecordBatch
    has_next: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, is_wanted: Sequence[bool]) -> PackedRows:
        """Some of the rows."""
        ids = [number for number, wanted in zip(self.ids, is_wanted, strict=True) if wanted]
        columns = self.columns.filter(pa.array(is_wanted, pa.bool_()))
        return PackedRows(ids, self.received_at, columns, self.has_next)


class _NotPlain(Exception):
    """A value has another form than its kind mostly has."""


_NOT_PLAIN = (
    _NotPlain,
    msgspec.MsgspecError,
    orjson.JSONDecodeError,
    orjson.JSONEncodeError,
    pa.ArrowInvalid,
    OverflowError,
    UnicodeError,
)


@dataclass(frozen=True)
class _Learnt:
    """How rows are read: how a page is decoded, and the values of a row taken out of it."""

    decoder: msgspec.json.Decoder[Any]
    values: Callable[[Any], tuple[Any, ...]]
    undeclared: str | None


class PageForm:
    """The form of a list's pages: `_embedded`, in it the rows, and `_links`.

    Which undeclared field the rows have is learnt from the first page. Of several, their order
    would be lost: such rows are not plain.

    Args:
        table: the raw table with its declared columns.
        name: the list's, in `_embedded`.
        constants: fields that every row gets, in place of what is printed.
    """

    def __init__(self, table: RawTable, name: str, constants: Mapping[str, str]) -> None:
        self._table = table
        self._name = name
        self._constants = constants
        self._columns = [column for column in table.columns if column.field not in constants]
        self._learnt: _Learnt | None = None

    def learn(self, rows: Iterable[Any]) -> None:
        """Take the undeclared field from rows that were read in another way."""
        if self._learnt is not None or not self._is_possible:
            return
        fields = {field for row in rows if isinstance(row, Mapping) for field in row}
        undeclared = fields - declared_fields(self._table) - self._constants.keys()
        if fields and len(undeclared) <= 1 and "_links" not in undeclared:
            # At once: several threads read pages.
            self._learnt = self._learn(next(iter(undeclared), None))

    @property
    def _is_possible(self) -> bool:
        fields = {column.field for column in self._columns}
        return all(
            column.kind == "json" and way not in fields and "." not in way
            if (way := column.field.rpartition(".")[0])
            else column.kind in (*_PLAIN, "json")
            for column in self._columns
        )

    def _learn(self, undeclared: str | None) -> _Learnt:
        # Attributes are numbered, since fields may have any name.
        maps: dict[str, list[Any]] = {}
        fields: list[Any] = []
        attributes: list[str] = []
        for place, column in enumerate(self._columns):
            way, _, name = column.field.rpartition(".")
            steps = maps.setdefault(way, []) if way else fields
            attribute = f"f{place}"
            steps.append(
                (attribute, _type(column), msgspec.field(name=name, default=_nothing(column)))
            )
            attributes.append(f"in{way}.{attribute}" if way else attribute)
        for way, steps in maps.items():
            kind = msgspec.defstruct("Map", steps, gc=False, frozen=True)
            fields.append((f"in{way}", kind, msgspec.field(name=way, default=kind())))
        for name in self._constants:
            fields.append((f"of{name}", msgspec.Raw, msgspec.field(name=name, default=_NOTHING)))
        if undeclared is not None:
            # A row without it is not plain: of nothing there is no JSON.
            fields.append(("other", msgspec.Raw, msgspec.field(name=undeclared, default=_NOTHING)))
            attributes.append("other")
        row: Any = msgspec.defstruct(
            "Row", fields, gc=False, kw_only=True, forbid_unknown_fields=True
        )
        rows = ("rows", list[row], msgspec.field(name=self._name))
        embedded = msgspec.defstruct("Embedded", [rows], gc=False)
        page = msgspec.defstruct(
            "Page",
            [
                ("embedded", embedded, msgspec.field(name="_embedded")),
                ("links", dict[str, msgspec.Raw], msgspec.field(name="_links")),
            ],
            gc=False,
        )
        return _Learnt(msgspec.json.Decoder(page), attrgetter(*attributes), undeclared)

    def read(self, text: bytes, received_at: dt.datetime) -> PackedRows | None:
        """Read a page.

        Args:
            text: the answer, without links beside the page's own.
            received_at: the system's clock at the answer, aware.

        Returns:
            Its rows; None where it has none, or one that is not plain, or nothing is learnt yet.
        """
        if self._learnt is None:
            return None
        try:
            page = self._learnt.decoder.decode(text)
            rows = list(map(self._learnt.values, page.embedded.rows))
            if not rows:
                return None
            columns = self._columns_of(rows, self._learnt.undeclared)
        except _NOT_PLAIN:
            return None
        return PackedRows(columns["id"].to_pylist(), received_at, columns, "next" in page.links)

    def _columns_of(self, rows: list[tuple[Any, ...]], undeclared: str | None) -> pa.RecordBatch:
        values = list(zip(*rows, strict=True))
        extra = pa.nulls(len(rows), pa.string())
        if undeclared is not None:
            others = [orjson.loads(bytes(raw)) for raw in values.pop()]
            extra = pa.array(extra_texts({undeclared: others}), pa.string())
        read = dict(zip((column.name for column in self._columns), values, strict=True))
        columns = {
            column.name: _array(read[column.name], column)
            if column.name in read
            else pa.repeat(pa.scalar(self._constants[column.field], pa.string()), len(rows))
            for column in self._table.columns
        }
        return pa.RecordBatch.from_pydict({**columns, "extra": extra})


def _type(column: Column) -> Any:
    if column.kind == "json":
        return msgspec.Raw
    plain, _ = _PLAIN[column.kind]
    return plain if column.is_required else plain | None


def _nothing(column: Column) -> Any:
    if column.kind == "json":
        return msgspec.Raw(_NULL)
    return msgspec.NODEFAULT if column.is_required else None


def _array(values: Sequence[Any], column: Column) -> pa.Array:
    """A column of values that are of their type.

    Raises:
        _NotPlain: a value is missing.
        ArrowInvalid: a value does not fit into Arrow's type.
        OverflowError: the same.
        JSONDecodeError: a value is no JSON that the usual reader takes.
        JSONEncodeError: a value is beyond the usual printer.
    """
    if column.kind == "json":
        array = _json_texts(values)
    else:
        array = pa.array(values, _PLAIN[column.kind][1])
    # 0 is no instant, and no id.
    is_empty = array.null_count or (column.kind in ("seconds", "integer") and 0 in values)
    if column.is_required and is_empty:
        raise _NotPlain
    return array


def _json_texts(values: Iterable[msgspec.Raw]) -> pa.Array:
    """Values of JSON, each in the one form in which it is always printed."""
    texts = [
        None if text == _NULL else text if text == _EMPTY else orjson.dumps(orjson.loads(text))
        for text in map(bytes, values)
    ]
    return pa.array(texts, pa.binary()).view(pa.string())


def unpack(table: RawTable, packed: Sequence[PackedRows], source_key: str) -> pa.Table:
    """The rows of at least one page as an Arrow table with exactly `table.schema`."""
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
