"""Reading one list: at first whole, then what has changed.

State of each resource (cursors are Unix seconds of the server's clock):
- lists of cards, tasks, notes: `updated_since`; until the first read is through also `rows_left`
  (how many places of the list are still to be read), `begun_at`, `restored` and `rereads`.
- events: `read_up_to`, and `is_read` once the first read is through.

The first read goes through the list by ascending id from its last page to its first, a bounded
number of pages per package, and goes on where it was when it is interrupted. Rows that vanish
meanwhile (deletions, merges) only move others to places that are still to be read, new ones enter
behind; `sources.amocrm.paging` has the argument. What would be skipped is a row that a record
restored from the recycle bin pushes onto a page already read: restoring is an event, and when one
has happened since the read began, the list is read again.

What has changed is asked for by closed windows of `updated_at`, in the order of ids: rows that are
changed meanwhile leave a window (the next load has them), and no tie of two times makes the order
of the pages unsteady. None enters the first window, which ends an hour before the cut. Into the
second one, up to the cut, rows may come that were stamped before they could be seen; what they
push onto a page already read is as young as they, and within the overlap of the next load.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import dlt
import pyarrow as pa

from sources.amocrm import tables
from sources.amocrm.client import Answer
from sources.amocrm.errors import AmoError
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.lists import AmoList
from sources.amocrm.paging import id_of
from sources.amocrm.windows import EventReader
from sources.connection import Cut, Request
from sources.extraction import Tables
from sources.packing import PackedRows, PageForm

PAGES_PER_PACKAGE = 800
"""200,000 rows of one entity are loaded at once: bounds what an interruption costs, three minutes
of reading. A package costs dlt half a second of CPU whatever is in it; memory is bounded by
`file_max_items` in `.dlt/config.toml`."""
ROWS_PER_BLOCK = 1_000
"""Rows that are parsed together. Arrow lets other threads run in each of some 100 calls; beside a
busy one that costs more than the work: page by page 11 to 17 microseconds a lead, with four pages 9
to 12, with more no less."""
ROWS_PER_TABLE = 10_000
"""dlt looks at every table that it is handed: page by page that took as long as parsing."""
EVENTS_PER_PACKAGE = 100_000
OVERLAP_SECONDS = 3600
"""Records are stamped before they are visible."""
REREADS = 2

_UNREADABLE_KEYS = (dict, list)

Keep = Callable[[Any], bool]


@dataclass
class _Gathered:
    """Pages on their way into one table."""

    extraction: AmoExtraction
    entity: AmoList
    _packed: list[PackedRows] = field(default_factory=list)
    _parsed: list[pa.Table] = field(default_factory=list)
    _block: list[Any] = field(default_factory=list)
    """Rows that were received within one second, and are parsed together."""
    _received_at: dt.datetime | None = None
    _holds_links: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self._packed or self._parsed or self._block)

    @property
    def is_full(self) -> bool:
        return sum(map(len, (*self._packed, *self._parsed))) >= ROWS_PER_TABLE

    def add_packed(self, rows: PackedRows) -> None:
        if len(rows):
            self._packed.append(rows)

    def add(self, rows: list[Any], answer: Answer) -> None:
        if not rows:
            return
        if len(self._block) >= ROWS_PER_BLOCK or self._received_at != answer.server_now:
            self._parse_block()
        self._received_at = answer.server_now
        self._block += rows
        self._holds_links |= answer.holds_links

    def take(self) -> pa.Table:
        """All rows so far."""
        self._parse_block()
        tables, self._parsed = self._parsed, []
        if self._packed:
            table, name = self.entity.table, self.entity.name
            tables.append(self.extraction.unpack(table, self._packed, name))
            self._packed = []
        return pa.concat_tables(tables)

    def _parse_block(self) -> None:
        if not self._block or self._received_at is None:
            return
        self._parsed.append(
            self.extraction.parse(
                self.entity.table,
                self._block,
                self._received_at,
                self.entity.name,
                holds_links=self._holds_links,
            )
        )
        self._block, self._holds_links = [], False


@dataclass
class Lister:
    """Reads one list: at first whole, then what has changed.

    Attributes:
        extraction: the load's.
        entity: the list.
        cut: of the load.
        request: what to read.
        vanished: takes, by entity, how many of the ids asked for one by one are gone by now.
    """

    extraction: AmoExtraction
    entity: AmoList
    cut: Cut
    request: Request
    vanished: dict[str, int]
    _seen: set[Any] = field(default_factory=set)

    def read(self) -> Tables:
        """What the request asks for: by cursor, a window of creation, or single ids."""
        name = self.entity.name
        if name in self.cut.refused:
            self.extraction.tally.refused[name] = self.cut.refused[name]
            return
        if name in self.cut.failed:
            self.extraction.tally.failed[name] = self.cut.failed[name]
            return
        if self.request.ids is not None:
            yield from self._by_ids(list(self.request.ids[name]))
        elif self.request.window is not None:
            yield from self._created(*self.request.window)
        elif self.entity.is_whole:
            yield from self._whole()
        else:
            yield from self._by_cursor(dlt.current.resource_state(name))
        if self._seen:
            self.extraction.say_progress(name, None)

    def _by_cursor(self, state: dict[str, Any]) -> Tables:
        if not state.get("is_read"):
            yield from self._first_read(state)
            return
        since, last = int(state["updated_since"]), unix(self.cut.at)
        settled = max(since, last - OVERLAP_SECONDS)
        # They share a second: whether the bounds belong to a window is not documented.
        for first, end in ((since, settled + 1), (settled - 1, last)):
            changed = {"updated_at": {"from": first, "to": end}}
            pages = self.extraction.reader.backwards(
                self.entity.listing(changed), form=self._form()
            )
            yield from self._tables(pages)
        state["updated_since"] = last - OVERLAP_SECONDS

    def _first_read(self, state: dict[str, Any]) -> Tables:
        reader, listing = self.extraction.reader, self.entity.listing()
        length = listing.rows_per_page
        state.setdefault("updated_since", unix(self.cut.at) - OVERLAP_SECONDS)
        state.setdefault("begun_at", unix(self.cut.at))
        if "rows_left" not in state:
            state["rows_left"] = reader.last_page(listing) * length
        # In rows, since another release may ask for pages of another length.
        top = -(-int(state["rows_left"]) // length)
        bottom = max(1, top - PAGES_PER_PACKAGE + 1)
        yield from self._tables(reader.descending(listing, top, bottom, form=self._form()))
        state["rows_left"] = (bottom - 1) * length
        if state["rows_left"]:
            self.extraction.tally.unfinished.add(self.entity.name)
        elif self._has_restored(state):
            self.extraction.tally.unfinished.add(self.entity.name)
            state["rereads"] = int(state.get("rereads", 0)) + 1
            state.pop("rows_left")
        else:
            state["is_read"] = True
            for passing in ("rows_left", "begun_at", "restored", "rereads"):
                state.pop(passing, None)

    def _has_restored(self, state: dict[str, Any]) -> bool:
        """Whether a record has entered the middle of the list while it was read."""
        if self.entity.restored is None or int(state.get("rereads", 0)) >= REREADS:
            return False  # what is left, the sweep finds
        events = EventReader(self.extraction.reader)
        before = int(state.get("restored", 0))
        state["restored"] = events.count_since(int(state["begun_at"]), self.entity.restored)
        return bool(state["restored"] > before)

    def _whole(self) -> Tables:
        # Not in the order of ids: one page after the other.
        pages = self.extraction.reader.backwards(
            self.entity.listing(), lanes=1, moves_to_end="updated_at" in self.entity.order
        )
        yield from self._tables(pages)

    def _created(self, start: dt.datetime, end: dt.datetime) -> Tables:
        """Rows created in `[start, end)`: a back-fill, beside the cursor."""
        if self.entity.is_whole:
            yield from self._whole()
            return
        keep, first, last = created_in(start, end)
        # A second more on both sides: whether the bounds belong to the window is not documented.
        if self.entity.filters_created:
            filters = {"created_at": {"from": first - 1, "to": last + 1}}
        else:
            # Tasks and notes can't be asked for it; nothing was changed before it was created.
            filters = {"updated_at": {"from": first - 1, "to": unix(self.cut.at)}}
        pages = self.extraction.reader.backwards(self.entity.listing(filters))
        yield from self._tables(pages, keep)

    def _by_ids(self, ids: list[int]) -> Tables:
        """Rows with these ids."""
        gone = 0
        for part, listing in self.entity.by_ids(ids):
            answer = self.extraction.reader.page(listing, 1)
            gone += len(set(part) - {id_of(row) for row in answer.rows})
            yield from self._tables([answer])
        self.vanished[self.entity.name] = gone

    def _form(self) -> PageForm:
        entity = self.entity
        return PageForm(entity.table, entity.path.rpartition("/")[2], entity.constants)

    def _tables(self, pages: Iterable[Answer], keep: Keep | None = None) -> Tables:
        gathered = _Gathered(self.extraction, self.entity)
        try:
            for answer in pages:
                if answer.packed is not None:
                    gathered.add_packed(self._fresh_packed(answer.packed))
                else:
                    rows = self.entity.rows(answer.rows)
                    gathered.add(self._fresh(filter(keep, rows) if keep else rows), answer)
                if gathered.is_full:
                    yield gathered.take()
        except AmoError:
            # What has come counts as received.
            if not gathered.is_empty:
                yield gathered.take()
            raise
        if not gathered.is_empty:
            yield gathered.take()

    def _fresh_packed(self, packed: PackedRows) -> PackedRows:
        """The rows that come for the first time: a package may not hold one twice."""
        if self._seen.isdisjoint(packed.ids) and len(set(packed.ids)) == len(packed):
            self._seen.update(packed.ids)
            return packed
        return packed.only([self._is_fresh(number) for number in packed.ids])

    def _fresh(self, rows: Iterable[Any]) -> list[Any]:
        name = self.entity.key
        return [
            row for row in rows if self._is_fresh(row.get(name) if isinstance(row, dict) else None)
        ]

    def _is_fresh(self, key: Any) -> bool:
        if key is None or isinstance(key, _UNREADABLE_KEYS):
            return True
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


@dataclass
class EventLister:
    """Reads the events: at first all, then those since the last load, by closed windows."""

    extraction: AmoExtraction
    cut: Cut
    request: Request

    def read(self) -> Tables:
        """What the request asks for: by cursor, or a window of creation."""
        if self.request.window is not None:
            _, first, last = created_in(*self.request.window)
            yield from self._windows(first, min(last, unix(self.cut.at)), None)
            return
        state = dlt.current.resource_state(tables.EVENTS.name)
        done = int(state.get("read_up_to", 0))
        first = done - OVERLAP_SECONDS if state.get("is_read") else done + 1
        yield from self._windows(first, unix(self.cut.at), state)

    def _windows(self, first: int, last: int, state: dict[str, Any] | None) -> Tables:
        name, tally = tables.EVENTS.name, self.extraction.tally
        received = 0
        seen: set[str] = set()
        for window in EventReader(self.extraction.reader).read(first, last):
            rows = [row for row in window.rows if _first_seen(row, seen)]
            received += len(rows)
            # Each window was counted: this is the system's count of what the load has asked for.
            tally.reported[name] = tally.reported.get(name, 0) + len(rows)
            if rows:
                yield self.extraction.parse(tables.EVENTS, rows, window.received_at, name)
            if state is not None:
                state["read_up_to"] = window.last
            if received >= EVENTS_PER_PACKAGE and state is not None and window.last < last:
                self.extraction.say_progress(name, None)
                # The next package begins where this one ends, without an overlap.
                state["is_read"] = False
                tally.unfinished.add(name)
                return
        if state is not None:
            state["is_read"] = True
            state["read_up_to"] = last


def created_in(start: dt.datetime, end: dt.datetime) -> tuple[Keep, int, int]:
    """Whether a row was created in `[start, end)`, and the first and last second of it."""
    first, last = unix(start, up=True), unix(end, up=True) - 1

    def keep(row: Any) -> bool:
        try:
            return first <= int(row["created_at"]) <= last
        except (KeyError, TypeError, ValueError):
            return True  # into the quarantine

    return keep, first, last


def unix(at: dt.datetime, *, up: bool = False) -> int:
    """Whole seconds since 1970: the second that holds the instant, or the first one from it on."""
    seconds = int(at.timestamp() // 1)
    return seconds + 1 if up and at.microsecond else seconds


def _first_seen(row: Any, seen: set[str]) -> bool:
    key = str(row.get("id")) if isinstance(row, dict) else repr(row)
    if key in seen:
        return False
    seen.add(key)
    return True
