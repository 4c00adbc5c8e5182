"""What a connection to a source system is, and what every system's connector offers the loader."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

if TYPE_CHECKING:
    import duckdb

    from sources.archive import ArchivedTable
    from sources.history import VersionedTable

PbxSystem = Literal[
    "asterisk", "mango", "uis", "megafon", "zadarma", "binotel", "ringostat", "generic"
]
PBX_SYSTEMS: tuple[PbxSystem, ...] = get_args(PbxSystem)
"""The providers of telephony; their calls share a raw schema."""


@dataclass(frozen=True)
class Entity:
    """One entity of a connection, as the reconciliation counts it.

    Attributes:
        name: unique in the connection.
        table: its raw table.
        condition: SQL that tells its rows from others' in the same raw table.
        is_core: without it no report is right: a load that can't read it fails.
        is_listed: read by id, with a cursor and a count of the system; otherwise a dictionary
            that every load reads whole, or a detail.
        is_detail: read owner by owner, after everything else.
        sweep_days: how often its ids are compared with the system's though the counts agree;
            None: only when they differ.
    """

    name: str
    table: str
    condition: str = "true"
    is_core: bool = False
    is_listed: bool = True
    is_detail: bool = False
    sweep_days: int | None = None


@dataclass(frozen=True)
class Reported:
    """What the system says it holds of one entity at the cut.

    Attributes:
        rows: the system's own count; None where it has none.
        upper_id: the highest id at the cut; counts are compared up to it. None for dictionaries.
        first_id: the lowest id, where it is known.
    """

    rows: int | None
    upper_id: int | None = None
    first_id: int | None = None


@dataclass(frozen=True)
class Cut:
    """The moment a load describes: the server's clock before the first row was read.

    Attributes:
        at: the server's clock.
        reported: what the system counts, by entity.
        refused: entities that the system would not even count, with the sentence that says why.
        failed: entities that it could not count, with the sentence.
        waiting: entities that it has not counted yet, having stopped their method for a while.
    """

    at: dt.datetime
    reported: Mapping[str, Reported]
    refused: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Request:
    """What one extraction reads.

    Attributes:
        only: these entities; None: all.
        window: rows created in `[from, to)`: a back-fill, which moves no cursor.
        ids: rows with these ids, which moves no cursor.
    """

    only: Collection[str] | None = None
    window: tuple[dt.datetime, dt.datetime] | None = None
    ids: Mapping[str, Sequence[int]] | None = None

    def wants(self, entity: str) -> bool:
        """Whether the entity is to be read."""
        if self.ids is not None:
            return bool(self.ids.get(entity))
        return self.only is None or entity in self.only


@dataclass(frozen=True)
class Waiting:
    """Owners whose details were not read.

    Attributes:
        pending: they wait for the next load.
        inferred: they need no reading, since what they would say follows from the owner.
    """

    pending: int
    inferred: int = 0


@dataclass
class Tally:
    """What one load received, by entity; filled while the resources run, from several threads.

    Attributes:
        received: rows that came.
        quarantined: rows that could not be read.
        reported: the system's counts of dictionaries that it counts, and of windows of time that
            this load has read; told while they are read.
        refused: entities that the system refuses, with the sentence.
        failed: entities that could not be read to the end, with the sentence.
        unfinished: entities whose first read goes on in another package.
        refused_owners: by entity, owners (type, id) whose details the system would not tell, with
            the sentence; they are asked again by the next load.
    """

    received: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    refused_owners: dict[str, dict[tuple[str, int], str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, entity: str, received: int, quarantined: int = 0) -> None:
        """Count rows of one block."""
        with self._lock:
            self.received[entity] = self.received.get(entity, 0) + received
            self.quarantined[entity] = self.quarantined.get(entity, 0) + quarantined


class Connector(Protocol):
    """One account of one system, ready to be read."""

    system: str
    connection: str

    @property
    def entities(self) -> tuple[Entity, ...]:
        """In loading order: users before dictionaries, cards before what points to them."""

    @property
    def versioned(self) -> tuple[VersionedTable, ...]:
        """Tables of which versions are kept, since the system keeps none."""

    @property
    def archived(self) -> tuple[ArchivedTable, ...]:
        """Tables that go to the archive."""

    @property
    def source_key(self) -> str:
        """`<system>:<connection>`, the first part of every key."""

    def cut(self) -> Cut:
        """Ask for the server's clock and counts; the first call of every load."""

    def count_waiting(self, cut: Cut) -> Cut:
        """The same cut with the waiting entities counted, however long that takes."""

    def recount(self, cut: Cut, entities: Collection[str]) -> Cut:
        """The same cut with the named entities counted anew, up to the same ids."""

    def source(self, cut: Cut, tally: Tally, request: Request) -> Any:
        """The dlt source of one extraction."""

    def ids(self, entity: str, upper_id: int) -> Any:
        """All ids of an entity up to one, as the system has them now: an Arrow int64 array."""

    def confirm_gone(self, entity: str, ids: Sequence[int]) -> list[int]:
        """Those of the ids that `ids` did not bring which the system has no more indeed."""

    def details(self, warehouse: duckdb.DuckDBPyConnection, limit: int, tally: Tally) -> Any:
        """Owners whose details are due, at most `limit` of each kind; None where there are none."""

    def details_pending(self, warehouse: duckdb.DuckDBPyConnection) -> Mapping[str, Waiting]:
        """Owners whose details were not read, by entity."""

    def detail_source(self, due: Any, tally: Tally) -> Any:
        """The dlt source that reads these owners' details; None: the system has no details."""

    def forget_details(
        self,
        warehouse: duckdb.DuckDBPyConnection,
        entities: Collection[str],
        start: dt.datetime,
        end: dt.datetime,
    ) -> int:
        """Make details of these entities or of these owners, created in a window, due again."""

    def close(self) -> None:
        """Let go of threads and connections."""


class WithoutDetails:
    """The part of a `Connector` whose system tells everything in lists, and stops no method."""

    def count_waiting(self, cut: Cut) -> Cut:
        """The same cut: nothing ever waits."""
        return cut

    def details(
        self, warehouse: duckdb.DuckDBPyConnection, limit: int, tally: Tally
    ) -> Mapping[str, Any] | None:
        """None: nothing is read owner by owner."""
        return None

    def details_pending(self, warehouse: duckdb.DuckDBPyConnection) -> Mapping[str, Waiting]:
        """Nothing is read owner by owner."""
        return {}

    def forget_details(
        self,
        warehouse: duckdb.DuckDBPyConnection,
        entities: Collection[str],
        start: dt.datetime,
        end: dt.datetime,
    ) -> int:
        """Nothing is read owner by owner."""
        return 0

    def detail_source(self, due: Any, tally: Tally) -> None:
        """None: nothing is read owner by owner."""


def source_key(system: str, connection: str) -> str:
    """`<system>:<connection>`, e.g. `bitrix24:main`."""
    return f"{system}:{connection}"


def raw_schema(system: str) -> str:
    """The raw schema of a system: `raw_<system>`, of telephony `raw_telephony`."""
    return "raw_telephony" if system in PBX_SYSTEMS else f"raw_{system}"
