"""One amoCRM account: what it holds, the facts a load asks for, and its dlt source."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltSource

from sources.amocrm import tables
from sources.amocrm.client import AmoClient
from sources.amocrm.errors import AmoError
from sources.amocrm.history import ARCHIVED, VERSIONED
from sources.amocrm.lists import LISTS, AmoList
from sources.amocrm.paging import PageReader, id_of, ids_of
from sources.amocrm.source import amocrm
from sources.archive import ArchivedTable
from sources.connection import (
    Cut,
    Entity,
    Reported,
    Request,
    Tally,
    WithoutDetails,
    source_key,
)
from sources.history import VersionedTable

_DICTIONARIES = (
    "account",
    "users",
    "groups",
    "pipelines",
    "statuses",
    "loss_reasons",
    "custom_fields",
    "custom_field_enums",
    "tags",
    "catalogs",
    "catalog_elements",
)
_CORE_DICTIONARIES = frozenset({"pipelines", "statuses"})
"""Without `users`: only an administrator may list them, and other reports are right without."""


class AmoConnector(WithoutDetails):
    """One account, ready to be loaded.

    Args:
        client: the account's client.
        connection: the connection's name in the company's rules.
    """

    system: str = "amocrm"
    versioned: tuple[VersionedTable, ...] = VERSIONED
    archived: tuple[ArchivedTable, ...] = ARCHIVED

    def __init__(self, client: AmoClient, connection: str) -> None:
        self.client = client
        self.connection = connection
        self.lists: Mapping[str, AmoList] = {entity.name: entity for entity in LISTS}
        self._reader: PageReader | None = None
        self._swept: dict[str, int] = {}
        self._vanished: dict[str, int] = {}

    @property
    def source_key(self) -> str:
        """`amocrm:<connection>`."""
        return source_key(self.system, self.connection)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """In loading order: dictionaries, clients, cards, events, notes, tasks."""
        dictionaries = [
            Entity(name, name, is_core=name in _CORE_DICTIONARIES, is_listed=False)
            for name in _DICTIONARIES
        ]
        listed = [
            Entity(
                entity.name,
                entity.table.name,
                condition=entity.condition,
                is_core=entity.is_core,
                sweep_days=entity.sweep_days,
            )
            for entity in self.lists.values()
        ]
        events = Entity(tables.EVENTS.name, tables.EVENTS.name, is_core=True)
        return (*dictionaries, *listed, events)

    def cut(self) -> Cut:
        """The server's clock and the highest ids; the system has no counts.

        Raises:
            AmoError: the account refuses altogether or is not there.
        """
        at = self.client.get("account").server_now
        reported: dict[str, Reported] = {}
        refused: dict[str, str] = {}
        failed: dict[str, str] = {}
        for name, entity in self.lists.items():
            if entity.is_whole:
                continue
            try:
                answer = self.client.get(entity.path, entity.newest())
            except AmoError as error:
                if error.is_connection_wide:
                    raise
                (refused if error.is_refusal else failed)[name] = str(error)
                continue
            reported[name] = Reported(None, max(ids_of(answer.rows), default=0))
            # After the ids: what they count was created by then.
            at = max(at, answer.server_now)
        return Cut(at, reported, refused, failed)

    def recount(self, cut: Cut, entities: Collection[str]) -> Cut:
        """The same cut with the named entities counted, as the sweep has just seen them."""
        counted = {
            name: replace(cut.reported[name], rows=self._swept[name] - self._vanished.get(name, 0))
            for name in entities
        }
        return replace(cut, reported={**cut.reported, **counted})

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> DltSource:  # noqa: B008
        """The dlt source of one extraction; see `sources.amocrm.source.amocrm`."""
        return amocrm(
            self._reading(), self.source_key, self.lists, cut, tally, request, self._vanished
        )

    def ids(self, entity: str, upper_id: int) -> pa.Array:
        """All ids of an entity up to one, as the account has them now; null where unreadable.

        Raises:
            AmoError: the account refuses or is not there.
        """
        chunks = [
            pa.array(map(id_of, answer.rows), pa.int64())
            for answer in self._reading().backwards(self.lists[entity].listing())
        ]
        found = pa.chunked_array(chunks, pa.int64()).combine_chunks()
        readable = pc.unique(found.drop_null())
        known = readable.filter(pc.less_equal(readable, upper_id))
        self._swept[entity] = len(known) + found.null_count
        self._vanished.pop(entity, None)
        return pa.concat_arrays([known, pa.nulls(found.null_count, pa.int64())])

    def confirm_gone(self, entity: str, ids: Sequence[int]) -> list[int]:
        """Those of the ids that the account has no more, asked for by their ids.

        A record that is restored from the recycle bin meanwhile moves those behind it, and one of
        them onto a page that the sweep has read already.
        """
        there = {
            number
            for _, listing in self.lists[entity].by_ids(ids)
            for number in ids_of(self._reading().page(listing, 1).rows)
        }
        skipped = there.intersection(ids)
        self._swept[entity] += len(skipped)
        return [number for number in ids if number not in skipped]

    def close(self) -> None:
        """Let go of the reading threads."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _reading(self) -> PageReader:
        if self._reader is None:
            self._reader = PageReader(self.client)
        return self._reader
