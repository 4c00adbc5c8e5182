"""Telephony connections of test companies, loaded as the product does it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestration.connections import connector_of, find_connection
from orchestration.settings import Settings
from sources.backfill import backfill_connection
from sources.demo.telephony.freepbx import COLUMNS
from sources.loading import ConnectionLoad, load_connection
from sources.telephony.connector import PbxConnector
from tests.support.companies import make_company, pipeline_of, warehouse
from tests.support.servers import Server

FULL_COLUMNS: Mapping[str, str] = {**COLUMNS, "calldate": "datetime"}
"""The table as FreePBX makes it, but for rows without a time, which tests plant."""
OLD_COLUMNS = {
    name: kind
    for name, kind in FULL_COLUMNS.items()
    if name not in ("did", "recordingfile", "cnum", "cnam", "outbound_cnum", "outbound_cnam")
    and name not in ("dst_cnam", "linkedid", "peeraccount", "sequence")
}
"""The table as Asterisk's own page makes it."""


@dataclass
class CallDatabase:
    """A database of calls that tests write to."""

    kind: str
    url: str
    engine: sa.Engine

    def create(self, columns: Mapping[str, str], table: str = "cdr") -> None:
        """Make a table; `datetime` is what the database calls it."""
        of_kind = {"postgresql": {"datetime": "timestamp"}}.get(self.kind, {})
        listed = ", ".join(f"{name} {of_kind.get(kind, kind)}" for name, kind in columns.items())
        ending = " engine=InnoDB default charset=utf8mb4" if self.kind == "mariadb" else ""
        self.execute(f"create table {table} ({listed}){ending}")
        if "calldate" in columns:
            self.execute(
                f"create index calldate_of_{table.rpartition('.')[2]} on {table} (calldate)"
            )

    def insert(self, *rows: Mapping[str, Any], table: str = "cdr") -> None:
        """Add rows."""
        with self.engine.begin() as connection:
            for row in rows:
                names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
                statement = f"insert into {table} ({names}) values ({marks})"
                connection.execute(sa.text(statement), row)

    def insert_many(self, rows: Sequence[Mapping[str, Any]], table: str = "cdr") -> None:
        """Add rows of the same columns, at once."""
        names, marks = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
        with self.engine.begin() as connection:
            statement = sa.text(f"insert into {table} ({names}) values ({marks})")
            connection.execute(statement, list(rows))

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement, at once."""
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)


def on_server(server: Server, kind: str, name: str) -> CallDatabase:
    """A new database of a server, with a user that may only read it."""
    server.execute(f"create database {name}", database="postgres" if kind == "postgresql" else "")
    if kind == "mariadb":
        server.execute(
            f"create or replace user reader@'127.0.0.1' identified by '{READER}'",
            f"grant select on {name}.* to reader@'127.0.0.1'",
        )
    else:
        server.execute(
            f"do $$ begin create user reader password '{READER}'; "
            "exception when duplicate_object then null; end $$",
            "alter default privileges grant select on tables to reader",
            database=name,
        )
    engine = sa.create_engine(server.url(name), poolclass=sa.NullPool)
    url = server.url(name, user="reader", password=READER)
    return CallDatabase(kind, url.render_as_string(hide_password=False), engine)


READER = "re@der:9"
"""The password of the user that only reads."""


def in_file(path: Path) -> CallDatabase:
    """A SQLite file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    return CallDatabase("sqlite", f"sqlite:///{path}", engine)


@dataclass
class Pbx:
    """A company with telephony connections, and its secrets in the environment."""

    settings: Settings
    monkeypatch: pytest.MonkeyPatch

    def set_url(self, url: str, connection: str = "asterisk:main") -> None:
        """Put the address of a connection's database where the secrets are looked for."""
        system, _, name = connection.partition(":")
        variable = f"SOURCES__{system}__{self.settings.company}__{name}__DATABASE_URL".upper()
        self.monkeypatch.setenv(variable, url)

    def connector(self, connection: str = "asterisk:main") -> PbxConnector:
        """The connector, as the product makes it."""
        found = connector_of(self.settings, find_connection(self.settings, connection))
        assert isinstance(found, PbxConnector)
        return found

    def load(self, connection: str = "asterisk:main") -> ConnectionLoad:
        """One load of one connection."""
        system, _, name = connection.partition(":")
        return load_connection(pipeline_of(self.settings, name, system), self.connector(connection))

    def backfill(
        self, start: dt.datetime, end: dt.datetime, connection: str = "asterisk:main"
    ) -> Mapping[str, int]:
        """Read a window again."""
        system, _, name = connection.partition(":")
        pipeline = pipeline_of(self.settings, name, system)
        return backfill_connection(pipeline, self.connector(connection), (), start, end)

    def raw(self, sql: str) -> list[Any]:
        """Rows of the company's `raw_telephony`, instants in UTC without a zone."""
        with warehouse(self.settings) as connection:
            connection.execute("set schema = 'raw_telephony'")
            return [
                tuple(
                    value.astimezone(dt.UTC).replace(tzinfo=None)
                    if isinstance(value, dt.datetime) and value.tzinfo
                    else value
                    for value in row
                )
                for row in connection.execute(sql).fetchall()
            ]


def make_pbx(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    connections: Sequence[str] = ("asterisk:main",),
    *,
    name: str = "testco",
    zone: str = "Europe/Kyiv",
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Pbx:
    """A company with a CRM and telephony connections; `options` are their rules."""
    settings = make_company(root, name, ["main", *connections], zone, options=options)
    settings.make_folders()
    return Pbx(settings, monkeypatch)


def leg(uniqueid: str, calldate: dt.datetime | str, **fields: Any) -> dict[str, Any]:
    """A row of an Asterisk's table: an answered call of 90 seconds."""
    return {
        "uniqueid": uniqueid,
        "calldate": calldate,
        "src": "0501112233",
        "dst": "101",
        "channel": "PJSIP/trunk-1",
        "dstchannel": "PJSIP/101-2",
        "duration": 90,
        "billsec": 80,
        "disposition": "ANSWERED",
        **fields,
    }


MakeDatabase = Callable[[str], CallDatabase]
