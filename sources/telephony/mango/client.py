"""Mango Office's API of the virtual PBX: signed forms, and reports that take a while.

Facts from clients that others wrote, since the vendor's pages are closed: the forms and the
signature (several), 204 until a report is made, `;` between cells and no header, `records` as
`[id,id]`, times as Unix time. The codes of refusals are from memory.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from sources.errors import RemoteError
from sources.telephony.http import (
    Answer,
    HttpClient,
    Passing,
    Provider,
    Waiting,
    row_key,
    rows_of_cells,
)
from sources.telephony.local_times import unix_window
from sources.telephony.mango.tables import FIELDS, ROW_KEY, TABLES
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows
from sources.web import read_json

PROVIDER = Provider(
    "Mango Office",
    ("api_key", "api_salt"),
    "both stand in Mango Office's account: Integrations, API connector",
    "https://app.mango-office.ru",
)
EMPTY_TRIES = 3
"""An empty report may be one that is not made yet: it is believed when it came so often."""
_WRONG_KEYS = frozenset({3102, 3105})
_OVERLOADED = frozenset({5001, 5002, 5003, 5004, 5005})
_DAY = 86_400

_T = TypeVar("_T")


class MangoReader:
    """One account of Mango Office; its calls are not counted by it.

    Args:
        access: the connection, with the secrets `api_key` and `api_salt`.
    """

    tables = TABLES
    # The vendor's longest period is not known to us; a week is made quickly.
    slice_days = 7

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)

    def now(self) -> dt.datetime:
        """The clock of an answer to an order for the last minute."""
        now = dt.datetime.now(dt.UTC)
        _, at = self._order(now - dt.timedelta(minutes=1), now)
        return at

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """The report of the window, when it is made."""
        key, _ = self._order(start, end)
        window, empty = unix_window(start, end), 0

        def result(answer: Answer) -> Rows:
            nonlocal empty
            self._check(answer)
            if answer.status == 204:
                raise Waiting("the report is being made")
            if not answer.content.strip():
                empty += 1
                if empty < EMPTY_TRIES:
                    raise Waiting("the report is empty so far")
            return Rows(_rows(answer, window), answer.at)

        yield self._ask("/vpbx/stats/result", {"key": key}, result)

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """None: it does not count."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _order(self, start: dt.datetime, end: dt.datetime) -> tuple[str, dt.datetime]:
        """Order a report: its key, and the provider's clock."""
        first, last = unix_window(start, end)

        def ordered(answer: Answer) -> tuple[str, dt.datetime]:
            self._check(answer)
            found = self.client.document(answer)
            key = found.get("key") if isinstance(found, Mapping) else None
            if not key:
                raise Passing("an order without a key")
            return str(key), answer.at

        body = {"date_from": str(first), "date_to": str(last), "fields": ",".join(FIELDS)}
        return self._ask("/vpbx/stats/request", body, ordered)

    def _ask(self, path: str, body: Mapping[str, Any], read: Callable[[Answer], _T]) -> _T:
        key, salt = self.client.keys["api_key"], self.client.keys["api_salt"]
        # What is signed is the text that is sent, to the byte.
        text = json.dumps(body, separators=(",", ":"))
        sign = hashlib.sha256(f"{key}{text}{salt}".encode()).hexdigest()
        form = {"vpbx_api_key": key, "sign": sign, "json": text}
        return self.client.ask(path, read, verb="POST", data=form)

    def _check(self, answer: Answer) -> None:
        """Raise what a refusal means; it is JSON with a `result`, with any status of HTTP."""
        found = read_json(answer.content)
        if not isinstance(found, Mapping) or "result" not in found:
            self.client.check(answer)
            return
        said = self.client.masked(f"{found['result']} {found.get('message') or ''}")
        raise self._refusal(found["result"], said)

    def _refusal(self, result: Any, said: str) -> RemoteError | Waiting:
        try:
            code = int(result)
        except (TypeError, ValueError):
            code = 0
        if code in _WRONG_KEYS:
            return self.client.rejected(said)
        if code in _OVERLOADED:
            return Waiting(f"it is overloaded, {said}")
        if 2000 <= code < 3000:
            return self.client.unpaid(said)
        return self.client.refused(said)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one account.

    Raises:
        SourceError: it has no usable secrets.
    """
    return MangoReader(access)


def _rows(answer: Answer, window: tuple[int, int]) -> list[Any]:
    rows = [
        {
            **row,
            "records": [
                record for record in (row["records"] or "").strip("[] ").split(",") if record
            ],
            "row_key": row_key(row, ROW_KEY),
        }
        for row in rows_of_cells(answer.cells(";"), FIELDS)
    ]
    last = str(rows[-1]["start"]) if rows else ""
    if last.isdigit() and not window[0] - _DAY <= int(last) <= window[1] + _DAY:
        raise Passing("a last line from another time, as if cut")
    return rows
