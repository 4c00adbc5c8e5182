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
from collections.abc import Iterable, Mapping, Sequence
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
_RAW = msgspec.Raw(b"")
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


class PageForm:
    """The form of a list's pages: `_embedded`, in it the rows, and `_links`.

    Which undeclared fields the rows have, is learnt from the first page. It may be one: of several,
    their order would be lost.

    Args:
        table: the raw table with its declared columns.
        name: the list's, in `_embedded`.
        constants: fields that every row gets, in place of what is printed.
    """

    def __init__(self, table: RawTable, name: str, constants: Mapping[str, str]) -> None:
        self._table = table
        self._name = name
        self._constants = constants
        self._read = [column for column in table.columns if column.field not in constants]
        self._undeclared: str | None = None
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._values = attrgetter("id")

    def learn(self, rows: Iterable[Any]) -> None:
        """Take the undeclared field from rows that were read in another way."""
        if self._decoder is not None or not self._is_possible:
            return
        fields = {field for row in rows if isinstance(row, Mapping) for field in row}
        undeclared = fields - declared_fields(self._table) - self._constants.keys()
        if fields and len(undeclared) <= 1 and "_links" not in undeclared:
            self._undeclared = next(iter(undeclared), None)
            self._decoder = msgspec.json.Decoder(self._page_type())

    @property
    def _is_possible(self) -> bool:
        return all(
            column.kind == "json" if "." in column.field else column.kind in (*_PLAIN, "json")
            for column in self._read
        )

    def read(self, text: bytes, received_at: dt.datetime) -> PackedRows | None:
        """Read a page.

        Args:
            text: the answer, without links beside the page's own.
            received_at: the system's clock at the answer, aware.

        Returns:
            Its rows; None where it has none, or one that is not plain, or nothing is learnt yet.
        """
        if self._decoder is None:
            return None
        try:
            page = self._decoder.decode(text)
            rows = page.embedded.rows
            return self._packed(rows, "next" in page.links, received_at) if rows else None
        except _NOT_PLAIN:
            return None

    def _page_type(self) -> Any:
        """What a page is decoded to. Attributes are numbered, since fields may have any name."""
        maps: dict[str, list[Any]] = {}
        fields: list[Any] = []
        ways: list[str] = []
        for place, column in enumerate(self._read):
            way, _, name = column.field.rpartition(".")
            found = (f"f{place}", _type(column), msgspec.field(name=name, default=_nothing(column)))
            (maps.setdefault(way, []) if way else fields).append(found)
            ways.append(f"{_attribute(way)}.f{place}" if way else f"f{place}")
        for way, inner in maps.items():
            kind = msgspec.defstruct("Map", inner, gc=False, frozen=True)
            fields.append((_attribute(way), kind, msgspec.field(name=way, default=kind())))
        for place, name in enumerate(self._others):
            # A row without it is not plain: of nothing there is no JSON.
            fields.append((f"o{place}", msgspec.Raw, msgspec.field(name=name, default=_RAW)))
        self._values = attrgetter(*ways, *(["o0"] if self._undeclared is not None else []))
        row: Any = msgspec.defstruct(
            "Row", fields, gc=False, kw_only=True, forbid_unknown_fields=True
        )
        rows = ("rows", list[row], msgspec.field(name=self._name))
        embedded = msgspec.defstruct("Embedded", [rows], gc=False)
        links = msgspec.field(name="_links")
        return msgspec.defstruct(
            "Page",
            [
                ("embedded", embedded, msgspec.field(name="_embedded")),
                ("links", dict[str, msgspec.Raw], links),
            ],
            gc=False,
        )

    @property
    def _others(self) -> list[str]:
        """Fields that no column takes; first the one that is kept."""
        undeclared = [self._undeclared] if self._undeclared is not None else []
        return [*undeclared, *self._constants]

    def _packed(self, rows: Sequence[Any], has_next: bool, received_at: dt.datetime) -> PackedRows:
        values = list(zip(*map(self._values, rows), strict=True))
        extra = pa.nulls(len(rows), pa.string())
        if self._undeclared is not None:
            undeclared = [orjson.loads(bytes(raw)) for raw in values.pop()]
            extra = pa.array(extra_texts({self._undeclared: undeclared}), pa.string())
        read = dict(zip((column.field for column in self._read), values, strict=True))
        ids = read["id"]
        if 0 in ids:
            raise _NotPlain
        columns = {
            column.name: _array(read[column.field], column)
            if column.field in read
            else pa.repeat(pa.scalar(self._constants[column.field], pa.string()), len(rows))
            for column in self._table.columns
        }
        columns["extra"] = extra
        return PackedRows(ids, received_at, pa.RecordBatch.from_pydict(columns), has_next)


def _attribute(way: str) -> str:
    return f"in{way}"


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
        ArrowInvalid: a value does not fit into Arrow's type.
        OverflowError: the same.
        JSONDecodeError: a value is no JSON that the usual reader takes.
        JSONEncodeError: a value is beyond the usual printer.
    """
    if column.kind == "json":
        return _json_texts(values)
    if column.is_required and column.kind == "seconds" and 0 in values:
        raise _NotPlain  # since it is no instant
    _, arrow_type = _PLAIN[column.kind]
    return pa.array(values, arrow_type)


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
