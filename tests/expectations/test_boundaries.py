"""Every bound of every boundary suite fires on bad data and is silent on good and on no data."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.outcomes import BOUNDARIES
from expectations.runner import failed_bounds

# Per table: its columns, a good row, and per bound the rows that break it.
TABLES: dict[str, tuple[str, str]] = {
    "raw_bitrix24.deals": (
        "source_key text, id bigint, date_create timestamp, stage_id text",
        "('k', 1, now(), 'NEW')",
    ),
    "raw_bitrix24.stage_history": (
        "source_key text, id bigint, owner_id bigint, created_time timestamp, type_id bigint",
        "('k', 1, 1, now(), 2)",
    ),
    "raw_bitrix24.calls": (
        "source_key text, id bigint, call_start_date timestamp, call_type bigint, "
        "call_duration bigint",
        "('k', 1, now(), 1, 60)",
    ),
    "raw_bitrix24.users": ("source_key text, id bigint", "('k', 1)"),
    "marts.fct_calls": (
        "talk_seconds bigint, total_seconds bigint, match_method text, is_successful boolean, "
        "is_answered boolean, reporting_employee_key bigint, started_on date",
        "(60, 60, 'bound_deal', true, true, 1, date '2026-03-02')",
    ),
    "marts.dim_employees": ("employee_key bigint, former_from_on date", "(1, date '2026-03-03')"),
    "marts.fct_stage_visits": ("duration_seconds decimal(18, 3)", "(10)"),
    "marts.fct_deals": (
        "created_at timestamp, closed_at timestamp, deal_state text",
        "(now(), now(), 'won')",
    ),
    "metrics.metric_call_load__by_stage": (
        "calls_count bigint, answered_count bigint, talk_seconds_mean double",
        "(2, 1, 30.0)",
    ),
}
FAULTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("raw_bitrix24.deals", "duplicate_keys_count"): ("('k', 1, now(), 'NEW')",),
    ("raw_bitrix24.deals", "missing_count"): ("('k', 2, null, 'NEW')",),
    ("raw_bitrix24.users", "duplicate_keys_count"): ("('k', 1)",),
    ("raw_bitrix24.users", "missing_count"): ("('k', null)",),
    ("raw_bitrix24.stage_history", "duplicate_keys_count"): ("('k', 1, 1, now(), 2)",),
    ("raw_bitrix24.stage_history", "missing_count"): ("('k', 2, null, now(), 2)",),
    ("raw_bitrix24.stage_history", "unknown_type_share"): ("('k', 2, 1, now(), 99)",),
    ("raw_bitrix24.calls", "duplicate_keys_count"): ("('k', 1, now(), 1, 60)",),
    ("raw_bitrix24.calls", "missing_count"): ("('k', 2, null, 1, 60)",),
    ("raw_bitrix24.calls", "unknown_type_share"): ("('k', 2, now(), 9, 60)",),
    ("raw_bitrix24.calls", "absurd_length_share"): ("('k', 2, now(), 1, -5)",),
    ("marts.fct_calls", "impossible_talk_count"): (
        "(61, 60, 'bound_deal', true, true, 1, date '2026-03-02')",
    ),
    ("marts.fct_calls", "unmatched_count"): ("(1, 60, null, false, true, 1, date '2026-03-02')",),
    ("marts.fct_calls", "impossible_success_count"): (
        "(0, 60, 'bound_deal', true, false, 1, date '2026-03-02')",
    ),
    ("marts.fct_calls", "dismissed_named_count"): (
        "(60, 60, 'bound_deal', true, true, 1, date '2026-03-03')",
    ),
    ("marts.fct_stage_visits", "shortest_seconds"): ("(-1)",),
    ("marts.fct_deals", "early_close_count"): ("(now(), now() - interval 1 day, 'won')",),
    ("marts.fct_deals", "disagreeing_count"): ("(now(), null, 'won')",),
    ("metrics.metric_call_load__by_stage", "fewest_calls"): ("(-1, -1, null)",),
    ("metrics.metric_call_load__by_stage", "impossible_answered_count"): ("(1, 2, 30.0)",),
    ("metrics.metric_call_load__by_stage", "mean_of_nothing_count"): ("(1, 0, 0.0)",),
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        for schema in ("raw_bitrix24", "marts", "metrics"):
            opened.execute(f"create schema {schema}")
        for table, (columns, _) in TABLES.items():
            opened.execute(f"create table {table} ({columns})")
        yield opened


def failures(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return {
        (f"{boundary.schema}.{boundary.table}", column)
        for boundary in BOUNDARIES
        for column in failed_bounds(connection, boundary)
    }


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    for table, (_, good) in TABLES.items():
        connection.execute(f"insert into {table} values {good}")


def test_an_empty_company_passes(connection: duckdb.DuckDBPyConnection) -> None:
    assert failures(connection) == set()


def test_good_rows_pass(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection)
    assert failures(connection) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]}-{fault[1]}")
def test_the_bound_fires(connection: duckdb.DuckDBPyConnection, fault: tuple[str, str]) -> None:
    fill(connection)
    for row in FAULTS[fault]:
        connection.execute(f"insert into {fault[0]} values {row}")
    assert fault in failures(connection)


def test_every_bound_has_a_fault() -> None:
    bounds = {
        (f"{boundary.schema}.{boundary.table}", bound.column)
        for boundary in BOUNDARIES
        for bound in boundary.bounds
    }
    assert bounds == FAULTS.keys()
