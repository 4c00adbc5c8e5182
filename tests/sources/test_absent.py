"""Systems that a company does not have: their raw tables are there, empty."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from sources.absent import make_raw_tables
from sources.amocrm.tables import TABLES
from sources.history import VersionedTable
from sources.pipelines import make_pipeline

USERS = VersionedTable("users", "user_versions", key=("id",), content=("name", "is_active"))
MARKS = pa.schema([pa.field("source_key", pa.string()), pa.field("id", pa.int64())])


def test_every_table_is_made_once_with_its_columns(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    pipeline = make_pipeline("amocrm", "none", warehouse=warehouse, pipelines_dir=tmp_path / "dlt")
    others = {"marks": (MARKS, ("source_key", "id"))}
    made = [make_raw_tables(pipeline, "amocrm", TABLES.values(), [USERS], others) for _ in range(2)]
    assert made == [True, False]
    with duckdb.connect(str(warehouse)) as connection:
        columns: dict[str, set[str]] = {}
        for table, column in connection.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = 'raw_amocrm'"
        ).fetchall():
            columns.setdefault(table, set()).add(column)
        rows = {
            name: connection.execute(f"select count(*) from raw_amocrm.{name}").fetchall()
            for name in columns
            if not name.startswith("_dlt")
        }
    for name, table in TABLES.items():
        assert set(table.schema.names) <= columns[name], name
    assert {"first_seen_at", "is_active"} <= columns["user_versions"]
    others_made = {"marks", "quarantine", "load_log", "deleted_records", "user_versions"}
    assert rows.keys() == {*TABLES, *others_made}
    assert set(map(tuple, rows.values())) == {((0,),)}
