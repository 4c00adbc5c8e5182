"""The dlt sources of one Bitrix24 portal; every resource yields Arrow tables of a declared schema.

Cursors (state of each resource):
- growing lists (`last_id`): stage history, activities, calls are read by `>ID`; calls also a
  trailing window, since the portal fills fields late; activities also by `>=LAST_UPDATED`.
- changing lists (`modified_since`): CRM objects, items and tasks by their time of change, with an
  overlap, since records are stamped before they are visible.
- the first read of either goes by ranges of ids, a bounded number of rows per package
  (`read_up_to`), so that an interrupted first load goes on where it stopped.
- dictionaries are read whole by every load.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.bitrix24 import lists, tables
from sources.bitrix24.client import BATCH_SIZE, Answer
from sources.bitrix24.details import DETAILS, PAGE_SIZE, Detail, Owner
from sources.bitrix24.errors import ACCESS_CODES, ASK, PortalError
from sources.bitrix24.lists import IdList, command, listed
from sources.bitrix24.parsing import QuarantinedRow, empty_table, parse_rows
from sources.bitrix24.reading import Block, Reader, Span, spans
from sources.bitrix24.tables import RawTable
from sources.connection import Cut, Request, Tally

ROWS_PER_PACKAGE = 200_000
"""Rows of one entity that a first read brings before they are merged: bounds memory and loss."""
GAP_READ_IN_RANGES = 20_000
"""New ids from which on a growing list is read in ranges side by side."""
OVERLAP = dt.timedelta(hours=1)
CALLS_TRAILING_WINDOW = dt.timedelta(days=7)
LIST_TRIES = 3
"""Reads of a dictionary until its rows are as many as the portal counts."""

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("entity", pa.string(), nullable=False),
        pa.field("payload_hash", pa.string(), nullable=False),
        pa.field("record_id", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("payload", pa.string()),
        pa.field("received_at", tables.ARROW_TYPES["instant"], nullable=False),
    ]
)

logger = logging.getLogger("callfunnel.bitrix24")

Tables = Iterator[pa.Table | None]
"""What a reader yields; None gives way to the others while the portal has stopped a method."""


class _Extraction:
    """What the resources of one extraction share."""

    def __init__(self, reader: Reader, source_key: str, tally: Tally) -> None:
        self.reader = reader
        self.client = reader.client
        self.source_key = source_key
        self.tally = tally
        self.waiting = 0
        self._quarantine: list[tuple[str, QuarantinedRow, dt.datetime]] = []

    def parse(self, table: RawTable, rows: list[Any], at: dt.datetime, name: str) -> pa.Table:
        """Rows as an Arrow table; what can't be read goes to the quarantine."""
        parsed, refused = parse_rows(table, rows, self.source_key, at)
        self._quarantine.extend((name, row, at) for row in refused)
        self.tally.add(name, len(rows), len(refused))
        return parsed

    def resource(
        self, table: RawTable, read: Callable[[], Tables], name: str = "", entity: str = ""
    ) -> DltResource:
        """A resource that never stops the others: what it can't read is told in the tally."""
        self.waiting += 1

        def guarded() -> Tables:
            told = entity or table.name
            try:
                if not _exists(table):
                    yield empty_table(table)
                yield from read()
            except PortalError as error:
                if error.is_portal_wide:
                    raise
                refused = self.tally.refused if error.is_refusal else self.tally.failed
                refused[told] = str(error)
                logger.warning("%s: %s", told, error)
            finally:
                self.waiting -= 1

        return _resource(
            guarded, name or table.name, table.name, table.primary_key, table.json_columns
        )

    def quarantine(self) -> DltResource:
        """The rows that could not be read; comes when all others are through."""

        def read() -> Tables:
            while self.waiting > 0:
                yield None
            yield _quarantine_table(self._quarantine, self.source_key)

        key = ("source_key", "entity", "payload_hash")
        return _resource(read, "quarantine", "quarantine", key, ())

    def say_progress(self, name: str, total: int | None) -> None:
        received = self.tally.received.get(name, 0)
        of = f" of {total:,}" if total is not None else ""
        logger.info("%s: %s%s received", name, f"{received:,}", of)


