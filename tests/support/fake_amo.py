"""A list behind numbered pages, that changes while it is read."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sources.amocrm.client import Answer

NOW = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


class ChangingList:
    """Answers pages as the API does; `before` each of them the list may be changed.

    Attributes:
        rows: in the order of the list.
        before: called with the list before each page is cut.
        asked: numbers of the pages asked for.
    """

    host = "shop.example"

    def __init__(
        self, rows: list[dict[str, Any]], before: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        self.rows = rows
        self.before = before
        self.asked: list[int] = []
        self._guard = threading.Lock()

    def chosen(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows that the filter lets through."""
        return self.rows

    def get(self, path: str, parameters: Mapping[str, Any], form: Any = None) -> Answer:
        """One page."""
        with self._guard:
            self.before(self.rows)
            page, limit = parameters["page"], parameters["limit"]
            self.asked.append(page)
            rows = self.chosen(parameters)
            cut = [dict(row) for row in rows[(page - 1) * limit : page * limit]]
            return Answer({}, cut, bool(cut) and len(rows) > page * limit, NOW)


class ConfusedList(ChangingList):
    """Answers some requests for a page with another one.

    Attributes:
        confused: the page asked for to the page that is answered.
        times: how often in all.
    """

    def __init__(self, rows: list[dict[str, Any]], confused: Mapping[int, int], times: int) -> None:
        super().__init__(rows, lambda rows: None)
        self.confused = confused
        self.times = times

    def get(self, path: str, parameters: Mapping[str, Any], form: Any = None) -> Answer:
        """One page, or another."""
        page = parameters["page"]
        with self._guard:
            is_due = page in self.confused and self.times > 0
            self.times -= is_due
        given = self.confused[page] if is_due else page
        return super().get(path, {**parameters, "page": given})


class ChangingEvents(ChangingList):
    """Events, newest first, by closed or half-open windows of creation."""

    is_inclusive = True

    def chosen(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The events of the window, newest first."""
        bounds = parameters["filter"]["created_at"]
        edge = 0 if self.is_inclusive else 1
        found = [
            row
            for row in self.rows
            if bounds["from"] + edge <= row["created_at"] <= bounds["to"] - edge
        ]
        return sorted(found, key=lambda row: (row["created_at"], row["id"]), reverse=True)
