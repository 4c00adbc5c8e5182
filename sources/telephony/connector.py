"""One telephony system, ready to be loaded: what `load_connection` asks of every connector."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
from dlt.extract import DltSource

from sources.archive import ArchivedTable
from sources.connection import Cut, Entity, Request, Tally, WithoutDetails, source_key
from sources.history import VersionedTable
from sources.telephony.reading import PbxReader
from sources.telephony.source import telephony
from sources.telephony.windows import Windows


class PbxConnector(WithoutDetails):
    """One telephony system.

    Calls are neither changed nor deleted long after they ended, so there is nothing to sweep:
    what is compared is the count of the windows that a load has read, where the system counts.

    Args:
        reader: the provider's.
        system: the provider's folder, e.g. `asterisk`.
        connection: the connection's name in the company's rules.
        windows: from when on, and how much again.
    """

    versioned: tuple[VersionedTable, ...] = ()

    def __init__(self, reader: PbxReader, system: str, connection: str, windows: Windows) -> None:
        self.reader = reader
        self.system = system
        self.connection = connection
        self.windows = windows

    @property
    def source_key(self) -> str:
        """`<provider>:<connection>`."""
        return source_key(self.system, self.connection)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The provider's lists; without one of them no report on calls is right."""
        return tuple(
            Entity(table.entity, table.raw.name, is_core=True) for table in self.reader.tables
        )

    @property
    def archived(self) -> tuple[ArchivedTable, ...]:
        """All of them: providers keep their statistics for months, databases are rotated."""
        return tuple(
            ArchivedTable(table.raw.name, key=table.raw.primary_key[1:])
            for table in self.reader.tables
        )

    def cut(self) -> Cut:
        """The system's clock; counts come with the windows.

        Raises:
            SourceError: the system refuses or is not there.
        """
        return Cut(self.reader.now(), {})

    def recount(self, cut: Cut, entities: Collection[str]) -> Cut:
        """The same cut: windows are counted when they are read."""
        return cut

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> DltSource:  # noqa: B008
        """The dlt source of one extraction; see `sources.telephony.source.telephony`."""
        source: DltSource = telephony.with_args(name=self.system)(
            self.reader, self.source_key, self.windows, cut, tally, request
        )
        return source

    def ids(self, entity: str, upper_id: int) -> pa.Array:
        """None: calls are not swept."""
        return pa.array([], pa.int64())

    def confirm_gone(self, entity: str, ids: Sequence[int]) -> list[int]:
        """Nothing is ever found gone."""
        return []

    def close(self) -> None:
        """Let go of connections."""
        self.reader.close()
