"""`Master.csv`: the records as Asterisk's `cdr_csv` appends them, without a header."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sources.telephony.asterisk.tables import UNREADABLE_LINE
from sources.telephony.files import found_files, lines_of, written_at
from sources.telephony.reading import PbxAccess

_PIECE_ROWS = 20_000
_COLUMNS = (
    *("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel"),
    *("lastapp", "lastdata", "start", "answer", "end", "duration", "billsec", "disposition"),
    "amaflags",
)
# Which of them follow is set in cdr.conf: loguniqueid, loguserfield, newcdrcolumns.
_UNIQUE_ID, _USER_FIELD = ("uniqueid",), ("userfield",)
_NEW = ("peeraccount", "linkedid", "sequence")
_FURTHER: Mapping[int, Sequence[str]] = {
    0: (),
    2: (*_UNIQUE_ID, *_USER_FIELD),
    3: _NEW,
    5: (*_UNIQUE_ID, *_USER_FIELD, *_NEW),
}
_IS_UNIQUE_ID = re.compile(r"(.+-)?\d+\.\d+", re.ASCII)
"""`[<system name>-]<Unix time>.<number>`."""


class MasterCsv:
    """`Master.csv` and what it was rotated to.

    Args:
        access: of the connection.
        pattern: of the files' path.

    Raises:
        InputError: there is no such file.
    """

    is_windowed = False

    def __init__(self, access: PbxAccess, pattern: str) -> None:
        self._files = found_files(access, pattern)

    def now(self) -> dt.datetime:
        """When the newest file was written."""
        return written_at(self._files)

    def beginnings(self) -> Iterable[Any]:
        """The beginnings of all records."""
        return (record.get("start") for record in self._records())

    def read(
        self, start: dt.datetime, end: dt.datetime, *, with_undated: bool
    ) -> Iterator[list[Mapping[str, Any]]]:
        """All records; lines that are none come with themselves as `unreadable_line`."""
        piece: list[Mapping[str, Any]] = []
        for record in self._records():
            piece.append(record)
            if len(piece) == _PIECE_ROWS:
                yield piece
                piece = []
        yield piece

    def beginning_of(self, row: Mapping[str, Any]) -> Any:
        """The time `start`; None of lines that are no record."""
        return row.get("start")

    def count(self, start: dt.datetime, end: dt.datetime, *, with_undated: bool) -> None:
        """None: files do not count."""

    def close(self) -> None:
        """Nothing is open."""

    def _records(self) -> Iterator[Mapping[str, Any]]:
        for path in self._files:
            for line in lines_of(path):
                # Without its end the PBX is just writing it: it waits for the next load.
                if line.endswith("\n") and line.strip():
                    yield _record(line.rstrip("\r\n"))


def _record(line: str) -> Mapping[str, Any]:
    # Line by line: one with a stray quotation mark must not swallow those after it.
    try:
        values = next(csv.reader([line]))
    except csv.Error:
        values = []
    names = _names(values)
    return dict(zip(names, values, strict=True)) if names else {UNREADABLE_LINE: line}


def _names(values: Sequence[str]) -> Sequence[str] | None:
    further = values[len(_COLUMNS) :]
    count = len(values) - len(_COLUMNS)
    if count in _FURTHER:
        return (*_COLUMNS, *_FURTHER[count])
    if count in (1, 4):
        first = _UNIQUE_ID if _IS_UNIQUE_ID.fullmatch(further[0]) else _USER_FIELD
        return (*_COLUMNS, *first, *_NEW[: count - 1])
    return None
