"""Which windows of time a load reads, each to its end and counted."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dlt

from sources.connection import Cut, Request
from sources.errors import RemoteError
from sources.extraction import Extraction, Tables
from sources.telephony.reading import PbxReader, PbxTable

ROWS_PER_PACKAGE = 500_000
"""A first load is loaded in packages of about so many rows: what a kill costs at most."""
TRIES = 3
_DAY = dt.timedelta(days=1)

logger = logging.getLogger("callfunnel.telephony")


@dataclass(frozen=True)
class Windows:
    """From when on a telephony is read, and how much of it again.

    Attributes:
        first_at: the company's first day; None: as long ago as the system tells.
        trailing: so much before the last load is read again: a call stands in the records when it
            ends, with the time at which it began.
    """

    first_at: dt.datetime | None = None
    trailing: dt.timedelta = 3 * _DAY


FALLBACK = 365 * _DAY
"""Read by a first load where neither the company nor the system says since when there are calls."""


@dataclass
class WindowReader:
    """Reads one list: at first all, then from some days before the last load on."""

    extraction: Extraction
    reader: PbxReader
    table: PbxTable
    windows: Windows
    cut: Cut
    request: Request

    def read(self) -> Tables:
        """What the request asks for: by cursor, or a window of the calls' beginning."""
        if self.request.window is not None:
            start, end = self.request.window
            yield from self._slices(start, min(end, self.cut.at), None)
            return
        state = dlt.current.resource_state(self.table.raw.name)
        done = dt.datetime.fromisoformat(state["read_up_to"]) if "read_up_to" in state else None
        if done is None:
            start = self.windows.first_at or self.reader.first_at() or self.cut.at - FALLBACK
        else:
            # The next package of a first load begins where the one before ended.
            start = done - self.windows.trailing if state.get("is_read") else done
        yield from self._slices(start, self.cut.at, state)

    def _slices(self, start: dt.datetime, end: dt.datetime, state: dict[str, Any] | None) -> Tables:
        name, received = self.table.entity, 0
        tally = self.extraction.tally
        before: set[tuple[str, ...]] = set()
        for first, last in slices(start, end, self.reader.slice_days):
            found: set[tuple[str, ...]] = set()
            yield from self._slice(first, last, found, before)
            received += len(found)
            # What providers take for the edge of a window differs: a row may come in two slices.
            before = found
            if state is not None:
                state["read_up_to"] = last.astimezone(dt.UTC).isoformat()
            if received >= ROWS_PER_PACKAGE and state is not None and last < end:
                self.extraction.say_progress(name, None)
                state["is_read"] = False
                tally.unfinished.add(name)
                return
        if state is not None:
            state["is_read"] = True
            state["read_up_to"] = max(end, start).astimezone(dt.UTC).isoformat()

    def _slice(
        self,
        start: dt.datetime,
        end: dt.datetime,
        found: set[tuple[str, ...]],
        before: set[tuple[str, ...]],
    ) -> Tables:
        """The rows of one slice, read again while the system counts more than have come."""
        tally, name = self.extraction.tally, self.table.entity
        for _ in range(TRIES):
            came: set[tuple[str, ...]] = set()
            for answer in self.reader.read(self.table, start, end):
                keys = [self._key(row) for row in answer.rows]
                fresh = []
                for key, row in zip(keys, answer.rows, strict=True):
                    if key not in found and key not in before:
                        found.add(key)
                        fresh.append(row)
                came.update(keys)
                if fresh:
                    yield self.extraction.parse(self.table.raw, fresh, answer.received_at, name)
            counted = self.reader.count(self.table, start, end)
            if counted is None:
                return
            if counted == len(came):
                tally.reported[name] = tally.reported.get(name, 0) + len(found)
                return
            logger.info(
                "%s: calls of %s to %s are read again: %s counted, %s received",
                name,
                start.isoformat(),
                end.isoformat(),
                counted,
                len(came),
            )
        raise RemoteError(
            f"{self.extraction.source_key} counts {counted:,} rows of {name} from "
            f"{start.isoformat(timespec='seconds')} to {end.isoformat(timespec='seconds')} and "
            f"returned {len(came):,}, {TRIES} times: ask its support, or narrow the access down."
        )

    def _key(self, row: Any) -> tuple[str, ...]:
        """What tells a row from others; one without a key goes by what it says, to quarantine."""
        fields = {column.name: column.field for column in self.table.raw.columns}
        if not isinstance(row, dict):
            return (repr(row),)
        values = [row.get(fields[name]) for name in self.table.raw.primary_key[1:]]
        if any(value is None or value == "" for value in values):
            return (repr(row),)
        return tuple(map(str, values))


def slices(
    start: dt.datetime, end: dt.datetime, days: int
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Cut `[start, end)` into windows of at most so many days, in order and in UTC."""
    # Between two times of one zone Python compares the clock on the wall: in the night when it
    # goes back an hour the end would stand before the start.
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    while start < end:
        last = min(start + days * _DAY, end)
        yield start, last
        start = last
