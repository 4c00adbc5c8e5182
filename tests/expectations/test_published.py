"""Suites of published tables: made from dbt's manifest, each figure fires, and pages tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetKey,
    DagsterInstance,
    TableMetadataValue,
)

from expectations.data_docs import BUILDS_KEPT, data_docs_page, write_data_docs
from expectations.outcomes import OFFENDERS_SHOWN
from expectations.place import NoManifest, Place, place_of
from expectations.runner import Judgement, failed_bounds, judge
from expectations.suites.boundary import Bound, Boundary
from expectations.suites.published import check_name, published_boundaries
from orchestration.publishing.tables import published_tables
from tests.conftest import DemoRun
from tests.support.companies import asked

COLUMNS = {
    "dim_employees": {
        "employee_key": "bigint",
        "former_from_on": "date",
        "current_reporting_key": "bigint",
    },
    "fct_things": {
        "thing_key": "bigint",
        "started_on": "date",
        "reporting_employee_key": "bigint",
        "current_reporting_employee_key": "bigint",
        "talk_seconds": "integer",
        "won_share": "double",
        "growth_share": "double",
        "amount": "decimal(18,2)",
        "hidden_employee_key": "bigint",
    },
}
TESTS = (
    ("unique", "thing_key", "fct_things", ""),
    ("not_null", "started_on", "fct_things", ""),
    ("relationships", "reporting_employee_key", "fct_things", "dim_employees"),
)
GOOD = {
    "thing_key": "1",
    "started_on": "date '2026-03-02'",
    "reporting_employee_key": "7",
    "current_reporting_employee_key": "8",
    "talk_seconds": "0",
    "won_share": "1.0",
    "growth_share": "-3.5",
    "amount": "-5",
    "hidden_employee_key": "9",
}
"""Employee 7 left on 3 March and is folded into 8 since; 9 is nobody that reports may name."""
FAULTS = {
    "duplicate_keys_count": {},
    "missing_count": {"thing_key": "2", "started_on": "null"},
    "negative_count": {"thing_key": "2", "talk_seconds": "-1"},
    "impossible_share_count": {"thing_key": "2", "won_share": "1.01"},
    "orphans_count": {"thing_key": "2", "reporting_employee_key": "99"},
    "former_named_count": {"thing_key": "2", "started_on": "date '2026-03-03'"},
    "former_named_now_count": {"thing_key": "2", "current_reporting_employee_key": "7"},
}


def manifest() -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for table, columns in COLUMNS.items():
        nodes[f"model.{table}"] = {
            "resource_type": "model",
            "schema": "marts",
            "name": table,
            "alias": table,
            "columns": {
                name: {
                    "name": name,
                    "data_type": kind,
                    "config": {"meta": {"is_hidden": name.startswith("hidden")}},
                }
                for name, kind in columns.items()
            },
        }
    for name, column, table, to in TESTS:
        models = [f"model.{one}" for one in (table, to) if one]
        nodes[f"test.{name}"] = {
            "resource_type": "test",
            "schema": "tests",
            "name": name,
            "column_name": column,
            "attached_node": f"model.{table}",
            "test_metadata": {"name": name, "kwargs": {"field": "employee_key"}},
            "config": {"where": None},
            "depends_on": {"nodes": models},
        }
    return {"nodes": nodes}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("create schema marts")
        for table, columns in COLUMNS.items():
            listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            opened.execute(f"create table marts.{table} ({listed})")
        opened.execute(
            "insert into marts.dim_employees values (7, '2026-03-03', 8), (8, null, 8), "
            "(9, null, 8)"
        )
        add(opened, {})
        yield opened


def add(connection: duckdb.DuckDBPyConnection, changed: dict[str, str]) -> None:
    connection.execute(
        f"insert into marts.fct_things values ({', '.join((GOOD | changed).values())})"
    )


def failures(connection: duckdb.DuckDBPyConnection, table: str = "fct_things") -> set[str]:
    suites = {boundary.table: boundary for boundary in published_boundaries(manifest())}
    return set(failed_bounds(connection, suites[table]))


def test_good_rows_and_no_rows_pass(connection: duckdb.DuckDBPyConnection) -> None:
    assert failures(connection) == failures(connection, "dim_employees") == set()
    connection.execute("delete from marts.fct_things")
    assert failures(connection) == set()


@pytest.mark.parametrize("bound", FAULTS)
def test_the_figure_fires_and_no_other(connection: duckdb.DuckDBPyConnection, bound: str) -> None:
    add(connection, FAULTS[bound])
    assert failures(connection) == {bound}


def test_every_figure_has_a_fault() -> None:
    bounds = {b.column for suite in published_boundaries(manifest()) for b in suite.bounds}
    assert bounds == {*FAULTS, "wrong_columns_count"}


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("alter table marts.fct_things alter amount type double", 1),
        ("alter table marts.fct_things add column surprise text", 1),
        ("alter table marts.fct_things drop column won_share", 1),
        ("alter table marts.fct_things rename thing_key to id", 2),
        ("drop table marts.fct_things", len(COLUMNS["fct_things"])),
    ],
)
def test_a_table_of_another_shape_is_told_also_where_nothing_else_can_be_judged(
    connection: duckdb.DuckDBPyConnection, change: str, count: int
) -> None:
    connection.execute(change)
    (suite,) = (one for one in published_boundaries(manifest()) if one.table == "fct_things")
    assert failed_bounds(connection, suite) == {"wrong_columns_count": count}


def test_every_published_table_has_a_suite_that_holds(demo_run: DemoRun) -> None:
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        place = place_of(connection)
        suites = published_boundaries(place.manifest())
        failed = {one.name: found for one in suites if (found := failed_bounds(connection, one))}
    published = {(table.schema, table.name) for table in published_tables(place.manifest())}
    assert {(suite.schema, suite.table) for suite in suites} == published
    assert failed == {}
    # Nothing that must hold stays unsaid: each has keys, and all but a few more than keys.
    assert all("duplicate_keys_count" in {b.column for b in suite.bounds} for suite in suites)


def test_the_checks_lead_to_pages_without_a_word_to_other_hosts(demo_run: DemoRun) -> None:
    place = Place(demo_run.settings.data_dir)
    index = data_docs_page(place.data_docs, 1)
    told = index.read_text()
    suites = {check_name(table.name) for table in published_tables(place.manifest())}
    assert suites <= set(re.findall(r'href="(\w+)\.html"', told))
    page = data_docs_page(place.data_docs, 1, check_name("fct_calls")).read_text()
    assert "call_key is unique." in page
    for text in (told, page, (place.data_docs / "index.html").read_text()):
        assert not re.search(r"https?://|<script|<link|<img", text)


def test_a_check_leads_to_its_page(demo_run: DemoRun) -> None:
    place = Place(demo_run.settings.data_dir)
    expected = {
        (("marts", "fct_calls"), check_name("fct_calls")): check_name("fct_calls"),
        # A rule, which has no page of its own.
        (("marts", "fct_deals"), "every_won_deal_has_an_amount"): "index",
    }
    for (table, name), page in expected.items():
        told = evaluation(demo_run, table, name).metadata
        path = Path(str(told["data_docs_path"].value))
        assert path.relative_to(path.parents[1]) == Path("build-1") / f"{page}.html"
        assert str(told["data_docs"].value) == path.as_uri()
    assert data_docs_page(place.data_docs, 1).exists()


def evaluation(demo_run: DemoRun, table: tuple[str, str], name: str) -> AssetCheckEvaluation:
    """What Dagster keeps of the newest evaluation of a check."""
    with DagsterInstance.from_config(str(demo_run.dagster_home)) as instance:
        key = AssetCheckKey(AssetKey(["demo", *table]), name)
        record = instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def test_a_failed_check_shows_its_first_offenders_and_counts_all(demo_run: DemoRun) -> None:
    told = evaluation(demo_run, ("marts", "fct_tasks"), "no_closed_card_has_open_tasks")
    found = asked(
        demo_run.settings,
        "select record_id, coalesce(culprit_name, ''), coalesce(responsible_name, ''), card_url, "
        "remedy || '.' from marts.fct_data_quality_issues "
        "where rule_id = 'Q20' and closed_at is null",
    )
    assert len(found) > OFFENDERS_SHOWN, "the demo company has too few to see the cap"
    table = told.metadata["offenders"]
    assert isinstance(table, TableMetadataValue)
    rows = [record.data for record in table.records]
    assert (told.metadata["offenders_count"].value, len(rows)) == (len(found), OFFENDERS_SHOWN)
    assert (told.passed, told.severity) == (False, AssetCheckSeverity.WARN)
    assert told.description == found[0][4]
    known = {one[:4] for one in found}
    assert {(one["record"], one["culprit"], one["owner"], one["link"]) for one in rows} <= known
    assert all(str(one["link"]).startswith("http") and one["sentence"] for one in rows)


def test_a_check_tells_whom_it_names_from_who_is_to_mend_it(demo_run: DemoRun) -> None:
    told = evaluation(
        demo_run, ("marts", "fct_deals"), "no_open_card_belongs_to_a_dismissed_employee"
    )
    table = told.metadata["offenders"]
    assert isinstance(table, TableMetadataValue)
    people = {(one.data["culprit"], one.data["owner"]) for one in table.records}
    # Two who have left, and the head of their department (sources/demo).
    assert people == {
        ("Сергей Ковалёв", "Дмитрий Лебедев"),
        ("Алексей Карпов", "Дмитрий Лебедев"),
    }


def test_a_blocking_check_is_an_error_and_says_what_holds(demo_run: DemoRun) -> None:
    told = evaluation(demo_run, ("marts", "fct_deals"), "source_raw_and_marts_hold_the_same_rows")
    assert (told.passed, told.severity) == (True, AssetCheckSeverity.ERROR)
    assert told.metadata["offenders_count"].value == 0
    # In the demo company's language; lists without a count are named.
    assert (told.description or "").startswith("В источнике")
    assert "нельзя проверить, сколько там строк: " in (told.description or "")


def test_a_warehouse_without_its_manifest_is_not_judged(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        place = place_of(connection)
    assert place.data_docs == tmp_path / "quality"
    with pytest.raises(NoManifest, match="materialise the models again"):
        place.manifest()


@pytest.fixture
def judgements(connection: duckdb.DuckDBPyConnection) -> list[Judgement]:
    bounds = (Bound("odd_count", "nothing is odd <b>", maximum=0), Bound("none", "x", maximum=0))
    return [
        judge(
            connection,
            Boundary(
                name, "marts", "fct_things", f"select {odd} as odd_count, null as none", bounds
            ),
        )
        for name, odd in (("all_is_well", 0), ("z_is_odd", 3))
    ]


def test_pages_name_what_failed_first_and_what_was_observed(
    tmp_path: Path, judgements: list[Judgement]
) -> None:
    write_data_docs(tmp_path, 4, judgements)
    index = data_docs_page(tmp_path, 4).read_text()
    assert index.index("z_is_odd") < index.index("all_is_well")
    assert "2 suites, 1 failed" in index
    assert "odd_count 3" in index
    page = data_docs_page(tmp_path, 4, "z_is_odd").read_text()
    assert "nothing is odd" in page
    assert re.search(r">\s*3\s*<", page)


def test_the_pages_of_the_oldest_builds_go(tmp_path: Path, judgements: list[Judgement]) -> None:
    for number in range(1, BUILDS_KEPT + 3):
        write_data_docs(tmp_path, number, judgements[:1])
    kept = {path.name for path in tmp_path.glob("build-*")}
    assert kept == {f"build-{number}" for number in range(3, BUILDS_KEPT + 3)}
    listed = re.findall(r"Build (\d+)<", (tmp_path / "index.html").read_text())
    assert [int(number) for number in listed] == list(range(BUILDS_KEPT + 2, 2, -1))


def test_a_build_that_is_judged_again_replaces_its_pages(
    tmp_path: Path, judgements: list[Judgement]
) -> None:
    write_data_docs(tmp_path, 1, judgements)
    write_data_docs(tmp_path, 1, judgements[:1])
    assert not data_docs_page(tmp_path, 1, "z_is_odd").exists()
    assert data_docs_page(tmp_path, 1, "all_is_well").exists()


def test_pages_that_can_not_be_written_stop_nothing(
    tmp_path: Path, judgements: list[Judgement], caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "quality"
    blocked.write_text("a file where a folder belongs")
    write_data_docs(blocked, 1, judgements)
    assert "could not be written" in caplog.text
