"""One Bitrix24 portal: what it holds, the facts a load asks for, and its dlt sources."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
from dlt.extract import DltSource

from sources.archive import ArchivedTable
from sources.bitrix24 import details, lists, tables
from sources.bitrix24.client import BATCH_SIZE, Answer, Bitrix24Client, MethodBlockedError
from sources.bitrix24.details import DETAILS, Owner
from sources.bitrix24.errors import PortalError
from sources.bitrix24.history import ARCHIVED, VERSIONED
from sources.bitrix24.lists import IdList
from sources.bitrix24.reading import Reader, spans
from sources.bitrix24.source import bitrix24, bitrix24_details
from sources.connection import Cut, Entity, Reported, Request, Tally, Waiting, source_key
from sources.history import VersionedTable

logger = logging.getLogger("callfunnel.bitrix24")

_DICTIONARIES = (
    "users",
    "departments",
    "categories",
    "statuses",
    "currencies",
    "custom_fields",
    "custom_field_options",
)
_CORE_DICTIONARIES = frozenset({"users", "categories", "statuses"})
_SCHEMA = "raw_bitrix24"


class Bitrix24Connector:
    """One portal, ready to be loaded.

    Args:
        client: the portal's client.
        connection: the connection's name in the company's rules.
        smart_processes: entity type ids (128 and above) of the smart processes to read.
    """

    system: str = "bitrix24"
    versioned: tuple[VersionedTable, ...] = VERSIONED
    archived: tuple[ArchivedTable, ...] = ARCHIVED

    def __init__(
        self, client: Bitrix24Client, connection: str, smart_processes: Sequence[int] = ()
    ) -> None:
        self.client = client
        self.connection = connection
        self.smart_processes = tuple(smart_processes)
        processes = [
            lists.items(tables.SMART_ITEMS, number, f"smart_items_{number}")
            for number in self.smart_processes
        ]
        in_order = [*lists.CARDS, *processes, *lists.EVENTS]
        self.lists: Mapping[str, IdList] = {entity.name: entity for entity in in_order}
        self._reader: Reader | None = None

    @property
    def source_key(self) -> str:
        """`bitrix24:<connection>`."""
        return source_key(self.system, self.connection)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """In loading order: users, dictionaries, cards, history, activities, calls, details."""
        dictionaries = [
            Entity(
                name,
                name,
                condition=self._asked_for(name),
                is_core=name in _CORE_DICTIONARIES,
                is_listed=False,
            )
            for name in _DICTIONARIES
        ]
        listed = [
            Entity(
                entity.name,
                entity.table.name,
                condition=_condition(entity),
                is_core=entity.is_core,
                sweep_days=entity.sweep_days,
            )
            for entity in self.lists.values()
        ]
        read_by_owner = [
            Entity(detail.name, detail.name, is_listed=False, is_detail=True) for detail in DETAILS
        ]
        return (*dictionaries, *listed, *read_by_owner)

    def cut(self) -> Cut:
        """The portal's clock, and the counts and highest ids of all lists in one request.

        Raises:
            PortalError: the portal refuses altogether or is not there.
        """
        at = self.client.call("server.time").server_now
        return self._counted(Cut(at, {}), self.lists, may_wait=False)

    def count_waiting(self, cut: Cut) -> Cut:
        """The same cut with the counts of lists that the portal had stopped.

        Raises:
            PortalError: the portal refuses altogether, is not there, or goes on refusing.
        """
        return self._counted(replace(cut, waiting=frozenset()), cut.waiting, may_wait=True)

    def _counted(self, cut: Cut, names: Collection[str], *, may_wait: bool) -> Cut:
        counted, waiting = set(names), set[str]()
        answers: Mapping[str, Answer | PortalError] = {}
        while counted:
            try:
                answers = self._ask(self._counts(counted), may_wait=may_wait)
            except MethodBlockedError as blocked:
                stopped = {name for name in counted if self.lists[name].method == blocked.method}
                if not stopped:  # no list's own: the whole request has to wait
                    return self._counted(cut, names, may_wait=True)
                counted, waiting = counted - stopped, waiting | stopped
                logger.info("%s is counted later: %s is stopped", stopped, blocked.method)
            else:
                break
        reported, refused, failed = dict(cut.reported), dict(cut.refused), dict(cut.failed)
        for name in counted:
            entity = self.lists[name]
            newest, total = answers[f"{name}_newest"], answers[f"{name}_counted"]
            for answer in (newest, total):
                if isinstance(answer, PortalError):
                    if answer.is_connection_wide:
                        raise answer
                    (refused if answer.is_refusal else failed)[name] = str(answer)
            if name not in refused and name not in failed:
                assert isinstance(newest, Answer)
                assert isinstance(total, Answer)
                upper_id = max(entity.ids(entity.rows(newest.result)), default=0)
                reported[name] = Reported(
                    total.total if upper_id else 0,
                    upper_id,
                    min(entity.ids(entity.rows(total.result)), default=None),
                )
        return Cut(cut.at, reported, refused, failed, frozenset(waiting))

    def _counts(self, names: Collection[str]) -> dict[str, str]:
        """Commands that ask lists for their highest id and for how many rows lie up to it."""
        commands: dict[str, str] = {}
        for name in self.lists:
            if name not in names:
                continue
            entity = self.lists[name]
            newest = entity.request({}, descending=True, only_ids=True)
            commands[f"{name}_newest"] = entity.command({**newest, "start": -1})
            upper = {f"<={entity.id_field}": entity.last_id_of(f"{name}_newest", 1)}
            counted = entity.request(upper, only_ids=True)
            commands[f"{name}_counted"] = entity.command({**counted, "start": 0})
        return commands

    def confirm_gone(self, entity: str, ids: Sequence[int]) -> list[int]:
        """All of them: pages that begin behind an id skip none."""
        return list(ids)

    def recount(self, cut: Cut, entities: Collection[str]) -> Cut:
        """The same cut with the named entities counted anew, up to the same ids.

        Raises:
            PortalError: the portal refuses or is not there.
        """
        commands = {}
        for name in entities:
            entity = self.lists[name]
            request = entity.request(
                {f"<={entity.id_field}": cut.reported[name].upper_id}, only_ids=True
            )
            commands[name] = entity.command({**request, "start": 0})
        reported = dict(cut.reported)
        for name, answer in self._ask(commands).items():
            if isinstance(answer, PortalError):
                raise answer
            before = reported[name]
            reported[name] = Reported(answer.total, before.upper_id, before.first_id)
        return replace(cut, reported=reported)

    def source(self, cut: Cut, tally: Tally, request: Request = Request()) -> DltSource:  # noqa: B008
        """The dlt source of one extraction; see `sources.bitrix24.source.bitrix24`."""
        return bitrix24(
            self._reading(),
            self.source_key,
            self.lists,
            self.smart_processes,
            cut,
            tally,
            request,
        )

    def ids(self, entity: str, upper_id: int) -> pa.Array:
        """All ids of an entity up to one, as the portal has them now; null where unreadable.

        Raises:
            PortalError: the portal refuses or is not there.
        """
        listed = self.lists[entity]
        upper = {f"<={listed.id_field}": upper_id}
        counted = self.client.call(
            listed.method, {**listed.request(upper, only_ids=True), "start": 0}
        )
        first = min(listed.ids(listed.rows(counted.result)), default=None)
        ranges = spans(0, upper_id, counted.total or 0, first)

        def parse(rows: list[Any], answer: Answer) -> pa.Table:
            return pa.table({"id": pa.array(map(listed.id_of, rows), pa.int64())})

        found: list[pa.ChunkedArray] = []
        for block in self._reading().read(listed, {}, ranges, parse, only_ids=True):
            if block is None:
                time.sleep(1.0)
            else:
                found.append(block.table.column("id"))
        chunks = [chunk for column in found for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.int64()).combine_chunks()

    def details(
        self, warehouse: duckdb.DuckDBPyConnection, limit: int, tally: Tally
    ) -> Mapping[str, list[Owner]] | None:
        """Owners whose details are due, at most `limit` of each kind; None where there are none."""
        due: dict[str, list[Owner]] = {}
        for detail in DETAILS:
            if detail.name in tally.refused or detail.name in tally.failed:
                continue
            # Refused in this load already, they are due still, for the next.
            passed = tally.refused_owners.get(detail.name, {})
            found = details.due(warehouse, detail, _SCHEMA, self.source_key, limit + len(passed))
            due[detail.name] = [o for o in found if (o.type, o.id) not in passed][:limit]
        return due if any(due.values()) else None

    def details_pending(self, warehouse: duckdb.DuckDBPyConnection) -> Mapping[str, Waiting]:
        """Owners whose details were not read, by entity."""
        return {
            detail.name: details.waiting(warehouse, detail, _SCHEMA, self.source_key)
            for detail in DETAILS
        }

    def forget_details(
        self,
        warehouse: duckdb.DuckDBPyConnection,
        entities: Collection[str],
        start: dt.datetime,
        end: dt.datetime,
    ) -> int:
        """Make details of these entities or of these owners, created in a window, due again."""
        wanted = set(entities)
        return sum(
            details.forget(warehouse, detail, _SCHEMA, self.source_key, start, end)
            for detail in DETAILS
            if wanted & {detail.name, *detail.owners}
        )

    def detail_source(self, due: Mapping[str, list[Owner]], tally: Tally) -> DltSource:
        """The dlt source of the details of these owners."""
        return bitrix24_details(self._reading(), self.source_key, due, tally)

    def close(self) -> None:
        """Let go of the reading threads."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _asked_for(self, dictionary: str) -> str:
        """Which rows of a dictionary this connection asks for; others were, by earlier rules."""
        if dictionary == "categories":
            types = ", ".join(map(str, (lists.DEAL, lists.INVOICE, *self.smart_processes)))
            return f"entity_type_id in ({types})"
        if dictionary == "statuses":
            asked = ["not starts_with(entity_id, 'DYNAMIC_')"]
            asked += [f"starts_with(entity_id, 'DYNAMIC_{n}_')" for n in self.smart_processes]
            return f"({' or '.join(asked)})"
        return "true"

    def _reading(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self.client)
        return self._reader

    def _ask(
        self, commands: Mapping[str, str], *, may_wait: bool = True
    ) -> dict[str, Answer | PortalError]:
        keys = list(commands)
        answers: dict[str, Answer | PortalError] = {}
        for first in range(0, len(keys), BATCH_SIZE):
            part = {key: commands[key] for key in keys[first : first + BATCH_SIZE]}
            answers |= self.client.batch_with_errors(part, may_wait=may_wait)
        return answers


def _condition(entity: IdList) -> str:
    if entity.table is not tables.SMART_ITEMS:
        return "true"
    return f"entity_type_id = {int(entity.constants['entityTypeId'])}"
