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
import pytest

from sources.demo.store import PortalStore
from tests.conftest import CANARY, DemoRun
from tests.support.leaks import Contacts, in_file, in_relation, last_digits


@pytest.fixture(scope="module")
def contacts(demo_run: DemoRun) -> Contacts:
    """Every number and e-mail that the portal and the exchange know, but for the company's own."""
    with PortalStore(demo_run.store, read_only=True) as store:
        numbers = {
            row[0] for row in store.query("select PHONE_NUMBER from call where PHONE_NUMBER <> ''")
        }
    with contextlib.closing(sqlite3.connect(demo_run.exchange)) as records:
        numbers |= {
            row[0]
            for row in records.execute(
                "select src from cdr where did <> '' union select dst from cdr where did = ''"
            )
        }
    e_mails: set[str] = set()
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        for table in ("contacts", "companies", "leads"):
            for column, pattern, into in (
                ("phone", r"\+?[\d ()-]{10,}", numbers),
                ("email", r"[\w.+-]+@[\w.-]+", e_mails),
            ):
                into |= {
                    row[0]
                    for row in connection.execute(
                        f"select unnest(regexp_extract_all({column}::varchar, ?)) "
                        f"from raw_bitrix24.{table}",
                        [pattern],
                    ).fetchall()
                }
        own = connection.execute("select distinct line from marts.fct_calls").fetchall()
    assert len(e_mails) > 1000
    found = last_digits(numbers) - last_digits(line for (line,) in own)
    assert len(found) > 2000
    return Contacts(found, frozenset(one.lower().encode() for one in e_mails), (CANARY.encode(),))


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


def test_no_table_of_the_published_database_names_a_client(demo_run: DemoRun) -> None:
    database = demo_run.settings.published_dir / "current" / "marts_demo.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{demo_run.settings.warehouse}' as warehouse (read_only)")
        connection.execute(f"attach '{database}' as published (read_only)")
        # Invented people share their names with invented employees now and then.
        connection.execute(
            "create table names as select distinct client_name as name "
            "from warehouse.marts.dim_clients where length(client_name) > 5 and client_name "
            "not in (select employee_name from warehouse.marts.dim_employees)"
        )
        assert connection.execute("select count(*) > 500 from names").fetchone() == (True,)
        columns = connection.execute(
            "select table_name, column_name from duckdb_columns() "
            "where database_name = 'published' and data_type = 'VARCHAR'"
        ).fetchall()
        for table, column in columns:
            found = connection.execute(
                f'select told."{column}" from published.marts."{table}" as told '
                f'semi join names on told."{column}" = names.name limit 1'
            ).fetchone()
            assert found is None, (table, column, found)


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
    number = min(contacts.numbers).decode()
    told = f"call 8 ({number[:3]}) {number[3:6]}-{number[6:8]} {number[8:]}, {CANARY}"
    assert len(list(contacts.found_in(told.encode()))) == 2
