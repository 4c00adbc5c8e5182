"""Zadarma's API: signed addresses, pages of 1,000 rows, three requests a minute.

Facts from the vendor: the signature, the limits (100 requests a minute, 3 of statistics), the
period of a month and `/v1/info/timezone` (github.com/zadarma/openapi), `skip` and `limit`
(its class for PHP).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from sources.errors import RemoteError
from sources.telephony.http import Answer, HttpClient, Passing, Provider, Waiting, row_key
from sources.telephony.local_times import local_window
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows
from sources.telephony.zadarma.tables import ROW_KEY, TABLES
from sources.web import listed

PROVIDER = Provider(
    "Zadarma",
    ("api_key", "api_secret"),
    "both stand in Zadarma's account: Settings, Integrations and API, Keys and API",
    "https://api.zadarma.com",
    requests_per_minute=3,
)
STATISTICS = "/v1/statistics/pbx/"
TIMEZONE = "/v1/info/timezone/"
PAGE_ROWS = 1_000
_TIME = "%Y-%m-%d %H:%M:%S"

_T = TypeVar("_T")

logger = logging.getLogger("callfunnel.telephony")


class ZadarmaReader:
    """One account of Zadarma; its calls are not counted by it.

    Args:
        access: the connection, with the secrets `api_key` and `api_secret`.
    """

    tables = TABLES
    # A month at most; of a longer one the end is left out without a word. Two edges may lie in
    # the hour that comes twice.
    slice_days = 29

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)

    def now(self) -> dt.datetime:
        """The provider's clock; says so where the account's zone is not the connection's."""

        def clock(answer: Answer) -> dt.datetime:
            found = self._document(answer)
            seconds = found.get("unixtime")
            if not isinstance(seconds, int):
                return answer.at
            at = dt.datetime.fromtimestamp(seconds, self.client.zone)
            if found.get("datetime") not in (None, at.strftime(_TIME)):
                logger.warning(
                    "%s: the account's clock says %s (%s), the connection's time zone %s: set "
                    "time_zone of connection '%s' in the company's rules to the account's",
                    self.client.host,
                    found.get("datetime"),
                    found.get("timezone"),
                    at.strftime(_TIME),
                    self.client.connection,
                )
            return at

        return self._ask(TIMEZONE, {}, clock)

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """Pages of the window; a call that turns up meanwhile shifts rows to later pages."""
        first, last = local_window(start, end, self.client.zone)
        seen: set[str] = set()
        skip = 0
        while True:
            window = {"start": first.strftime(_TIME), "end": last.strftime(_TIME), "version": "2"}
            page = {"skip": str(skip), "limit": str(PAGE_ROWS)}
            found = self._ask(STATISTICS, {**window, **page}, self._rows)
            yield found
            if len(found.rows) < PAGE_ROWS:
                return
            keys = {str(row.get("row_key")) for row in found.rows if isinstance(row, Mapping)}
            if keys <= seen:
                raise self.client.refused(f"the page from row {skip:,} on repeats earlier ones")
            seen |= keys
            skip += len(found.rows)

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """None: it does not count."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _ask(self, path: str, params: Mapping[str, str], read: Callable[[Answer], _T]) -> _T:
        # What is signed is the query that is sent, to the byte.
        query = urlencode(sorted(params.items()))
        headers = {"Authorization": f"{self.client.keys['api_key']}:{self._signature(path, query)}"}
        return self.client.ask(f"{path}?{query}" if query else path, read, headers=headers)

    def _signature(self, path: str, query: str) -> str:
        digest = hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
        secret = self.client.keys["api_secret"].encode()
        signed = hmac.new(secret, f"{path}{query}{digest}".encode(), hashlib.sha1).hexdigest()
        # Of the hexadecimal digits, as PHP's hash_hmac prints them.
        return base64.b64encode(signed.encode()).decode()

    def _rows(self, answer: Answer) -> Rows:
        found = self._document(answer)
        if not isinstance(found.get("stats"), list | Mapping):
            raise Passing("statistics without their list")
        rows = [
            {**row, "row_key": row_key(row, ROW_KEY)} if isinstance(row, Mapping) else row
            for row in listed(found, "stats")
        ]
        return Rows(rows, answer.at)

    def _document(self, answer: Answer) -> Mapping[str, Any]:
        found = self.client.document(answer)
        if not isinstance(found, Mapping):
            raise Passing("an answer of another form")
        if found.get("status") == "error":
            raise self._refusal(answer, self.client.masked(found.get("message")))
        self.client.check(answer)
        return found

    def _refusal(self, answer: Answer, said: str) -> RemoteError | Waiting:
        words = said.lower()
        if "limit" in words and "request" in words:
            return Waiting(f"its limit is met, {said}")
        if answer.status in (401, 403) or "not authorized" in words or "signature" in words:
            return self.client.rejected(said)
        return self.client.refused(said)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one account.

    Raises:
        SourceError: it has no usable secrets.
    """
    return ZadarmaReader(access)
