"""The demo's exchange as a real installation has it: its records in a MariaDB."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from orchestration.settings import Settings
from sources.demo.telephony.freepbx import COLUMNS
from tests.conftest import DemoRun
from tests.support.call_databases import CallDatabase, on_server
from tests.support.companies import dbt_build, load_exchange, warehouse
from tests.support.servers import mariadb

MERGED = (
    "stg_asterisk__cdr",
    "int_asterisk__call_legs",
    "int_pbx_call_legs",
    "int_pbx_calls",
    "int_calls_paired_by_id",
    "int_calls_to_pair",
    "int_calls_paired_by_phone",
    "int_calls_unified",
)
"""From the raw records to the calls of both."""
RECORDS = "* exclude (_dlt_load_id, received_at)"
"""What is the same in two loads of the same rows."""


def filled(database: CallDatabase, records: Path) -> None:
    with contextlib.closing(sqlite3.connect(records)) as connection:
        rows = connection.execute(f"select {', '.join(COLUMNS)} from cdr").fetchall()
    database.create(COLUMNS)
    database.insert_many([dict(zip(COLUMNS, row, strict=True)) for row in rows])


def differing(
    settings: Settings, other: Path, table: str, columns: str = "*"
) -> list[tuple[Any, ...]]:
    """Rows of a table that only one of two warehouses has."""
    rows = f"select {columns} from {{}}{table}"
    with warehouse(settings) as connection:
        connection.execute(f"attach '{other}' as other (read_only)")
        left, right = rows.format(""), rows.format("other.")
        counts = f"select (select count(*) from {table}), (select count(*) from other.{table})"
        mine, theirs = connection.execute(counts).fetchall()[0]
        assert mine == theirs > 15_000
        return connection.execute(
            f"({left} except all {right}) union all ({right} except all {left}) limit 5"
        ).fetchall()


def test_records_in_mariadb_give_the_same_calls_as_those_in_a_file(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    loaded = demo_run.settings.model_copy(update={"data_root": tmp_path / "loaded"})
    loaded.make_folders()
    with mariadb() as server:
        database = on_server(server, "mariadb", "asteriskcdrdb")
        filled(database, demo_run.exchange)
        load_exchange(loaded, database.url)
        database.engine.dispose()
    raw = "raw_telephony.asterisk_cdr"
    assert differing(loaded, demo_run.settings.warehouse, raw, RECORDS) == []

    # The warehouse of the demo with these records in place of those of the file.
    settings = demo_run.settings.model_copy(update={"data_root": tmp_path / "data"})
    settings.make_folders()
    shutil.copy(demo_run.settings.warehouse, settings.warehouse)
    with warehouse(settings, read_only=False) as connection:
        connection.execute(f"attach '{loaded.warehouse}' as loaded (read_only)")
        connection.execute(f"delete from {raw}")
        connection.execute(f"insert into {raw} by name from loaded.{raw}")
        for table in ("int_pbx_call_legs", "int_pbx_calls", "int_calls_unified"):
            connection.execute(f"delete from intermediate.{table}")
    dbt_build(settings, "--select", *MERGED, "--exclude-resource-type", "test", "unit_test")
    merged = "intermediate.int_calls_unified"
    assert differing(settings, demo_run.settings.warehouse, merged) == []
