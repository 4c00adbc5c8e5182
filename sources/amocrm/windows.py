"""Reading events by closed windows of creation, each read whole and then counted.

The list of events has no order that could be asked for and no cursor. A window whose end lies in
the past can only lose rows, so it is read from its last page to its first
(`sources.amocrm.paging`), and then counted: the last page is asked for once more, and says how many
rows the window holds. When that is not the number of ids that came, the window is read again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sources.amocrm.errors import ASK, AmoError
from sources.amocrm.paging import Listing, PageReader

EVENT_TYPES = (
    "lead_added",
    "lead_deleted",
    "lead_restored",
    "lead_status_changed",
    "lead_linked",
    "lead_unlinked",
    "contact_linked",
    "contact_unlinked",
    "entity_linked",
    "entity_unlinked",
    "contact_deleted",
    "contact_restored",
    "company_deleted",
    "company_restored",
    "entity_responsible_changed",
    "entity_merged",
    "entity_tag_added",
    "sale_field_changed",
    "incoming_call",
    "outgoing_call",
    "incoming_chat_message",
    "outgoing_chat_message",
    "talk_missed_event",
    "common_note_added",
    "task_added",
    "task_completed",
    "task_deadline_changed",
    "task_deleted",
)
PAGES_PER_WINDOW = 50
"""5,000 events: what is read again when a window does not add up. Finding a window and its last
page takes about 12 requests: with windows of 20 pages half as many again as the pages."""
TRIES = 3

logger = logging.getLogger("callfunnel.amocrm")


@dataclass(frozen=True)
class Window:
    """The events of one window.

    Attributes:
        last: the last second of the window, in Unix time.
        rows: each event once.
        received_at: the server's clock.
    """

    last: int
    rows: list[Any]
    received_at: dt.datetime


def split(first: int, last: int, is_short: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Cut `[first, last]` into closed windows that are short, or one second long, in order."""
    waiting = [(first, last)] if first <= last else []
    while waiting:
        low, high = waiting.pop()
        if low < high and not is_short(low, high):
            middle = (low + high) // 2
            waiting += [(middle + 1, high), (low, middle)]
        else:
            yield low, high


class EventReader:
    """Reads the events of one account.

    Args:
        reader: of the account.
        pages: how many pages a window may hold.
        limit: rows of a page; 0: as many as the API allows.
    """

    def __init__(self, reader: PageReader, pages: int = PAGES_PER_WINDOW, limit: int = 0) -> None:
        self._reader = reader
        self._pages = pages
        self._limit = limit

    def read(self, first: int, last: int, types: tuple[str, ...] = EVENT_TYPES) -> Iterator[Window]:
        """The events created in `[first, last]`, window by window, in the order of time.

        Args:
            first: Unix time.
            last: Unix time, in the past.
            types: of events.

        Raises:
            AmoError: a window does not add up though it was read three times.
        """
        for low, high in split(first, last, lambda low, high: self._is_short(low, high, types)):
            yield self._window(low, high, types)

    def count_since(self, first: int, event_type: str) -> int:
        """How many events of a kind there are since; more than a page of them count as a page."""
        parameters = {"filter": {"type": event_type, "created_at": {"from": first}}}
        return len(self._reader.page(Listing("events", parameters, self._limit), 1).rows)

    def _listing(self, low: int, high: int, types: tuple[str, ...]) -> Listing:
        # A second more on both sides: whether the bounds belong to the window is not documented.
        created = {"from": max(0, low - 1), "to": high + 1}
        parameters = {"filter": {"type": ",".join(types), "created_at": created}}
        return Listing("events", parameters, self._limit)

    def _is_short(self, low: int, high: int, types: tuple[str, ...]) -> bool:
        return not self._reader.page(self._listing(low, high, types), self._pages + 1).rows

    def _window(self, low: int, high: int, types: tuple[str, ...]) -> Window:
        listing = self._listing(low, high, types)
        found: dict[str, Any] = {}
        before: set[str] | None = None
        for _ in range(TRIES):
            rows, received_at, is_counted = self._read(listing)
            # What has come once is kept, also when the system does not return it any more.
            found |= rows
            if is_counted or rows.keys() == before:
                inside = [row for row in found.values() if _is_inside(row, low, high)]
                return Window(high, inside, received_at)
            before = set(rows)
            logger.info("events of %s to %s are read again: they do not add up", low, high)
        raise AmoError(
            f"{self._reader.client.host} returned another list of events each time, though they "
            f"lie in the past (created_at from {low} to {high}): {ASK}"
        )

    def _read(self, listing: Listing) -> tuple[dict[str, Any], dt.datetime, bool]:
        """The rows of all pages by id, the server's clock, and whether they are all."""
        first = self._reader.page(listing, 1)
        if not first.has_next:
            return _by_id(first.rows), first.server_now, True
        last = self._reader.last_page(listing)
        found: dict[str, Any] = {}
        are_full = True
        for place, answer in enumerate(self._reader.descending(listing, last, lanes=1)):
            found |= _by_id(answer.rows)
            are_full = are_full and (place == 0 or len(answer.rows) == listing.rows_per_page)
        again = self._reader.page(listing, last)
        count = (last - 1) * listing.rows_per_page + len(again.rows)
        is_whole = bool(again.rows) and not again.has_next
        return found, again.server_now, are_full and is_whole and count == len(found)


def _by_id(rows: list[Any]) -> dict[str, Any]:
    """Rows by id; one without goes by what it says, into the quarantine."""
    return {
        str(row["id"]) if isinstance(row, dict) and row.get("id") else repr(row): row
        for row in rows
    }


def _is_inside(row: Any, low: int, high: int) -> bool:
    try:
        return low <= int(row["created_at"]) <= high
    except (KeyError, TypeError, ValueError):
        return True  # into the quarantine
