"""Databases of calls: a server of each kind once per process, a new database for every test.

Clients of providers wait for nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.call_databases import CallDatabase, MakeDatabase, in_file, on_server
from tests.support.servers import Server, mariadb, postgresql

_NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds the clients wanted to sleep; they do not."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    return slept


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    with mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    with postgresql() as server:
        yield server


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
    made: list[CallDatabase] = []

    def make(kind: str) -> CallDatabase:
        number = next(_NUMBERS)
        if kind == "sqlite":
            database = in_file(tmp_path / "databases" / f"calls_{number}.db")
        else:
            server = request.getfixturevalue(f"{kind}_server")
            database = on_server(server, kind, f"calls_{number}")
        made.append(database)
        return database

    yield make
    for database in made:
        database.engine.dispose()


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, make_database: MakeDatabase) -> CallDatabase:
    return make_database(request.param)