@dlt.source(name="bitrix24", max_table_nesting=0)
def bitrix24(
    reader: Reader,
    source_key: str,
    id_lists: Mapping[str, IdList],
    smart_processes: Sequence[int],
    cut: Cut,
    tally: Tally,
    request: Request,
) -> list[DltResource]:
    """Dictionaries and lists of one portal.

    Args:
        reader: the portal, read side by side.
        source_key: `bitrix24:<connection>`, the first column of every table.
        id_lists: the lists, in loading order.
        smart_processes: entity type ids whose pipelines and stages are read too.
        cut: the portal's clock and counts at load start; rows after it stay in raw and wait.
        tally: counts rows, and says what was refused, failed or is unfinished.
        request: all, some entities, a window of creation, or single ids.

    Returns:
        A resource per raw table and the quarantine of rows that could not be read.
    """
    extraction = _Extraction(reader, source_key, tally)
    dictionaries = _Dictionaries(extraction, cut, smart_processes)
    resources = [
        extraction.resource(tables.TABLES[name], read)
        for name, read in dictionaries.readers.items()
        if request.wants(name)
    ]
    for name, entity in id_lists.items():
        if request.wants(name):
            lister = _Lister(extraction, entity, cut, request)
            resources.append(extraction.resource(entity.table, lister.read, name, name))
    if not smart_processes and request == Request():
        # The table exists in every company.
        resources.append(extraction.resource(tables.SMART_ITEMS, lambda: iter(())))
    return [*resources, extraction.quarantine()]


@dlt.source(name="bitrix24", max_table_nesting=0)
def bitrix24_details(
    reader: Reader, source_key: str, due: Mapping[str, list[Owner]], tally: Tally
) -> list[DltResource]:
    """Details of the owners that are due, and the record of which owners were read.

    Args:
        reader: the portal, read side by side.
        source_key: `bitrix24:<connection>`.
        due: owners by entity.
        tally: counts rows, and says what was refused or failed.

    Returns:
        A resource per detail table, `detail_reads` and the quarantine. The record of an owner
        comes in the same package as its rows. Tables without an owner that is due are made too:
        they exist in every company.
    """
    extraction = _Extraction(reader, source_key, tally)
    marks: list[pa.Table] = []
    resources = [
        extraction.resource(detail.table, _DetailReader(extraction, detail, due, marks).read)
        for detail in DETAILS
    ]

    def detail_reads() -> Tables:
        while extraction.waiting > 0:
            yield None
        yield pa.concat_tables([tables.DETAIL_READS_SCHEMA.empty_table(), *marks])

    key = ("source_key", "entity", "owner_type", "owner_id")
    return [
        *resources,
        _resource(detail_reads, "detail_reads", "detail_reads", key, ()),
        extraction.quarantine(),
    ]


@dataclass
class _Lister:
    """Reads one list: at first whole, then what is new or has changed."""

    extraction: _Extraction
    entity: IdList
    cut: Cut
    request: Request

    def read(self) -> Tables:
        name = self.entity.name
        if name in self.cut.refused:
            self.extraction.tally.refused[name] = self.cut.refused[name]
            return
        if self.request.ids is not None:
            yield from self._by_ids(list(self.request.ids[name]))
        elif self.request.window is not None:
            yield from self._window(*self.request.window)
        else:
            yield from self._by_cursor()

    def _by_cursor(self) -> Tables:
        state = dlt.current.resource_state(self.entity.name)
        if not state.get("is_read"):
            yield from self._first_read(state)
            return
        since = state.get("modified_since")
        now = (self.cut.at - OVERLAP).isoformat(timespec="seconds")
        if self.entity.modified is None and self.entity.table not in _GROWING:
            # The portal does not say when a product changed.
            reported = self.cut.reported[self.entity.name]
            yield from self._blocks(
                {}, spans(0, reported.upper_id or 0, reported.rows or 0, reported.first_id)
            )
        elif self.entity.table in _GROWING:
            known = int(state["last_id"])
            yield from self._filled_later(known, since)
            yield from self._beyond(state, known)
        else:
            yield from self._blocks({f">={self.entity.modified}": since}, [Span(0, None, 1)])
        state["modified_since"] = now

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
        if self.entity is lists.CALLS:
            window = (self.cut.at - CALLS_TRAILING_WINDOW).isoformat(timespec="seconds")
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


_GROWING = (
    tables.LEAD_STAGE_HISTORY,
    tables.STAGE_HISTORY,
    tables.INVOICE_STAGE_HISTORY,
    tables.ACTIVITIES,
    tables.CALLS,
)
"""Lists whose rows come by ascending id and, calls and activities apart, never change."""


