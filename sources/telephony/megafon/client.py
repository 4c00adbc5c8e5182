"""The API for CRM systems of MegaFon's virtual PBX; Moldcell and Kcell run the same engine.

Facts from clients that others wrote: `cmd=history` with `start` and `end` as `YYYYmmddTHHMMSSZ`,
CSV of nine cells without a header (newer engines print one, and a tenth cell), the types `in`,
`out`, `missed` and `all`. How it refuses is not known: any JSON in place of CSV is a refusal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from sources.telephony.http import Answer, HttpClient, Provider, row_key, rows_of_cells
from sources.telephony.local_times import unix_window
from sources.telephony.megafon.tables import FIELDS, ROW_KEY, TABLES
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows
from sources.web import read_json

PATH = "/sys/crm_api.wcgp"
PROVIDER = Provider(
    "MegaFon",
    ("token",),
    "base_url is the address of the virtual PBX (https://<name>.megapbx.ru), the token stands "
    "there at Settings, Integration with CRM, REST API",
    path=PATH,
)
# Whether `all` has the missed ones too is not said; what comes twice is loaded once.
TYPES = ("all", "missed")
_REJECTED = ("token", "auth", "denied", "forbidden")


class MegafonReader:
    """One virtual PBX of MegaFon; its calls are not counted by it.

    Args:
        access: the connection, with the secrets `token` and `base_url`.
    """

    tables = TABLES
    # The longest period is not known to us.
    slice_days = 7

    def __init__(self, access: PbxAccess) -> None:
        self.client = HttpClient(PROVIDER, access)

    def now(self) -> dt.datetime:
        """The clock of an answer to a question for the last minute."""
        now = dt.datetime.now(dt.UTC)
        return self._history("missed", now - dt.timedelta(minutes=1), now).received_at

    def first_at(self) -> dt.datetime | None:
        """None: the provider does not tell."""
        return None

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """All calls of the window, then the missed ones."""
        for kind in TYPES:
            yield self._history(kind, start, end)

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """None: it does not count."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def _history(self, kind: str, start: dt.datetime, end: dt.datetime) -> Rows:
        first, last = (
            dt.datetime.fromtimestamp(seconds, dt.UTC) for seconds in unix_window(start, end)
        )
        params = {
            "cmd": "history",
            "token": self.client.keys["token"],
            "type": kind,
            "start": f"{first:%Y%m%dT%H%M%SZ}",
            "end": f"{last:%Y%m%dT%H%M%SZ}",
        }
        return self.client.ask(PATH, self._rows, params=params)

    def _rows(self, answer: Answer) -> Rows:
        found = read_json(answer.content)
        if isinstance(found, Mapping):
            said = self.client.masked(found.get("error") or found.get("message") or found)
            self.client.check(answer, said)
            if any(word in said.lower() for word in _REJECTED):
                raise self.client.rejected(said)
            raise self.client.refused(said)
        self.client.check(answer)
        rows: list[Any] = [
            {**row, "row_key": row_key(row, ROW_KEY)}
            for row in rows_of_cells(answer.cells(","), FIELDS)
        ]
        return Rows(rows, answer.at)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one virtual PBX.

    Raises:
        SourceError: it has no usable secrets.
    """
    return MegafonReader(access)
