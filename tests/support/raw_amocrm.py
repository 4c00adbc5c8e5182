"""Many accounts in one warehouse, each under its own source key, without a load per account.

The rows are printed by the account's own code, asked for by the source's readers and parsed by its
parser; only HTTP and dlt are left out, which have their own tests. A test compares what is written
with what a load leaves. Hundreds of accounts then cost one dbt build, and 30 ms each.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import duckdb
import pyarrow as pa
from starlette.routing import compile_path

from sources.amocrm import TABLES, AmoConnector, AmoError
from sources.amocrm.client import Answer
from sources.amocrm.dictionaries import Dictionaries
from sources.amocrm.errors import amo_error
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.history import VERSIONED
from sources.amocrm.lister import unix
from sources.amocrm.paging import PageReader
from sources.amocrm.windows import EventReader
from sources.bookkeeping import Books, EntityLoad
from sources.connection import Cut, Entity, Tally
from sources.demo.amocrm.methods import METHODS
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.problems import Problem
from sources.demo.amocrm.store import AmoStore
from sources.demo.amocrm.views import Request
from sources.demo.parameters import parse_query
from sources.extraction import QUARANTINE_SCHEMA
from sources.history import VersionedTable
from sources.web import listed, php_query
from tests.support.raw_tables import create_table

SCHEMA = "raw_amocrm"
_ADDRESSES = {path: compile_path(f"/{path}") for path in METHODS}


def write_raw_amocrm(
    connection: duckdb.DuckDBPyConnection,
    accounts: Mapping[str, AmoStore],
    *,
    without_users: Collection[str] = (),
) -> None:
    """Create `raw_amocrm` as one finished load of each account leaves it.

    Args:
        connection: the warehouse; it has no such tables yet.
        accounts: by source key, `amocrm:<connection>`; none makes the tables empty.
        without_users: source keys whose access is not an administrator's.
    """
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create schema if not exists {SCHEMA}")
    reads = [
        _Read(key, AmoPortal(store, is_admin=key not in without_users))
        for key, store in accounts.items()
    ]
    for name, table in TABLES.items():
        parts = [part for read in reads for part in read.parts[name]]
        rows = pa.concat_tables([table.schema.empty_table(), *parts])
        create_table(connection, f"{SCHEMA}.{name}", rows, table.json_columns)
    refused = [QUARANTINE_SCHEMA.empty_table(), *(read.extraction.refused() for read in reads)]
    create_table(connection, f"{SCHEMA}.quarantine", pa.concat_tables(refused))
    for versioned in VERSIONED:
        _create_versions(connection, versioned)
    Books(connection, SCHEMA, "")  # makes its tables, whoever's they are
    connection.begin()
    for read in reads:
        Books(connection, SCHEMA, read.source_key).write_log(read.cut.at, read.loads())
    connection.commit()


def clock_of(store: AmoStore) -> dt.datetime:
    """The account's now as its answers tell it, in whole seconds: cut and moment of receipt."""
    return store.clock.replace(microsecond=0)


class _Client:
    """Answers as `AmoClient` does, straight from an account."""

    host = "account.example"

    def __init__(self, portal: AmoPortal, connection: str) -> None:
        self.connection = connection
        self._portal = portal

    def get(
        self, path: str, parameters: Mapping[str, Any] | None = None, form: Any = None
    ) -> Answer:
        """One document or one page."""
        address, places = _address(path)
        request = Request(
            self._portal.store,
            f"https://{self.host}",
            path,
            parse_query(php_query(parameters or {})),
            places,
        )
        at = clock_of(self._portal.store)
        refused = None
        try:
            body = self._portal.answer(address, request, {})
        except Problem as problem:
            refused = amo_error(self.host, self.connection, path, problem.status, problem.body())
        if refused is not None:
            raise refused
        if body is None:
            return Answer({}, [], has_next=False, server_now=at)
        rows = listed(body.get("_embedded", {}), path.rpartition("/")[2])
        return Answer(body, rows, "next" in body["_links"], at)


def _address(path: str) -> tuple[str, dict[str, Any]]:
    """The method at an address, and what stands in its places."""
    if path in METHODS:
        return path, {}
    for address, (pattern, _, convertors) in _ADDRESSES.items():
        if found := pattern.match(f"/{path}"):
            places = found.groupdict().items()
            return address, {name: convertors[name].convert(text) for name, text in places}
    raise KeyError(path)


class _Read:
    """What a first load reads of one account.

    Attributes:
        parts: rows by raw table.
    """

    def __init__(self, source_key: str, portal: AmoPortal) -> None:
        name = source_key.partition(":")[2]
        self.source_key = source_key
        self.parts: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
        self.tally = Tally()
        client: Any = _Client(portal, name)
        self._connector = AmoConnector(client, name)
        self.cut: Cut = self._connector.cut()
        reader = PageReader(client)
        self.extraction = AmoExtraction(reader, source_key, self.tally)
        try:
            self._dictionaries()
            self._lists(reader)
            self._events(reader)
        finally:
            reader.close()

    def loads(self) -> list[EntityLoad]:
        """The reconciliation of a load that has read everything it may."""
        return [self._load(entity) for entity in self._connector.entities]

    def _dictionaries(self) -> None:
        for name, read in Dictionaries(self.extraction).readers.items():
            try:
                self.parts[name] += read()
            except AmoError as error:
                if not error.is_refusal:
                    raise
                self.tally.refused[name] = str(error)

    def _lists(self, reader: PageReader) -> None:
        for name, entity in self._connector.lists.items():
            # One lane: of an account that stands still every row comes once.
            for answer in reader.backwards(entity.listing(), lanes=1):
                if answer.rows:
                    rows = entity.rows(answer.rows)
                    at = answer.server_now
                    parsed = self.extraction.parse(entity.table, rows, at, name)
                    self.parts[entity.table.name].append(parsed)

    def _events(self, reader: PageReader) -> None:
        table, tally = TABLES["events"], self.tally
        for window in EventReader(reader).read(0, unix(self.cut.at)):
            count = tally.reported.get(table.name, 0) + len(window.rows)
            tally.reported[table.name] = count
            at = window.received_at
            self.parts[table.name].append(self.extraction.parse(table, window.rows, at, table.name))

    def _load(self, entity: Entity) -> EntityLoad:
        name, tally = entity.name, self.tally
        found = self.cut.reported.get(name)
        received, quarantined = tally.received.get(name, 0), tally.quarantined.get(name, 0)
        is_compared = found is not None or name in tally.reported or not entity.is_listed
        problem = tally.refused.get(name)
        return EntityLoad(
            name,
            entity.table,
            upper_id=None if found is None else found.upper_id,
            rows_reported=tally.reported.get(name),
            rows_received=received,
            rows_quarantined=quarantined if is_compared else 0,
            rows_raw=received - quarantined,
            complete_up_to=None if problem else self.cut.at,
            problem=problem,
        )


def _create_versions(connection: duckdb.DuckDBPyConnection, table: VersionedTable) -> None:
    """The first version of everything: what `observe` makes of a first load."""
    columns = ", ".join(("source_key", *table.key, *table.content, *table.refreshed))
    connection.execute(
        f"create table {SCHEMA}.{table.versions} as "
        f"select {columns}, received_at as first_seen_at, received_at as last_seen_at "
        f"from {SCHEMA}.{table.table} where {table.condition}"
    )
