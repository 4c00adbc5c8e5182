"""Every raw row stands in the marts or is counted with its reason, or a test names its list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration.systems import SYSTEMS, TELEPHONY
from tests.conftest import DemoRun

MAIN = "bitrix24:main"
CARRIERS = {
    "marts.dim_employees where employee_kind = 'person'": "users",
    "marts.dim_departments": "departments",
    "marts.dim_pipelines where is_listed and card_type = 'deal'": "categories",
    "marts.dim_stages where is_listed": "statuses",
    "marts.dim_products where is_listed": "products",
    "marts.dim_clients where client_type = 'contact' and not is_deleted": "contacts",
    "marts.dim_clients where client_type = 'company' and not is_deleted": "companies",
    "marts.fct_deal_products": "product_rows",
    "marts.fct_deadline_moves where not is_lower_bound": "task_history",
    "marts.fct_payments": "invoices",
    "marts.fct_leads": "leads",
    "marts.fct_tasks where entity = 'tasks'": "tasks",
    "intermediate.int_deals": "deals",
    "intermediate.int_comments": "timeline_comments",
    "intermediate.int_messages": "activities",
    "intermediate.int_custom_field_options": "custom_field_options",
    "intermediate.int_stage_entries where is_recorded and entity = 'stage_history'": (
        "stage_history"
    ),
    "intermediate.int_stage_entries where is_recorded and entity = 'lead_stage_history'": (
        "lead_stage_history"
    ),
    "intermediate.int_calls_unified where entity = 'calls'": "calls",
    "intermediate.int_calls_unified where entity = 'cdr'": "cdr",
}
"""What stands for the rows of a list of the demo company."""


@pytest.fixture
def copied(demo_run: DemoRun, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the demo warehouse that may be spoilt."""
    # Compiled SQL names the database, which is called as its file.
    path = shutil.copy(demo_run.settings.warehouse, tmp_path / demo_run.settings.warehouse.name)
    with duckdb.connect(str(path)) as connection:
        yield connection


def compiled(run: DemoRun, *path: str) -> str:
    folder = run.settings.dbt_target_dir / "compiled" / "callfunnel"
    return folder.joinpath(*path).read_text(encoding="utf-8")


def test_a_raw_row_that_nobody_counts_is_named_by_its_table(
    demo_run: DemoRun, copied: duckdb.DuckDBPyConnection
) -> None:
    found = compiled(demo_run, "expectations", "sql", "assert_every_raw_row_is_counted.sql")
    assert copied.execute(found).fetchall() == []
    schemas = {f"raw_{system}": raw for system, raw in SYSTEMS.items()}
    tables = [
        f"{schema}.{name}"
        for schema, raw in {**schemas, "raw_telephony": TELEPHONY}.items()
        for name in raw.received
    ]
    for table in tables:
        # One row more, of which no count knows.
        copied.execute(f"create table forgotten as select * from {table} limit 0")
        copied.execute(f"insert into forgotten by name select '{MAIN}' as source_key")
        copied.execute(f"create or replace table {table} as from {table} union all from forgotten")
        copied.execute("drop table forgotten")
    assert sorted(row[1] for row in copied.execute(found).fetchall()) == sorted(tables)


def test_a_row_that_is_missing_from_a_mart_is_named_by_its_list(
    demo_run: DemoRun, copied: duckdb.DuckDBPyConnection
) -> None:
    for carrier in CARRIERS:
        table, _, condition = carrier.partition(" where ")
        copied.execute(
            f"delete from {table} where rowid = "
            f"(select min(rowid) from {table} where {condition or 'true'})"
        )
    model = ("models", "intermediate", "quality", "int_reconciliation_by_entity.sql")
    missed = copied.execute(
        f"select entity, unexplained_marts_count from ({compiled(demo_run, *model)}) "
        "where unexplained_marts_count <> 0"
    ).fetchall()
    assert sorted(missed) == sorted((entity, 1) for entity in CARRIERS.values())


def test_every_list_of_the_demo_company_is_accounted_for(
    copied: duckdb.DuckDBPyConnection,
) -> None:
    odd = copied.execute(
        "select entity from intermediate.int_reconciliation_by_entity "
        "where (rows_held is null and rows_raw > 0) or (other_count > 0) <> (other_reason <> '')"
    ).fetchall()
    assert odd == []