class _Dictionaries:
    """Lists that every load reads whole, and compares with the portal's own count."""

    def __init__(self, extraction: _Extraction, cut: Cut, smart_processes: Sequence[int]) -> None:
        self._at = extraction
        self._cut = cut
        self._types = (lists.DEAL, lists.INVOICE, *smart_processes)
        self._pipelines: list[Any] | None = None
        self._fields: dict[str, Mapping[str, Any]] | None = None
        self.readers: Mapping[str, Callable[[], Tables]] = {
            "users": self._users,
            "departments": self._departments,
            "categories": self._categories,
            "statuses": self._statuses,
            "currencies": self._currencies,
            "custom_fields": self._custom_fields,
            "custom_field_options": self._custom_field_options,
        }

    def _users(self) -> Tables:
        yield self._whole(tables.USERS, {"sort": "ID", "order": "ASC"})

    def _departments(self) -> Tables:
        yield self._whole(tables.DEPARTMENTS, {"sort": "ID", "order": "ASC"})

    def _whole(self, table: RawTable, parameters: Mapping[str, Any]) -> pa.Table:
        """All pages of a list that only knows offsets, read again when it changed meanwhile."""
        for _ in range(LIST_TRIES):
            rows: list[Any] = []
            totals: set[int | None] = set()
            total: int | None = None
            at = self._cut.at
            for answer in self._at.client.pages(table.method, parameters):
                rows += listed(answer.result)
                total, at = answer.total, answer.server_now
                totals.add(total)
            ids = {str(row.get("ID")) for row in rows if isinstance(row, dict)}
            # A row deleted between two pages moves the next one onto the page before.
            if total is None or (len(ids) >= total and len(totals) == 1):
                self._at.tally.reported[table.name] = max(total or 0, len(ids))
                return self._at.parse(table, rows, at, table.name)
            logger.info("%s changed while it was read, reading it again", table.name)
        raise PortalError(
            f"{self._at.client.host} counts {total} {table.name} and returns {len(ids)}: {ASK}"
        )

    def _categories(self) -> Tables:
        rows = self._all_pipelines()
        self._at.tally.reported[tables.CATEGORIES.name] = len(rows)
        yield self._at.parse(tables.CATEGORIES, rows, self._cut.at, tables.CATEGORIES.name)

    def _all_pipelines(self) -> list[Any]:
        if self._pipelines is None:
            found: list[Any] = []
            answers = self._at.client.batch_with_errors(
                {
                    str(number): command(tables.CATEGORIES.method, {"entityTypeId": number})
                    for number in self._types
                },
                may_wait=True,
            )
            for number, answer in answers.items():
                if isinstance(answer, PortalError):
                    if int(number) == lists.DEAL or not answer.is_refusal:
                        raise answer
                    logger.warning("categories of entity type %s: %s", number, answer)
                    if answer.code in ACCESS_CODES:
                        # Without its pipelines and stages the type's own list is not whole.
                        self._at.tally.refused[self._list_of(int(number))] = str(answer)
                    continue
                found += [
                    {"entityTypeId": int(number), **row} if isinstance(row, dict) else row
                    for row in listed(answer.result)
                ]
            self._pipelines = found
        return self._pipelines

    @staticmethod
    def _list_of(entity_type_id: int) -> str:
        is_invoice = entity_type_id == lists.INVOICE
        return lists.INVOICES.name if is_invoice else f"smart_items_{entity_type_id}"

    def _statuses(self) -> Tables:
        """Stages of every pipeline, lead statuses and sources; a batch asks for 50 of them."""
        table = tables.STATUSES
        names = ["SOURCE", "STATUS", "DEAL_STAGE", *self._stage_lists()]
        rows: list[Any] = []
        total = 0
        at = self._cut.at
        for first in range(0, len(names), BATCH_SIZE):
            commands = {
                name: command(table.method, {"filter": {"ENTITY_ID": name}})
                for name in names[first : first + BATCH_SIZE]
            }
            answers = self._at.client.batch_with_errors(commands, may_wait=True)
            for name, answer in answers.items():
                if isinstance(answer, PortalError):
                    raise answer
                at = answer.server_now
                rows += listed(answer.result)
                total += answer.total or 0
                if answer.next is not None:
                    # A pipeline of more than 50 stages: the batch holds its first page only.
                    parameters = {"filter": {"ENTITY_ID": name}}
                    for rest in self._at.client.pages(table.method, parameters, answer.next):
                        rows += listed(rest.result)
        self._at.tally.reported[table.name] = max(total, len(rows))
        yield self._at.parse(table, rows, at, table.name)

    def _stage_lists(self) -> Iterator[str]:
        for row in self._all_pipelines():
            try:
                kind, number = int(row["entityTypeId"]), int(row["id"])
            except (KeyError, TypeError, ValueError):
                continue  # in the quarantine
            if kind == lists.INVOICE:
                yield f"SMART_INVOICE_STAGE_{number}"
            elif kind != lists.DEAL:
                yield f"DYNAMIC_{kind}_STAGE_{number}"
            elif number:
                yield f"DEAL_STAGE_{number}"

    def _currencies(self) -> Tables:
        answer = self._at.client.call(tables.CURRENCIES.method)
        rows = listed(answer.result)
        self._at.tally.reported[tables.CURRENCIES.name] = len(rows)
        yield self._at.parse(tables.CURRENCIES, rows, answer.server_now, tables.CURRENCIES.name)

    def _custom_fields(self) -> Tables:
        rows = [
            {**spec, "entityType": entity, "field": field, "label": _label(spec, field)}
            for entity, fields in self._all_fields().items()
            for field, spec in fields.items()
        ]
        yield self._fields_table(tables.CUSTOM_FIELDS, rows)

    def _custom_field_options(self) -> Tables:
        rows = [
            {**option, "entityType": entity, "field": field}
            for entity, fields in self._all_fields().items()
            for field, spec in fields.items()
            for option in spec.get("items") or ()
            if isinstance(option, dict)
        ]
        yield self._fields_table(tables.CUSTOM_FIELD_OPTIONS, rows)

    def _fields_table(self, table: RawTable, rows: list[Any]) -> pa.Table:
        self._at.tally.reported[table.name] = len(rows)
        declared = {column.field for column in table.columns}
        known = [{name: row.get(name) for name in declared} for row in rows]
        return self._at.parse(table, known, self._cut.at, table.name)

    def _all_fields(self) -> dict[str, Mapping[str, Any]]:
        """Custom fields by entity and name, with what the portal says about them."""
        if self._fields is None:
            kinds = ("lead", "deal", "contact", "company")
            answers = self._at.client.batch_with_errors(
                {kind: f"crm.{kind}.fields" for kind in kinds}, may_wait=True
            )
            found: dict[str, Mapping[str, Any]] = {}
            for kind, answer in answers.items():
                if isinstance(answer, PortalError):
                    raise answer
                found[kind] = {
                    name: spec
                    for name, spec in (answer.result or {}).items()
                    if isinstance(spec, dict) and name.startswith("UF_")
                }
            # Whole or not at all: the table of options asks again.
            self._fields = found
        return self._fields


