"""What one system brings to the matrix: its account, its records, its connector, its faults."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sources.connection import Connector, Entity
from sources.demo.faults import FaultPlan
from sources.demo.record_store import RecordStore
from sources.history import VersionedTable
from tests.support.faults.plans import Fault, Outcome
from tests.support.faults.stages import Stage


class Served(Protocol):
    """One state of the account, served.

    Attributes:
        portal: what is served.
        address: with what a load is given access without an application.
    """

    portal: Any
    address: str

    def plan(self, *rules: Mapping[str, Any]) -> FaultPlan:
        """What goes wrong from now on; nothing without rules."""

    def application(self) -> Any:
        """The account's application, authorised anew."""


@dataclass(frozen=True)
class Held:
    """Where the account keeps the records of an entity.

    Attributes:
        stored: the store's table.
        key: SQL that tells its records apart there.
        condition: SQL of the records that the account gives.
        raw_key: SQL that tells them apart in raw.
    """

    stored: str
    key: str = "id"
    condition: str = "true"
    raw_key: str = "id"


@dataclass(frozen=True)
class Death:
    """Where a load dies.

    Attributes:
        place: `module:function` or `module:class.function`.
        nth: its call at which to die.
        when: `before` or `after` it has done its work.
        stages: the loads that come there.
    """

    place: str
    nth: int
    when: str
    stages: tuple[Stage, ...] = ("first", "increment")


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        name: as in `raw_<system>`.
        clocks: the account's, at each load.
        held: by entity, in the order of the connector.
        core: entities without which no report is right.
        sharing: entity to another one that comes with the same requests, asked for before it.
        make: the account as the first load finds it.
        change: what happens until the second load: new, changed and deleted rows of every entity.
        open: a store that was made before.
        serve: serves a state of the account; the folder is for tokens.
        connector: without a brake of our own, by an access, of some entities or (none given) all.
        needed: entities, what owns their rows, and others to be read beside them.
        place: where in a fault plan a fault meets an entity's rows: `method`, `where`, `nth`.
        befalls: whether there is a request that a fault can befall.
        kinds: of changes that befall records while they are read.
        mutations: rules that make these changes while an entity is being read.
        is_present: SQL of the rows of `records`, a raw table, that the account still has.
        secret: what no message may hold.
        versioned: of which tables versions are kept.
        keys: what may not stand twice in a raw table, where it is not the id.
        unmatched: by raw table and entity (None: all), columns in which a load that goes on where
            another stopped differs: it has less left to read.
        deaths: where its loads die, beside the places that every system has.
        sweeps_alone: only a sweep finds what is gone.
        tables: entity to its raw table, where that has another name.
        conditions: entity to SQL that tells its rows from others' in the same raw table.
        detailed: entities that are read owner by owner.
        whole: entities with which the whole account is refused.
    """

    name: str
    clocks: Mapping[Stage, dt.datetime]
    held: Mapping[str, Held]
    core: Collection[str]
    sharing: Mapping[str, str]
    make: Callable[[Path], RecordStore]
    change: Callable[[Any], None]
    open: Callable[[Path], RecordStore]
    serve: Callable[[Any, Path], AbstractContextManager[Served]]
    connector: Callable[[Any, Collection[str]], AbstractContextManager[Connector]]
    needed: Callable[..., tuple[str, ...]]
    place: Callable[[Fault, str, Stage], dict[str, Any]]
    befalls: Callable[[Fault, str, Stage], bool]
    kinds: Sequence[str]
    mutations: Callable[[str, Stage, Collection[str]], list[dict[str, Any]]]
    is_present: Callable[[Entity], str]
    secret: str
    versioned: tuple[VersionedTable, ...]
    keys: Mapping[str, str]
    unmatched: Mapping[str, Mapping[str | None, tuple[str, ...]]]
    deaths: Mapping[str, Death]
    sweeps_alone: bool = False
    tables: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    detailed: Collection[str] = ()
    whole: Collection[str] = ()

    @property
    def entities(self) -> tuple[str, ...]:
        """In the order of the connector."""
        return tuple(self.held)

    def outcome(self, fault: Fault, entity: str) -> Outcome:
        """What a load makes of the fault where it is this entity's."""
        if fault.outcome == "refused" and entity in (*self.core, *self.whole):
            return "raises"
        if fault.of_commands and fault.outcome == "raises" and entity in self.detailed:
            return "refused"  # one owner of many: told, and asked again by the next load
        return fault.outcome

    def is_connection_wide(self, fault: Fault, entity: str) -> bool:
        """Whether it ends the load at once, and is no entity's."""
        return fault.is_connection_wide or (fault.outcome == "refused" and entity in self.whole)

    def table_of(self, entity: str) -> str:
        """Its raw table."""
        return self.tables.get(entity, entity)

    def condition_of(self, entity: str) -> str:
        """SQL that tells its rows from others' in the same raw table."""
        return self.conditions.get(entity, "true")


def is_deleted(system_name: str, entity: str) -> str:
    """SQL of the rows of `records`, the entity's raw table, that are marked as gone."""
    return (
        f"exists (select 1 from raw_{system_name}.deleted_records as deleted "
        f"where deleted.entity = '{entity}' and deleted.id = records.id "
        "and deleted.noticed_at >= records.received_at)"
    )


def system_of(name: str) -> System:
    """The system of a name; a load that dies in another process finds it so."""
    made: System = importlib.import_module(f"tests.support.faults.{name}.system").SYSTEM
    return made
