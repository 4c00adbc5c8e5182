"""Reading one list: at first whole, then what is new or has changed.

Cursors (state of each resource):
- growing lists (`last_id`): stage history, activities, calls are read by `>ID`; calls also a
  trailing window, since the portal fills fields late; activities also by `>=LAST_UPDATED`.
- changing lists (`modified_since`): CRM objects, items and tasks by their time of change, with an
  overlap, since records are stamped before they are visible.
- the first read of either goes by ranges of ids, a bounded number of rows per package
  (`read_up_to`), so that an interrupted first load goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dlt
import pyarrow as pa

from sources.bitrix24.client import BATCH_SIZE, Answer
from sources.bitrix24.errors import PortalError
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.lists import IdList
from sources.bitrix24.reading import PAGE_SIZE, Block, Span, spans
from sources.connection import Cut, Request
from sources.extraction import Tables

ROWS_PER_PACKAGE = 200_000
"""Rows of one entity that a first read brings before they are merged: bounds memory and loss."""
GAP_READ_IN_RANGES = 20_000
"""New ids from which on a growing list is read in ranges side by side."""
OVERLAP = dt.timedelta(hours=1)


@dataclass
class Lister:
    """Reads one list: at first whole, then what is new or has changed."""

    extraction: PortalExtraction
    entity: IdList
    cut: Cut
    request: Request

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
            yield from self._window(*self.request.window)
        else:
            yield from self._by_cursor()

    def _by_cursor(self) -> Tables:
        if self.entity.name in self.cut.waiting:
            return  # counted and read when the others are through
        state = dlt.current.resource_state(self.entity.name)
        if not state.get("is_read"):
            yield from self._first_read(state)
            return
        if self.entity.grows:
            known = int(state["last_id"])
            yield from self._filled_later(known, state.get("modified_since"))
            yield from self._beyond(state, known)
        elif self.entity.modified:
            changed = {f">={self.entity.modified}": state["modified_since"]}
            yield from self._blocks(changed, [Span(0, None, 1)])
        else:
            # The portal does not say when a product changed.
            reported = self.cut.reported[self.entity.name]
            yield from self._blocks(
                {}, spans(0, reported.upper_id or 0, reported.rows or 0, reported.first_id)
            )
        state["modified_since"] = (self.cut.at - OVERLAP).isoformat(timespec="seconds")

    def _first_read(self, state: dict[str, Any]) -> Tables:
        """Range by range up to the highest id of the cut; what comes later is the next load's."""
        reported = self.cut.reported[self.entity.name]
        state.setdefault("modified_since", (self.cut.at - OVERLAP).isoformat(timespec="seconds"))
        read_up_to = int(state.get("read_up_to", 0))
        upper = reported.upper_id or 0
        left = max(0, (reported.rows or 0) - int(state.get("rows_read", 0)))
        ranges = spans(read_up_to, upper, left, reported.first_id)
        package: list[Span] = []
        rows = 0.0
        while ranges and rows < ROWS_PER_PACKAGE:
            package.append(ranges.pop(0))
            rows += package[-1].rows
        received = 0
        for block in self._all({}, package):
            received += 0 if block is None else len(block.table)
            yield None if block is None else block.table
        state["rows_read"] = int(state.get("rows_read", 0)) + received
        if package:
            state["read_up_to"] = package[-1].upper
        if ranges:
            self.extraction.tally.unfinished.add(self.entity.name)
            return
        state["is_read"] = True
        state["last_id"] = upper
        for passing in ("read_up_to", "rows_read"):
            state.pop(passing, None)

    def _filled_later(self, known: int, since: str | None) -> Tables:
        """Rows up to the cursor that the portal may have changed."""
        known_ids = {f"<={self.entity.id_field}": known}
        if self.entity.trailing_window:
            window = (self.cut.at - self.entity.trailing_window).isoformat(timespec="seconds")
            filters = {f">={self.entity.created}": window, **known_ids}
            yield from self._blocks(filters, [Span(0, None, 1)])
        elif self.entity.modified and since:
            filters = {f">={self.entity.modified}": since, **known_ids}
            yield from self._blocks(filters, [Span(0, None, 1)])

    def _beyond(self, state: dict[str, Any], known: int) -> Tables:
        """Rows above the cursor, to the end; a long gap in ranges up to the cut."""
        upper = self.cut.reported[self.entity.name].upper_id or 0
        ranges = [Span(known, None, 1)]
        if upper - known > GAP_READ_IN_RANGES:
            ranges = spans(known, upper, upper - known)
        last = known
        for block in self._all({}, ranges):
            last = last if block is None else max(last, block.last_id)
            yield None if block is None else block.table
        state["last_id"] = last

    def _window(self, start: dt.datetime, end: dt.datetime) -> Tables:
        """Rows created in a window: a back-fill, beside the cursor."""
        created = self.entity.created
        filters = {
            f">={created}": start.isoformat(timespec="seconds"),
            f"<{created}": end.isoformat(timespec="seconds"),
        }
        newest = self.entity.request(filters, descending=True, only_ids=True)
        counted = self.entity.request(filters, only_ids=True)
        answers = self.extraction.client.batch_with_errors(
            {
                "newest": self.entity.command({**newest, "start": -1}),
                "counted": self.entity.command({**counted, "start": 0}),
            },
            may_wait=True,
        )
        for answer in answers.values():
            if isinstance(answer, PortalError):
                raise answer
        found = {key: self._ids(answer) for key, answer in answers.items()}
        total = getattr(answers["counted"], "total", 0) or 0
        upper = max(found["newest"], default=0)
        first = min(found["counted"], default=None)
        yield from self._blocks(filters, spans(0, upper, total, first))

    def _ids(self, answer: Answer | PortalError) -> list[int]:
        assert isinstance(answer, Answer)
        return self.entity.ids(self.entity.rows(answer.result))

    def _by_ids(self, ids: list[int]) -> Tables:
        """Rows with these ids."""
        entity = self.entity
        per_command = PAGE_SIZE if entity.in_filter else 1
        groups = [ids[n : n + per_command] for n in range(0, len(ids), per_command)]
        waiting = deque(groups[n : n + BATCH_SIZE] for n in range(0, len(groups), BATCH_SIZE))

        def jobs() -> Iterator[list[list[int]]]:
            while waiting:
                yield waiting.popleft()

        def work(job: list[list[int]]) -> pa.Table:
            commands = {}
            for place, group in enumerate(job):
                wanted: Any = group if entity.in_filter else group[0]
                filters = {entity.in_filter or f"={entity.id_field}": wanted}
                request = {**entity.request(filters), "start": -1}
                commands[f"c{place}"] = entity.command(request)
            answers = self.extraction.client.batch(commands)
            at = next(iter(answers.values())).server_now
            rows = [row for a in answers.values() for row in entity.rows(a.result)]
            return self.extraction.parse(entity.table, rows, at, entity.name)

        yield from self.extraction.reader.run(jobs, work, entity.method, waiting.append)

    def _blocks(self, filters: Mapping[str, Any], ranges: list[Span]) -> Tables:
        for block in self._all(filters, ranges):
            yield None if block is None else block.table

    def _all(self, filters: Mapping[str, Any], ranges: list[Span]) -> Iterator[Block | None]:
        name = self.entity.name

        def parse(rows: list[Any], answer: Answer) -> pa.Table:
            return self.extraction.parse(self.entity.table, rows, answer.server_now, name)

        reported = self.cut.reported.get(name)
        total = reported.rows if reported and not filters else None
        told = 0
        for block in self.extraction.reader.read(self.entity, filters, ranges, parse):
            yield block
            received = self.extraction.tally.received.get(name, 0)
            if received - told >= 10_000:
                told = received
                self.extraction.say_progress(name, total)
        if self.extraction.tally.received.get(name, 0) > told:
            self.extraction.say_progress(name, total)
