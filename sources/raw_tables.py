"""What a raw table is: documented fields typed, everything else in one JSON column.

Every table has, beside the declared columns, `source_key` (first part of the primary key),
`received_at` (the system's clock when the row was received) and `extra` (JSON of all fields that
are not declared).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

Kind = Literal["integer", "text", "instant", "seconds", "flag", "decimal", "json"]
"""`seconds` are instants that the system prints as Unix time; 0 is none."""

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "text": pa.string(),
    "instant": pa.timestamp("us", tz="UTC"),
    "seconds": pa.timestamp("us", tz="UTC"),
    "flag": pa.bool_(),
    "decimal": pa.decimal128(20, 4),
    "json": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One declared column.

    Attributes:
        name: the column in raw.
        field: the field in the API's answer; `value.from` is the field `from` of the map `value`.
        kind: how it is read; a value that can't be read sends its row to the quarantine.
        is_required: the row is useless without it (null goes to the quarantine too).
    """

    name: str
    field: str
    kind: Kind
    is_required: bool = False


@dataclass(frozen=True)
class RawTable:
    """One raw table and the method it comes from."""

    name: str
    method: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ("source_key", "id")

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the tables that the resource yields, in the order of raw."""
        fields = [pa.field("source_key", pa.string(), nullable=False)]
        fields += [
            pa.field(column.name, ARROW_TYPES[column.kind], nullable=not column.is_required)
            for column in self.columns
        ]
        fields += [
            pa.field("extra", pa.string()),
            pa.field("received_at", ARROW_TYPES["instant"], nullable=False),
        ]
        return pa.schema(fields)

    @property
    def json_columns(self) -> tuple[str, ...]:
        """Columns that become DuckDB's JSON."""
        return (*(c.name for c in self.columns if c.kind == "json"), "extra")
