"""Ringostat's API: the call log of a project.

Facts from clients that others wrote: the header `Auth-key`, `from` and `to` as local times, the
fields; a field that the project lacks is refused by a text with `incorrect field`. Some of them
send UTC: where calls stand at the wrong hour, `time_zone` of the connection is to be `UTC`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping

from sources.telephony.http import Answer, HttpClient, Passing, Provider
from sources.telephony.local_times import local_window
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows
from sources.telephony.ringostat.tables import CALLS, NEEDED, TABLES

PROVIDER = Provider(
    "Ringostat",
    ("auth_key",),
    "it stands in the project at Integrations, API",
    "https://api.ringostat.net",
)
PATH = "/calls/list"
_TIME = "%Y-%m-%d %H:%M:%S"
_LISTS = ("result", "calls", "data", "items")
_REFUSED_FIELD = "incorrect field"

logger = logging.getLogger("callfunnel.telephony")


class _UnknownFields(Exception):
    """The project lacks fields."""

    def __init__(self, fields: set[str]) -> None:
        super().__init__(", ".join(sorted(fields)))
        self.fields = fields


class RingostatReader:
    """One project of Ringostat; its calls are not counted by it.

    Args:
        access: the connection, with the secret `auth_key`.
    """

    tables = TABLES
    # How many rows one answer holds at most is not known to us.
    slice_days = 7

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)
        self.fields = [column.field for column in CALLS.raw.columns]

    def now(self) -> dt.datetime:
        """The clock of an answer to a question for the last minute."""
        now = dt.datetime.now(dt.UTC)
        return self._calls(now - dt.timedelta(minutes=1), now).received_at

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """The log of the window."""
        yield self._calls(start, end)

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """None: it does not count."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _calls(self, start: dt.datetime, end: dt.datetime) -> Rows:
        first, last = local_window(start, end, self.client.zone)
        while True:
            params = {
                "export_type": "json",
                "from": first.strftime(_TIME),
                "to": last.strftime(_TIME),
                "fields": ",".join(self.fields),
                "order": "calldate desc",
            }
            headers = {"Auth-key": self.client.keys["auth_key"]}
            try:
                return self.client.ask(PATH, self._rows, params=params, headers=headers)
            except _UnknownFields as unknown:
                logger.warning(
                    "%s: the project of connection '%s' has no field %s; its column stays empty",
                    self.client.host,
                    self.client.connection,
                    unknown,
                )
                self.fields = [field for field in self.fields if field not in unknown.fields]

    def _rows(self, answer: Answer) -> Rows:
        text = answer.content[:2_000].decode(errors="replace")
        if _REFUSED_FIELD in text.lower():
            said = text.lower().partition(_REFUSED_FIELD)[2]
            words = set("".join(c if c.isalnum() or c == "_" else " " for c in said).split())
            unknown = words & set(self.fields)
            if not unknown or unknown & set(NEEDED):
                raise self.client.refused(self.client.masked(text))
            raise _UnknownFields(unknown)
        found = self.client.document(answer)
        if isinstance(found, Mapping):
            said = self.client.masked(found.get("error") or found.get("message"))
            self.client.check(answer, said)
            if said:
                raise self.client.refused(said)
            found = next((found[name] for name in _LISTS if name in found), None)
        self.client.check(answer)
        if not isinstance(found, list):
            raise Passing("an answer without its list")
        return Rows(found, answer.at)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one project.

    Raises:
        SourceError: it has no usable secrets.
    """
    return RingostatReader(access)
