"""The Data API of UIS, CoMagic and CallGear: JSON-RPC, pages, limits.

Facts from the vendor's pages (comagic.github.io/data_api): errors by `code` and `data.mnemonic`,
limits in `metadata.limits`, at most 10,000 rows from an offset of at most 100,000, at most three
months at once, `start_time` can be sorted by and `id` can't.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from sources.errors import RemoteError
from sources.telephony.http import Answer, HttpClient, Passing, Provider, Waiting
from sources.telephony.local_times import halves, local_window
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows
from sources.telephony.uis.tables import CALLS, TABLES

PATH = "/v2.0"
PROVIDER = Provider(
    "UIS",
    ("access_token",),
    "an administrator makes the key at Account, Users, and admits this machine's address at "
    "Security settings, API",
    # CoMagic: dataapi.comagic.ru, CallGear: dataapi.callgear.com.
    "https://dataapi.uiscom.ru",
    path=PATH,
)
PAGE_ROWS = 10_000
LAST_OFFSET = 100_000
_TIME = "%Y-%m-%d %H:%M:%S"

# Groups of errors, by the vendor's page.
_AUTHENTICATION, _FORBIDDEN, _COMPONENT, _ACCOUNT, _LIMIT = -32001, -32003, -32008, -32009, -32029
_INTERNAL = -32603


class UisReader:
    """One account of UIS.

    Args:
        access: the connection, with the secret `access_token`.
    """

    tables = TABLES
    slice_days = 7

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)
        self._requests = 0

    def now(self) -> dt.datetime:
        """The clock of an answer to a question for one call."""
        now = dt.datetime.now(dt.UTC)
        _, _, at = self._page(CALLS, now - dt.timedelta(minutes=1), now, 0, 1)
        return at

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """Pages by the beginning; a call that turns up meanwhile shifts rows to later pages."""
        offset = 0
        while True:
            rows, total, at = self._page(table, start, end, offset, PAGE_ROWS)
            if total > LAST_OFFSET + PAGE_ROWS:
                yield from self._in_halves(table, start, end)
                return
            yield Rows(rows, at)
            offset += len(rows)
            if not rows or offset >= total:
                return

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """`total_items` of the window."""
        _, total, _ = self._page(table, start, end, 0, 1)
        return total

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _in_halves(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """Of rows beyond the last offset there are pages in shorter windows only."""
        parts = halves(start, end)
        if parts is None:
            raise self.client.refused("more calls in a minute than pages reach")
        for first, last in parts:
            yield from self.read(table, first, last)

    def _page(
        self, table: PbxTable, start: dt.datetime, end: dt.datetime, offset: int, limit: int
    ) -> tuple[list[Any], int, dt.datetime]:
        """Rows, how many there are in all, and the provider's clock."""
        first, last = local_window(start, end, self.client.zone)
        self._requests += 1
        body = {
            "jsonrpc": "2.0",
            "id": self._requests,
            "method": table.raw.method,
            "params": {
                "access_token": self.client.keys["access_token"],
                "date_from": first.strftime(_TIME),
                "date_till": last.strftime(_TIME),
                "offset": offset,
                "limit": limit,
                "sort": [{"field": "start_time", "order": "asc"}],
                "fields": [column.field for column in table.raw.columns],
            },
        }

        def page(answer: Answer) -> tuple[list[Any], int, dt.datetime]:
            found = self.client.document(answer)
            if isinstance(found, Mapping) and isinstance(found.get("error"), Mapping):
                raise self._refusal(found["error"])
            self.client.check(answer)
            result = found.get("result") if isinstance(found, Mapping) else None
            result = result if isinstance(result, Mapping) else {}
            rows, total = result.get("data"), _map(result.get("metadata")).get("total_items")
            if not isinstance(rows, list) or not isinstance(total, int):
                raise Passing("an answer without data or total_items")
            return rows, total, answer.at

        return self.client.ask(PATH, page, verb="POST", json=body)

    def _refusal(self, error: Mapping[str, Any]) -> RemoteError | Waiting | Passing:
        data, code = _map(error.get("data")), error.get("code")
        mnemonic = data.get("mnemonic") or ""
        said = self.client.masked(f"{mnemonic or code}: {error.get('message') or ''}")
        if code == _LIMIT or mnemonic == "limit_exceeded":
            return Waiting(f"its limit is met, {said}", _reset_seconds(_map(data.get("metadata"))))
        if code == _INTERNAL or mnemonic == "internal_error":
            return Passing(said)
        if code in (_AUTHENTICATION, _FORBIDDEN):
            return self.client.rejected(said)
        if code in (_COMPONENT, _ACCOUNT):
            return self.client.unpaid(said)
        return self.client.refused(said)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one account.

    Raises:
        SourceError: it has no usable secrets.
    """
    return UisReader(access)


def _reset_seconds(metadata: Mapping[str, Any]) -> float | None:
    """When points are to be had again; a day that is used up outlasts a minute."""
    limits = _map(metadata.get("limits"))
    for period in ("day", "minute"):
        if limits.get(f"{period}_remaining") == 0:
            seconds = limits.get(f"{period}_reset")
            return float(seconds) if isinstance(seconds, int | float) else None
    return None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
