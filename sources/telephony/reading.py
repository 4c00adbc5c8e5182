"""What a provider's folder offers the connector: its tables, its clock, the rows of a window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sources.company.rules import PbxSection
from sources.credentials import SecretsOf
from sources.raw_tables import RawTable


@dataclass(frozen=True)
class PbxTable:
    """One list of a provider.

    Attributes:
        entity: the provider's name of it, as the reconciliation tells it.
        raw: its raw table, `<provider>_<entity>` in `raw_telephony`.
        started: the field of a row that tells when it began, for people.
    """

    entity: str
    raw: RawTable
    started: str


@dataclass(frozen=True)
class Rows:
    """Rows of one answer.

    Attributes:
        rows: JSON objects (numbers, texts, None; instants as the provider prints them).
        received_at: the provider's clock, aware; times that come without an offset are read in
            its zone (in the hour that comes twice: the first one).
    """

    rows: list[Any]
    received_at: dt.datetime


@dataclass(frozen=True)
class PbxAccess:
    """What a provider's folder needs to open a reader.

    Attributes:
        connection: the connection's name in the company's rules.
        section: its rules.
        zone: of the times that the provider prints without one.
        secrets: its secrets.
        data_dir: the company's data, for files that the rules name.
    """

    connection: str
    section: PbxSection
    zone: dt.tzinfo
    secrets: SecretsOf
    data_dir: Path


class PbxReader(Protocol):
    """One account of one provider.

    Every method raises `SourceError` (or `RemoteError`) with a sentence that names the remedy and
    no secret; none returns fewer rows quietly. A limit that is met is waited for.
    """

    tables: tuple[PbxTable, ...]
    slice_days: int
    """The longest window that is asked for at once: what the provider allows, or a sensible
    piece."""

    def now(self) -> dt.datetime:
        """The provider's clock, aware, in the zone of the times that it prints.

        The first call of each load: it also proves the access. Where there is no such clock, this
        machine's; of a file, the time at which it was written.
        """

    def first_at(self) -> dt.datetime | None:
        """The beginning of the oldest row; None: no rows, or the provider does not tell."""

    def read(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> Iterator[Rows]:
        """The rows that began in `[start, end)`; a few more at the edges do no harm."""

    def count(self, table: PbxTable, start: dt.datetime, end: dt.datetime) -> int | None:
        """How many rows the provider itself counts for the window that `read` would bring now.

        None: it does not count.
        """

    def close(self) -> None:
        """Let go of connections."""