_OF_THE_METHOD = frozenset({"insufficient_scope", "error_method_not_found"})
"""Codes that every other owner would meet too."""


@dataclass
class _DetailReader:
    """Reads one kind of details for the owners that are due."""

    extraction: _Extraction
    detail: Detail
    due: Mapping[str, list[Owner]]
    marks: list[pa.Table]

    def read(self) -> Tables:
        owners = self.due.get(self.detail.name, [])
        waiting = deque(owners[n : n + BATCH_SIZE] for n in range(0, len(owners), BATCH_SIZE))

        def jobs() -> Iterator[list[Owner]]:
            while waiting:
                yield waiting.popleft()

        method = self.detail.table.method
        refused: list[PortalError] = []
        for result in self.extraction.reader.run(jobs, self._work, method, waiting.append):
            if result is None:
                yield None
                continue
            rows, marks, errors = result
            refused += errors
            self.marks.append(marks)
            yield rows
        if owners:
            self.extraction.say_progress(self.detail.name, None)
        if refused:
            # They are asked again by the next load, the others are not.
            # Told, but no failure of the load: one card that the portal chokes on must not stop it.
            raise PortalError(
                f"{len(refused):,} of {len(owners):,} owners could not be read. {refused[0]}",
                refused[0].code,
                is_refusal=True,
            )

    def _work(self, job: list[Owner]) -> tuple[pa.Table, pa.Table, list[PortalError]]:
        client, detail = self.extraction.client, self.detail
        rows: list[Any] = []
        refused: dict[str, PortalError] = {}
        at: dt.datetime | None = None
        left = {f"c{place}": (owner, 0) for place, owner in enumerate(job)}
        while left:
            commands = {key: detail.command(*asked) for key, asked in left.items()}
            answers = client.batch_with_errors(commands)
            self._check(answers, left)
            following: dict[str, tuple[Owner, int]] = {}
            for key, answer in answers.items():
                if isinstance(answer, PortalError):
                    if answer.code != "not_found":
                        refused[key] = answer
                    continue
                at = at or answer.server_now
                owner, after = left[key]
                found = detail.rows(answer.result, owner)
                rows += found
                if detail.is_paged and len(found) >= PAGE_SIZE:
                    following[key] = (owner, self._last_id(found, after))
            left = following
        at = at or dt.datetime.now(dt.UTC)
        table = self.extraction.parse(detail.table, rows, at, detail.name)
        answered = [owner for place, owner in enumerate(job) if f"c{place}" not in refused]
        marks = self._marks(answered, rows, at)
        return table, marks, list(refused.values())

    def _check(
        self,
        answers: Mapping[str, Answer | PortalError],
        asked: Mapping[str, tuple[Owner, int]],
    ) -> None:
        """Raise where the method is refused altogether, not only for some owners."""
        errors = {key: answer for key, answer in answers.items() if isinstance(answer, PortalError)}
        for key, error in errors.items():
            if error.code == "not_found":
                continue
            is_of_owner = error.code not in _OF_THE_METHOD and not error.is_portal_wide
            # Behind a first page that came, a refusal would leave an owner with half of its rows.
            is_first_page = asked[key][1] == 0
            if not (is_of_owner and is_first_page) or len(errors) == len(answers) > 1:
                raise error

    def _last_id(self, found: list[Any], after: int) -> int:
        ids = []
        for row in found:
            with contextlib.suppress(AttributeError, TypeError, ValueError):
                ids.append(int(row.get("id") or row.get("ID")))
        last = max(ids, default=after)
        if last <= after:
            raise PortalError(
                f"{self.extraction.client.host} pages {self.detail.table.method} in a circle (no "
                f"id above {after}): {ASK}"
            )
        return last

    def _marks(self, owners: list[Owner], rows: list[Any], at: dt.datetime) -> pa.Table:
        counts: dict[tuple[str, int], int] = {}
        for row in rows:
            try:
                key = self.detail.owner_of(row)
            except (KeyError, TypeError, ValueError):
                continue
            counts[key] = counts.get(key, 0) + 1
        return pa.Table.from_pylist(
            [
                {
                    "source_key": self.extraction.source_key,
                    "entity": self.detail.name,
                    "owner_type": owner.type,
                    "owner_id": owner.id,
                    "owner_changed_at": owner.changed_at,
                    "read_at": at.astimezone(dt.UTC),
                    "rows_received": counts.get((owner.type, owner.id), 0),
                }
                for owner in owners
            ],
            schema=tables.DETAIL_READS_SCHEMA,
        )


