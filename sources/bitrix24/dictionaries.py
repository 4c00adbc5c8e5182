"""Lists without a cursor: read whole by every load, and compared with the portal's count."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from sources.bitrix24 import lists, tables
from sources.bitrix24.client import BATCH_SIZE
from sources.bitrix24.errors import ACCESS_CODES, ASK, PortalError
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.lists import command
from sources.connection import Cut
from sources.extraction import Tables
from sources.raw_tables import RawTable
from sources.web import listed

LIST_TRIES = 3
"""Reads of a dictionary until its rows are as many as the portal counts."""

logger = logging.getLogger("callfunnel.bitrix24")


class Dictionaries:
    """Lists that every load reads whole, and compares with the portal's own count."""

    def __init__(
        self, extraction: PortalExtraction, cut: Cut, smart_processes: Sequence[int]
    ) -> None:
        self._at = extraction
        self._cut = cut
        self._types = (lists.DEAL, lists.INVOICE, *smart_processes)
        self._pipelines: list[Any] | None = None
        self._pipelines_counted = 0
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
        yield self._whole(tables.USERS, {"sort": "ID", "order": "ASC"}, "ID")

    def _departments(self) -> Tables:
        yield self._whole(tables.DEPARTMENTS, {"sort": "ID", "order": "ASC"}, "ID")

    def _currencies(self) -> Tables:
        yield self._whole(tables.CURRENCIES, {}, "CURRENCY")

    def _whole(self, table: RawTable, parameters: Mapping[str, Any], key: str) -> pa.Table:
        rows, total, at = self._steady(table.method, parameters, key)
        self._report(table, total, len(rows))
        return self._at.parse(table, rows, at, table.name)

    def _steady(
        self, method: str, parameters: Mapping[str, Any], key: str
    ) -> tuple[list[Any], int | None, dt.datetime]:
        """All rows of a list that only knows offsets, its total and the portal's clock.

        A row deleted between two pages moves the next one onto the page before: a list of several
        pages is read until two readings agree.
        """
        before: set[str] | None = None
        for _ in range(LIST_TRIES):
            answers = list(self._at.client.pages(method, parameters))
            rows = [row for answer in answers for row in listed(answer.result)]
            total, at = answers[-1].total, answers[-1].server_now
            keys = {str(row.get(key)) for row in rows if isinstance(row, dict)}
            is_whole = len({answer.total for answer in answers}) == 1 and len(keys) >= (total or 0)
            if is_whole and (len(answers) == 1 or keys == before):
                return rows, total, at
            before = keys
            logger.info("%s is read again, to be sure of all its pages", method)
        raise PortalError(
            f"{self._at.client.host} counts {total} rows of {method} and returns {len(keys)}: {ASK}"
        )

    def _report(self, table: RawTable, total: int | None, rows: int) -> None:
        """Note the portal's own count; where it has none, there is nothing to compare with."""
        if total:
            self._at.tally.reported[table.name] = max(total, rows)

    def _categories(self) -> Tables:
        rows = self._all_pipelines()
        self._report(tables.CATEGORIES, self._pipelines_counted, len(rows))
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
                    self._pass_over(tables.CATEGORIES, int(number), answer)
                    continue
                self._pipelines_counted += answer.total or 0
                found += [
                    {"entityTypeId": int(number), **row} if isinstance(row, dict) else row
                    for row in listed(answer.result)
                ]
            self._pipelines = found
        return self._pipelines

    def _pass_over(self, table: RawTable, entity_type_id: int, error: PortalError) -> None:
        """Go on without what a portal does not tell of invoices or a smart process."""
        if entity_type_id < lists.INVOICE or not error.is_refusal:
            raise error
        logger.warning("%s of entity type %s: %s", table.name, entity_type_id, error)
        if error.code in ACCESS_CODES:
            # Without its pipelines, stages and labels the type's own list is not whole.
            is_invoice = entity_type_id == lists.INVOICE
            name = lists.INVOICES.name if is_invoice else f"smart_items_{entity_type_id}"
            self._at.tally.refused[name] = str(error)

    def _statuses(self) -> Tables:
        """Stages of every pipeline, lead statuses and sources; a batch asks for 50 of them."""
        table = tables.STATUSES
        names = ["SOURCE", "STATUS", "DEAL_STAGE", *self._stage_lists()]
        requests = {name: {"filter": {"ENTITY_ID": name}} for name in names}
        rows: list[Any] = []
        total = 0
        at = self._cut.at
        for first in range(0, len(names), BATCH_SIZE):
            part = names[first : first + BATCH_SIZE]
            answers = self._at.client.batch_with_errors(
                {name: command(table.method, requests[name]) for name in part}, may_wait=True
            )
            for name, answer in answers.items():
                if isinstance(answer, PortalError):
                    raise answer
                found, counted, at = listed(answer.result), answer.total, answer.server_now
                if answer.next is not None:
                    # A pipeline of more than 50 stages: the batch holds its first page only.
                    found, counted, at = self._steady(table.method, requests[name], "STATUS_ID")
                rows += found
                total += counted or 0
        self._report(table, total, len(rows))
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
        declared = {column.field for column in table.columns}
        known = [{name: row.get(name) for name in declared} for row in rows]
        return self._at.parse(table, known, self._cut.at, table.name)

    def _all_fields(self) -> dict[str, Mapping[str, Any]]:
        """Custom fields by entity and name, with what the portal says about them."""
        if self._fields is None:
            kinds = {kind: f"crm.{kind}.fields" for kind in _CLASSIC}
            items = {_kind(number): number for number in self._types if number != lists.DEAL}
            for kind, number in items.items():
                asked = {"entityTypeId": number, "useOriginalUfNames": "Y"}
                kinds[kind] = command("crm.item.fields", asked)
            answers = self._at.client.batch_with_errors(kinds, may_wait=True)
            found: dict[str, Mapping[str, Any]] = {}
            for kind, answer in answers.items():
                if isinstance(answer, PortalError):
                    self._pass_over(tables.CUSTOM_FIELDS, items.get(kind, 0), answer)
                    continue
                told = answer.result or {}
                found[kind] = {
                    name: spec
                    for name, spec in (told.get("fields", {}) if kind in items else told).items()
                    if isinstance(spec, dict) and name.startswith("UF_")
                }
            # Whole or not at all: the table of options asks again.
            self._fields = found
        return self._fields


_CLASSIC = ("lead", "deal", "contact", "company")
"""Entities with a method of their own that tells their fields."""


def _kind(entity_type_id: int) -> str:
    return "invoice" if entity_type_id == lists.INVOICE else f"smart_item_{entity_type_id}"


def _label(spec: Mapping[str, Any], field: str) -> str:
    for name in ("formLabel", "listLabel", "filterLabel", "title"):
        if isinstance(spec.get(name), str) and spec[name]:
            return str(spec[name])
    return field
