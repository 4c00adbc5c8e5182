"""Every bound of every boundary suite fires on bad data and is silent on good and on no data."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.outcomes import BOUNDARIES
from expectations.runner import failed_bounds
from sources.bitrix24.history import VERSIONED

_DATED = "source_key text, id bigint"
_HISTORY = "source_key text, id bigint, owner_id bigint, created_time timestamp, type_id bigint"
_PHONED = "source_key text, id bigint, phone json"

# Per raw table: its columns, a good row, and per bound (but for a key that stands twice) a row
# that breaks it.
RAW: dict[str, tuple[str, str, dict[str, str]]] = {
    "users": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "departments": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "categories": (
        "source_key text, entity_type_id bigint, id bigint",
        "('k', 31, 1)",
        {"missing_count": "('k', null, 2)", "unknown_type_share": "('k', 7, 2)"},
    ),
    "statuses": (
        "source_key text, entity_id text, status_id text, semantics text",
        "('k', 'SOURCE', 'CALL', null)",
        {
            "missing_count": "('k', 'SOURCE', null, null)",
            "unknown_semantics_share": "('k', 'DEAL_STAGE', 'NEW', 'W')",
        },
    ),
    "currencies": (
        "source_key text, currency text, amount decimal(20, 4), amount_cnt bigint",
        "('k', 'RUB', 1, 1)",
        {"missing_count": "('k', null, 1, 1)", "impossible_rate_count": "('k', 'USD', 0, 1)"},
    ),
    "custom_fields": (
        "source_key text, entity_type text, field text",
        "('k', 'deal', 'UF_A')",
        {"missing_count": "('k', 'deal', null)"},
    ),
    "custom_field_options": (
        "source_key text, entity_type text, field text, option_id text, label text",
        "('k', 'deal', 'UF_A', '1', 'One')",
        {
            "missing_count": "('k', 'deal', 'UF_A', null, 'One')",
            "unlabelled_share": "('k', 'deal', 'UF_A', '2', '')",
        },
    ),
    "products": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "companies": (
        _PHONED,
        "('k', 1, '[]')",
        {"missing_count": "('k', null, '[]')", "unreadable_phones_share": "('k', 2, '\"7\"')"},
    ),
    "contacts": (
        _PHONED,
        "('k', 1, null)",
        {"missing_count": "('k', null, '[]')", "unreadable_phones_share": "('k', 2, '{}')"},
    ),
    "leads": (
        "source_key text, id bigint, date_create timestamp, status_id text, "
        "status_semantic_id text, phone json",
        "('k', 1, now(), 'NEW', 'P', '[]')",
        {
            "missing_count": "('k', 2, null, 'NEW', 'P', '[]')",
            "unknown_semantics_share": "('k', 2, now(), 'NEW', 'W', '[]')",
            "unreadable_phones_share": "('k', 2, now(), 'NEW', 'P', '{}')",
        },
    ),
    "deals": (
        "source_key text, id bigint, date_create timestamp, stage_id text",
        "('k', 1, now(), 'NEW')",
        {"missing_count": "('k', 2, null, 'NEW')"},
    ),
    "invoices": (
        "source_key text, id bigint, created_time timestamp, stage_id text",
        "('k', 1, now(), 'N')",
        {"missing_count": "('k', null, now(), 'N')", "undated_share": "('k', 2, null, 'N')"},
    ),
    "smart_items": (
        "source_key text, entity_type_id bigint, id bigint, created_time timestamp",
        "('k', 177, 1, now())",
        {
            "missing_count": "('k', null, 2, now())",
            "undated_share": "('k', 177, 2, null)",
            "misplaced_count": "('k', 2, 2, now())",
        },
    ),
    **{
        table: (
            _HISTORY,
            "('k', 1, 1, now(), 2)",
            {
                "missing_count": "('k', 2, null, now(), 2)",
                "unknown_type_share": "('k', 2, 1, now(), 99)",
            },
        )
        for table in ("lead_stage_history", "stage_history", "invoice_stage_history")
    },
    "activities": (
        "source_key text, id bigint, type_id bigint, owner_type_id bigint, owner_id bigint",
        "('k', 1, 2, 2, 7)",
        {
            "missing_count": "('k', null, 2, 2, 7)",
            "unknown_type_share": "('k', 2, 9, 2, 7)",
            "unowned_share": "('k', 2, 2, 2, 0)",
        },
    ),
    "tasks": (
        "source_key text, id bigint, status bigint, created_date timestamp",
        "('k', 1, 5, now())",
        {
            "missing_count": "('k', null, 5, now())",
            "unknown_state_share": "('k', 2, 55, now())",
            "undated_share": "('k', 2, 5, null)",
        },
    ),
    "calls": (
        "source_key text, id bigint, call_start_date timestamp, call_type bigint, "
        "call_duration bigint",
        "('k', 1, now(), 1, 60)",
        {
            "missing_count": "('k', 2, null, 1, 60)",
            "unknown_type_share": "('k', 2, now(), 9, 60)",
            "absurd_length_share": "('k', 2, now(), 1, -5)",
        },
    ),
    "product_rows": (
        "source_key text, id bigint, owner_type text, owner_id bigint, quantity decimal(20, 4), "
        "price decimal(20, 4)",
        "('k', 1, 'D', 7, 1, 10)",
        {
            "missing_count": "('k', 2, 'D', null, 1, 10)",
            "unknown_type_share": "('k', 2, 'Q', 7, 1, 10)",
            "negative_share": "('k', 2, 'D', 7, -1, 10)",
        },
    ),
    "activity_bindings": (
        "source_key text, activity_id bigint, entity_type_id bigint, entity_id bigint",
        "('k', 1, 2, 7)",
        {"missing_count": "('k', 1, 2, null)", "unknown_type_share": "('k', 1, 99, 7)"},
    ),
    "task_history": (
        "source_key text, id bigint, task_id bigint, created_date timestamp, field text",
        "('k', 1, 7, now(), 'DEADLINE')",
        {
            "missing_count": "('k', 2, null, now(), 'DEADLINE')",
            "nameless_share": "('k', 2, 7, now(), '')",
        },
    ),
    "timeline_comments": (
        "source_key text, entity_type text, entity_id bigint, id bigint, created timestamp",
        "('k', 'deal', 7, 1, now())",
        {
            "missing_count": "('k', 'deal', null, 1, now())",
            "unknown_type_share": "('k', 'quote', 7, 1, now())",
            "undated_share": "('k', 'deal', 8, 1, null)",
        },
    ),
    "detail_reads": (
        "source_key text, entity text, owner_type text, owner_id bigint, read_at timestamp",
        "('k', 'product_rows', 'deal', 7, now())",
        {"missing_count": "('k', 'product_rows', 'deal', 8, null)"},
    ),
    "load_log": (
        "source_key text, entity text, cut_at timestamp, rows_reported bigint, "
        "rows_received bigint, rows_quarantined bigint, rows_raw bigint, rows_deleted bigint, "
        "complete_up_to timestamp",
        "('k', 'deals', timestamp '2026-03-02', 2, 1, 0, 3, 1, timestamp '2026-03-02')",
        {
            "missing_count": "('k', 'deals', null, 2, 1, 0, 3, 1, timestamp '2026-03-02')",
            "impossible_count": "('k', 'calls', timestamp '2026-03-02', null, 0, 0, 1, 2, null)",
        },
    ),
    "deleted_records": (
        "source_key text, entity text, id bigint",
        "('k', 'deals', 1)",
        {"missing_count": "('k', 'deals', null)"},
    ),
    **{
        table.versions: (
            f"source_key text, {', '.join(f'{name} text' for name in table.key)}, "
            "first_seen_at timestamp, last_seen_at timestamp",
            f"('k', {key}, timestamp '2026-03-02', now())",
            {
                "missing_count": f"('k', {key}, now(), null)",
                "backward_count": f"('k', {key}, now(), timestamp '2026-03-02')",
            },
        )
        for table in VERSIONED
        for key in [", ".join("1" * len(table.key))]
    },
}
TABLES: dict[str, tuple[str, str]] = {
    **{f"raw_bitrix24.{table}": (columns, good) for table, (columns, good, _) in RAW.items()},
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
    **{
        (f"raw_bitrix24.{table}", bound): (row,)
        for table, (_, good, faults) in RAW.items()
        for bound, row in {"duplicate_keys_count": good, **faults}.items()
    },
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


def failures(connection: duckdb.DuckDBPyConnection, table: str = "") -> set[tuple[str, str]]:
    """What the suites of all tables, or of one, find."""
    return {
        (name, column)
        for boundary in BOUNDARIES
        if (name := f"{boundary.schema}.{boundary.table}") == table or not table
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
    assert fault in failures(connection, fault[0])


def test_every_bound_has_a_fault() -> None:
    bounds = {
        (f"{boundary.schema}.{boundary.table}", bound.column)
        for boundary in BOUNDARIES
        for bound in boundary.bounds
    }
    assert bounds == FAULTS.keys()