def _resource(
    read: Callable[[], Tables],
    name: str,
    table: str,
    primary_key: tuple[str, ...],
    json_columns: tuple[str, ...],
) -> DltResource:
    # file_format on the resource: the default loader format is 20 times slower on DuckDB
    # (per 100,000 rows: 66 CPU s and 5.8 GB against 3.5 CPU s).
    return dlt.resource(
        read,
        name=name,
        table_name=table,
        primary_key=list(primary_key),
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        columns={column: {"data_type": "json"} for column in json_columns},
        file_format="parquet",
    )


def _exists(table: RawTable) -> bool:
    """Whether an earlier package has made the table with all its columns."""
    known = dlt.current.source_schema().tables.get(table.name, {}).get("columns", {})
    return all(name in known for name in table.schema.names)


def _label(spec: Mapping[str, Any], field: str) -> str:
    for name in ("formLabel", "listLabel", "filterLabel", "title"):
        if isinstance(spec.get(name), str) and spec[name]:
            return str(spec[name])
    return field


def _quarantine_table(
    quarantine: list[tuple[str, QuarantinedRow, dt.datetime]], source_key: str
) -> pa.Table:
    unique = {
        (name, hashlib.md5(row.payload.encode(), usedforsecurity=False).hexdigest()): (row, at)
        for name, row, at in quarantine
    }
    return pa.Table.from_pylist(
        [
            {
                "source_key": source_key,
                "entity": entity,
                "payload_hash": digest,
                "record_id": row.record_id,
                "reason": row.reason,
                "payload": row.payload,
                "received_at": at.astimezone(dt.UTC),
            }
            for (entity, digest), (row, at) in unique.items()
        ],
        schema=QUARANTINE_SCHEMA,
    )
