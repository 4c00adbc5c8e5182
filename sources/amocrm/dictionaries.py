"""Lists without a cursor: read whole by every load; where the system counts them, compared."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sources.amocrm import tables
from sources.amocrm.client import Answer
from sources.amocrm.errors import ASK, AmoError
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.paging import Listing
from sources.extraction import Tables
from sources.raw_tables import RawTable
from sources.web import listed

LIST_TRIES = 3
"""Reads of a dictionary until its rows are as many as the system counts."""
WITH_FIELDS = ("leads", "contacts", "companies")
"""Entities whose custom fields and tags are read."""

logger = logging.getLogger("callfunnel.amocrm")

Rows = tuple[list[Any], dt.datetime]


class Dictionaries:
    """Lists that every load reads whole."""

    def __init__(self, extraction: AmoExtraction) -> None:
        self._at = extraction
        self._asked: dict[str, Answer] = {}
        self._read: dict[str, Rows] = {}
        self.readers: Mapping[str, Callable[[], Tables]] = {
            "account": self._account,
            "users": self._users,
            "groups": self._groups,
            "pipelines": self._pipelines,
            "statuses": self._statuses,
            "loss_reasons": self._loss_reasons,
            "custom_fields": self._custom_fields,
            "custom_field_enums": self._custom_field_enums,
            "tags": self._tags,
            "catalogs": self._catalogs,
            "catalog_elements": self._catalog_elements,
        }

    def _account(self) -> Tables:
        answer = self._whole_account()
        yield self._at.parse(tables.ACCOUNT, [answer.body], answer.server_now, "account")

    def _groups(self) -> Tables:
        answer = self._whole_account()
        groups = listed(_embedded(answer.body), "users_groups")
        yield self._at.parse(tables.GROUPS, groups, answer.server_now, "groups")

    def _whole_account(self) -> Answer:
        return self._once("account", {"with": "users_groups,task_types"})

    def _users(self) -> Tables:
        yield from self._list(tables.USERS, "users", {"with": "role,group"})

    def _loss_reasons(self) -> Tables:
        yield from self._list(tables.LOSS_REASONS, "leads/loss_reasons")

    def _catalogs(self) -> Tables:
        yield from self._list(tables.CATALOGS, "catalogs")

    def _pipelines(self) -> Tables:
        answer = self._all_pipelines()
        self._report("pipelines", answer.total, len(answer.rows))
        rows = [_without_embedded(row) for row in answer.rows]
        yield self._at.parse(tables.PIPELINES, rows, answer.server_now, "pipelines")

    def _statuses(self) -> Tables:
        answer = self._all_pipelines()
        rows = [
            {"pipeline_id": pipeline.get("id"), **status} if isinstance(status, dict) else status
            for pipeline in answer.rows
            if isinstance(pipeline, dict)
            for status in listed(_embedded(pipeline), "statuses")
        ]
        yield self._at.parse(tables.STATUSES, rows, answer.server_now, "statuses")

    def _all_pipelines(self) -> Answer:
        """All pipelines with their stages: the list has no pages (at most 50 of 100 stages)."""
        answer = self._once("leads/pipelines", {})
        if answer.has_next:
            raise AmoError(f"{self._at.client.host} returns only some of the pipelines: {ASK}")
        return answer

    def _custom_fields(self) -> Tables:
        for entity_type, (rows, at) in self._all_fields():
            # The enums have a table of their own.
            plain = [
                {name: value for name, value in row.items() if name != "enums"}
                if isinstance(row, dict)
                else row
                for row in _with(rows, entity_type=entity_type)
            ]
            yield self._at.parse(tables.CUSTOM_FIELDS, plain, at, "custom_fields")

    def _custom_field_enums(self) -> Tables:
        for entity_type, (fields, at) in self._all_fields():
            rows = [
                row
                for field in fields
                if isinstance(field, dict)
                for row in _with(
                    listed(field.get("enums")), entity_type=entity_type, field_id=field.get("id")
                )
            ]
            yield self._at.parse(tables.CUSTOM_FIELD_ENUMS, rows, at, "custom_field_enums")

    def _all_fields(self) -> Iterator[tuple[str, Rows]]:
        for entity_type in WITH_FIELDS:
            yield entity_type, self._all(f"{entity_type}/custom_fields")

    def _tags(self) -> Tables:
        for entity_type in WITH_FIELDS:
            rows, at = self._all(f"{entity_type}/tags")
            tagged = _with(rows, entity_type=entity_type)
            yield self._at.parse(tables.TAGS, tagged, at, "tags")

    def _catalog_elements(self) -> Tables:
        catalogs, _ = self._all("catalogs")
        for catalog in catalogs:
            number = catalog.get("id") if isinstance(catalog, dict) else None
            if isinstance(number, int):
                rows, at = self._all(f"catalogs/{number}/elements")
                elements = _with(rows, catalog_id=number)
                yield self._at.parse(tables.CATALOG_ELEMENTS, elements, at, "catalog_elements")

    def _list(
        self, table: RawTable, path: str, parameters: Mapping[str, Any] | None = None
    ) -> Tables:
        rows, at = self._all(path, parameters)
        yield self._at.parse(table, rows, at, table.name)

    def _all(self, path: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """All rows of a list, each once, and the server's clock; asked for once."""
        if path not in self._read:
            self._read[path] = self._pages(path, parameters or {})
        return self._read[path]

    def _pages(self, path: str, parameters: Mapping[str, Any]) -> Rows:
        found: dict[str, Any] = {}
        total = 0
        for _ in range(LIST_TRIES):
            found = {}
            # From the last page to the first, one by one: see `sources.amocrm.paging`.
            for answer in self._at.reader.backwards(Listing(path, parameters), lanes=1):
                total, at = answer.total or 0, answer.server_now
                for row in answer.rows:
                    key = row.get("id") if isinstance(row, dict) else None
                    found.setdefault(repr(row) if key is None else str(key), row)
            if len(found) >= total:
                if total:
                    self._report(path.rpartition("/")[2], total, len(found))
                return list(found.values()), at
            logger.info("%s is read again, to be sure of all its pages", path)
        raise AmoError(
            f"{self._at.client.host} counts {total} rows of {path} and returns {len(found)}: {ASK}"
        )

    def _report(self, name: str, total: int | None, rows: int) -> None:
        """Note the system's own count; where it has none, there is nothing to compare with."""
        if total and name in _COUNTED:
            self._at.tally.reported[name] = max(total, rows)

    def _once(self, path: str, parameters: Mapping[str, Any]) -> Answer:
        if path not in self._asked:
            self._asked[path] = self._at.client.get(path, parameters)
        return self._asked[path]


_COUNTED = frozenset({"users", "pipelines", "loss_reasons", "catalogs"})
"""Dictionaries that one request path brings whole."""


def _embedded(body: Mapping[str, Any]) -> Mapping[str, Any]:
    embedded = body.get("_embedded")
    return embedded if isinstance(embedded, Mapping) else {}


def _without_embedded(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if name != "_embedded"}


def _with(rows: list[Any], **constants: Any) -> list[Any]:
    return [{**row, **constants} if isinstance(row, dict) else row for row in rows]
