"""Csv and Parquet files of calls, with a header."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sources.errors import InputError
from sources.telephony.files import found_files, lines_of, written_at
from sources.telephony.generic.tables import CallMapping
from sources.telephony.reading import PbxAccess

_PIECE_ROWS = 20_000


class TableFiles:
    """Files of one form; every one must have all columns that the rules name.

    Args:
        access: of the connection.
        pattern: of the files' path.
        separator: of csv files.
        mapping: the columns that must be there.

    Raises:
        InputError: there is no such file.
    """

    is_windowed = False

    def __init__(
        self, access: PbxAccess, pattern: str, separator: str, mapping: CallMapping
    ) -> None:
        self._files = found_files(access, pattern)
        self._separator = separator
        self._mapping = mapping

    def now(self) -> dt.datetime:
        """When the newest file was written.

        Raises:
            InputError: a file lacks a column, or is of another form.
        """
        for path in self._files:
            next(self._pieces(path), None)
        return written_at(self._files)

    def beginnings(self) -> Iterable[Any]:
        """The beginnings of all calls."""
        started = self._mapping.named["started_at"]
        for path in self._files:
            for piece in self._pieces(path, [started]):
                yield from (row.get(started) for row in piece)

    def read(
        self, start: dt.datetime, end: dt.datetime, *, with_undated: bool
    ) -> Iterator[list[Mapping[str, Any]]]:
        """All rows of all files."""
        for path in self._files:
            yield from self._pieces(path)

    def beginning_of(self, row: Mapping[str, Any]) -> Any:
        """The column that the rules name."""
        return row.get(self._mapping.named["started_at"])

    def count(self, start: dt.datetime, end: dt.datetime, *, with_undated: bool) -> None:
        """None: files do not count."""

    def close(self) -> None:
        """Nothing is open."""

    def _pieces(
        self, path: Path, columns: Sequence[str] | None = None
    ) -> Iterator[list[Mapping[str, Any]]]:
        if path.suffix == ".parquet":
            return self._of_parquet(path, columns)
        return self._of_csv(path)

    def _of_parquet(
        self, path: Path, columns: Sequence[str] | None
    ) -> Iterator[list[Mapping[str, Any]]]:
        try:
            with pq.ParquetFile(path) as file:
                self._check(path, file.schema_arrow.names)
                for batch in file.iter_batches(_PIECE_ROWS, columns=columns):
                    yield _in_microseconds(pa.table(batch)).to_pylist()
        except (pa.ArrowException, OSError) as problem:
            raise InputError(
                f"{path} cannot be read as Parquet ({problem}): export it again, or correct "
                "`file = …` of the connection in company.toml."
            ) from problem

    def _of_csv(self, path: Path) -> Iterator[list[Mapping[str, Any]]]:
        reader = csv.reader(lines_of(path), delimiter=self._separator)
        header: list[str] | None = None
        piece: list[Mapping[str, Any]] = []
        try:
            for values in reader:
                if not any(values):
                    continue
                if header is None:
                    header = [name.strip() for name in values]
                    self._check(path, header)
                    continue
                piece.append(_row(header, values))
                if len(piece) == _PIECE_ROWS:
                    yield piece
                    piece = []
        except csv.Error as problem:
            raise InputError(
                f"{path}, line {reader.line_num}: {problem}; look for a quotation mark that is "
                "never closed."
            ) from problem
        if header is None:
            self._check(path, ())
        yield piece

    def _check(self, path: Path, header: Sequence[str]) -> None:
        for ours, name in self._mapping.named.items():
            if name not in header:
                known = ", ".join(header) if header else "nothing at all"
                raise InputError(
                    f"{path} has no column {name}, which company.toml names for "
                    f"{'call_id' if ours == 'id' else ours}; it has {known}. Correct the columns "
                    "or, in csv files, the separator."
                )


def _row(header: Sequence[str], values: Sequence[str]) -> Mapping[str, Any]:
    row: dict[str, Any] = dict(zip(header, values, strict=False))
    if any(surplus := values[len(header) :]):
        row["surplus"] = list(surplus)
    return row


def _in_microseconds(table: pa.Table) -> pa.Table:
    """The table without nanoseconds, which Python's times have not."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pa.timestamp("us", field.type.tz)
            table = table.set_column(index, field.name, table[index].cast(kind, safe=False))
    return table
