"""What a connection to a source system is, and what every system's connector offers the loader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Reported:
    """What the system says it holds of one entity at the cut.

    Attributes:
        rows: the system's own count; None where it has none.
        upper_id: the highest id at the cut; counts are compared up to it. None for dictionaries.
    """

    rows: int | None
    upper_id: int | None = None


@dataclass(frozen=True)
class Cut:
    """The moment a load describes: the server's clock before the first row was read."""

    at: dt.datetime
    reported: Mapping[str, Reported]


@dataclass
class Tally:
    """What one load received, by entity; filled while the resources run."""

    received: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)

    def add(self, entity: str, received: int, quarantined: int = 0) -> None:
        """Count rows of one page."""
        self.received[entity] = self.received.get(entity, 0) + received
        self.quarantined[entity] = self.quarantined.get(entity, 0) + quarantined


class Connector(Protocol):
    """One account of one system, ready to be read."""

    system: str
    connection: str
    entities: tuple[str, ...]
    """In loading order: users before dictionaries, cards before what points to them."""

    @property
    def source_key(self) -> str:
        """`<system>:<connection>`, the first part of every key."""

    def cut(self) -> Cut:
        """Ask for the server's clock and counts; the first call of every load."""

    def recount(self, cut: Cut, entities: tuple[str, ...]) -> Cut:
        """The same cut with the named entities counted anew, up to the same ids."""

    def source(self, cut: Cut, tally: Tally, *, reread: tuple[str, ...] = ()) -> Any:
        """The dlt source of one load. Entities in `reread` are read whole, without a cursor."""


def source_key(system: str, connection: str) -> str:
    """`<system>:<connection>`, e.g. `bitrix24:main`."""
    return f"{system}:{connection}"
