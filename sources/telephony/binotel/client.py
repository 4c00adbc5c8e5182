"""Binotel's API 4.0: calls of at most a day, incoming and outgoing apart.

Facts from the vendor's own script for PHP (a day at once, 2,000 rows and more mean that the period
was too long, a pause between requests) and from clients that others wrote (a day at most; the
calls are a map by their id, or an empty list, or not there at all).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping

from sources.errors import RemoteError
from sources.telephony.binotel.tables import TABLES
from sources.telephony.http import Answer, HttpClient, Passing, Provider, Waiting
from sources.telephony.local_times import halves, unix_window
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows

PROVIDER = Provider(
    "Binotel",
    ("key", "secret"),
    "Binotel's support gives both out to the account's administrator",
    "https://api.binotel.com",
    # The vendor's script waits 10 s, which for a year in days would be two hours; an assumption.
    requests_per_minute=30,
)
METHODS = ("incoming-calls-for-period", "outgoing-calls-for-period")
FULL_ROWS = 2_000
# How it says that requests come too often is not known.
_TOO_OFTEN = re.compile(r"too many|too often|requests? limit|rate limit|част", re.IGNORECASE)
_WRONG_KEYS = re.compile(r"key|secret|auth|access|ключ|доступ", re.IGNORECASE)


class BinotelReader:
    """One account of Binotel; its calls are not counted by it.

    Args:
        access: the connection, with the secrets `key` and `secret`.
    """

    tables = TABLES
    slice_days = 1

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)

    def now(self) -> dt.datetime:
        """The clock of an answer to a question for the last minute."""
        now = dt.datetime.now(dt.UTC)
        return self._calls(METHODS[0], now - dt.timedelta(minutes=1), now).received_at

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """Incoming calls of the window, then outgoing ones."""
        for method in METHODS:
            yield from self._read(method, start, end)

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """None: it does not count."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _read(self, method: str, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        found = self._calls(method, start, end)
        if len(found.rows) < FULL_ROWS:
            yield found
            return
        # As many as it gives out: there may be more.
        parts = halves(start, end)
        if parts is None:
            raise self.client.refused(f"{len(found.rows):,} calls in a minute, maybe not all")
        for first, last in parts:
            yield from self._read(method, first, last)

    def _calls(self, method: str, start: dt.datetime, end: dt.datetime) -> Rows:
        first, last = unix_window(start, end)
        body = {
            "key": self.client.keys["key"],
            "secret": self.client.keys["secret"],
            "startTime": first,
            "stopTime": last,
        }
        path = f"/api/4.0/stats/{method}.json"
        return self.client.ask(path, self._rows, verb="POST", json=body)

    def _rows(self, answer: Answer) -> Rows:
        found = self.client.document(answer)
        if not isinstance(found, Mapping):
            raise Passing("an answer of another form")
        if found.get("status") != "success":
            code, message = found.get("code"), found.get("message")
            said = self.client.masked(f"{code or ''} {message or found.get('status') or ''}")
            raise self._refusal(answer, said)
        self.client.check(answer)
        calls = found.get("callDetails") or []
        if isinstance(calls, Mapping):
            rows = [
                {"generalCallID": key, **row} if isinstance(row, Mapping) else row
                for key, row in calls.items()
            ]
        elif isinstance(calls, list):
            rows = calls
        else:
            raise Passing("calls that are no list")
        return Rows(rows, answer.at)

    def _refusal(self, answer: Answer, said: str) -> RemoteError | Waiting:
        if answer.status in (401, 403):
            return self.client.rejected(said)
        if _TOO_OFTEN.search(said):
            return Waiting(f"its limit is met, {said}")
        if _WRONG_KEYS.search(said):
            return self.client.rejected(said)
        return self.client.refused(said)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one account.

    Raises:
        SourceError: it has no usable secrets.
    """
    return BinotelReader(access)
