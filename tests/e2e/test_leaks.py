"""Nobody who reads BI, Dagster or the files beside them meets a client's number or address.

Exempt are the places that hold the CRM's records as they are, for whoever runs the pipeline alone:
the warehouse, the archive, the stand-in portal and exchange of the demo company, and the registers
with numbers to dial. The search itself is held against one of them.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import sqlite3
import zlib
from pathlib import Path

import duckdb

from tests.conftest import CANARY, DemoRun
from tests.support.leaks import Contacts, in_file, in_relation, in_sqlite, names_in


def _readable_files(demo_run: DemoRun) -> list[Path]:
    data = demo_run.settings.data_dir
    exempt = {
        demo_run.settings.warehouse,
        demo_run.settings.archive_dir,
        demo_run.store,
        demo_run.exchange,
        *data.glob("portal.sqlite-*"),
    }
    found = []
    for root in (data, demo_run.dagster_home):
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if Path(folder) / name not in exempt]
            found += [Path(folder) / name for name in files if Path(folder) / name not in exempt]
    return [path for path in found if path.is_file() and path.suffix != ".duckdb"]


def test_no_file_beside_the_warehouse_holds_a_contact_or_a_secret(
    demo_run: DemoRun, contacts: Contacts
) -> None:
    files = _readable_files(demo_run)
    kinds = {path.suffix for path in files}
    assert kinds >= {".parquet", ".json", ".log", ".db", ".html"}, kinds
    found = {str(path): told[:3] for path in files if (told := in_file(path, contacts))}
    assert found == {}


def test_no_table_of_the_published_database_holds_a_contact(
    demo_run: DemoRun, contacts: Contacts
) -> None:
    database = demo_run.settings.published_dir / "current" / "marts_demo.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables()").fetchall()
        assert len(tables) > 80
        found = {
            name: told[:3]
            for (name,) in tables
            if (told := in_relation(f"marts.{name}", contacts, connection))
        }
    assert found == {}


def test_no_table_of_the_published_database_names_a_client(
    demo_run: DemoRun, names: frozenset[tuple[str, str]]
) -> None:
    """Neither as a value nor within a title, a sentence or a comment."""
    database = demo_run.settings.published_dir / "current" / "marts_demo.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, column_name from duckdb_columns() "
            "where data_type = 'VARCHAR' and schema_name = 'marts'"
        ).fetchall()
        assert len(columns) > 300
        found = {
            (table, column): told[:3]
            for table, column in columns
            if (told := _named_in(connection, f"marts.{table}", column, names))
        }
    assert found == {}


def test_the_same_search_finds_names_in_titles(
    demo_run: DemoRun, names: frozenset[tuple[str, str]]
) -> None:
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        assert _named_in(connection, "marts.dim_clients", "client_name", names)
    one, other = min(names)
    assert names_in(f"Order of {other.title()} {one.title()}, 5 roofs", names)
    assert not names_in(f"{one} and {other}", names)


def _named_in(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    column: str,
    names: frozenset[tuple[str, str]],
) -> list[tuple[str, str]]:
    rows = connection.execute(
        f'select distinct "{column}" from {table} where "{column}" like \'% %\''
    ).fetchall()
    return [name for (text,) in rows for name in names_in(text, names)]


def test_the_same_search_finds_them_where_they_are(
    demo_run: DemoRun, contacts: Contacts, tmp_path: Path
) -> None:
    told = b"call " + min(contacts.numbers)
    (tmp_path / "a.log").write_bytes(told)
    (tmp_path / "a.gz").write_bytes(gzip.compress(told))
    (tmp_path / "a.typed-jsonl").write_bytes(zlib.compress(told))
    archived = [
        path
        for table in ("lead_versions", "contact_versions", "asterisk_cdr")
        for path in demo_run.settings.archive_dir.rglob(f"*/{table}/**/*.parquet")
    ]
    for path in (demo_run.store, *sorted(tmp_path.iterdir())):
        assert in_file(path, contacts), path.name
    assert any(in_file(path, contacts) for path in archived)
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        calls = in_relation("marts.fct_calls", contacts, connection)
        leads = in_relation("raw_bitrix24.leads", contacts, connection)
    assert {one.split(":")[0] for one in calls} >= {"phone_e164", "recording_url"}
    assert any("@" in one for one in leads)
    # On whichever page of the database the number begins, and ends.
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("create table told (text text)")
        database.executemany(
            "insert into told values (?)",
            [(f"{'x' * length} {min(contacts.numbers).decode()}",) for length in range(8000, 8200)],
        )
        database.commit()
    assert len(in_sqlite(tmp_path / "a.db", contacts)) == 200
    number = min(contacts.numbers).decode()
    told = f"call 8 ({number[:3]}) {number[3:6]}-{number[6:8]} {number[8:]}, {CANARY}"
    assert len(list(contacts.found_in(told.encode()))) == 2
