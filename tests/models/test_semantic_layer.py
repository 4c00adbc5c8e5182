"""The semantic layer: all of it is parsed, and its numbers are those of the metric tables."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from orchestration.manifest import mf_executable
from orchestration.settings import PROJECT_DIR
from tests.conftest import DemoRun, command_line
from tests.support.companies import warehouse
from tests.support.semantic_layer import Key, Rows, SemanticLayer

MANIFEST = "semantic_manifest.json"
QUERY = "--metrics talk_minutes_per_won_deal --group-by source__name,metric_time__month"

Compared = Mapping[Key, Mapping[str, Any]]


@pytest.fixture(scope="module")
def connection(demo_run: DemoRun) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse(demo_run.settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def layer(demo_run: DemoRun, connection: duckdb.DuckDBPyConnection) -> SemanticLayer:
    return SemanticLayer(demo_run.settings.dbt_target_dir / MANIFEST, connection)


# All of it is there.


def written() -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for path in (PROJECT_DIR / "models").rglob("*.yml"):
        for section, entries in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            if section in ("semantic_models", "metrics", "saved_queries"):
                found[section] += entries
    return found


def test_nothing_that_is_written_stays_unparsed(demo_run: DemoRun) -> None:
    """A form that dbt does not know parses to nothing, without a warning."""
    parsed = json.loads((demo_run.settings.dbt_target_dir / MANIFEST).read_text())
    expected = written()
    counts = {section: len(expected[section]) for section in expected}
    assert {section: len(parsed[section]) for section in counts} == counts
    assert counts["semantic_models"] > 15
    assert counts["metrics"] > 90
    assert counts["saved_queries"] > 10
    for section, entries in expected.items():
        names = sorted(entry["name"] for entry in entries)
        assert sorted(entry["name"] for entry in parsed[section]) == names
    models = {model["name"]: model for model in parsed["semantic_models"]}
    for model in expected["semantic_models"]:
        for part in ("entities", "dimensions", "measures"):
            names = [entry["name"] for entry in model.get(part, [])]
            assert [entry["name"] for entry in models[model["name"]][part]] == names
    kinds = {metric["type"] for metric in parsed["metrics"]}
    assert kinds == {"simple", "ratio", "derived", "cumulative", "conversion"}
    (spine,) = parsed["project_configuration"]["time_spines"]
    assert spine["node_relation"]["alias"] == "dim_time_spine"


def test_every_semantic_model_says_what_it_is() -> None:
    without = [
        (entry["name"], part.get("name"))
        for entries in written().values()
        for entry in entries
        for part in (entry, *entry.get("dimensions", []))
        if not part.get("description", "").strip()
    ]
    assert without == []


def test_joins_are_on_unique_keys(demo_run: DemoRun, layer: SemanticLayer) -> None:
    """Whatever has a primary entity is joined on it: one row for each value."""
    parsed = json.loads((demo_run.settings.dbt_target_dir / MANIFEST).read_text())
    repeated = []
    with warehouse(demo_run.settings) as opened:
        for model in parsed["semantic_models"]:
            (primary,) = (one["expr"] for one in model["entities"] if one["type"] == "primary")
            assert {one["type"] for one in model["entities"]} <= {"primary", "foreign"}
            relation = model["node_relation"]["relation_name"]
            rows, values = opened.execute(
                f"select count(*), count(distinct {primary}) from {relation}"
            ).fetchall()[0]
            if rows != values:
                repeated.append((model["name"], rows, values))
    assert repeated == []


def test_the_layer_shows_no_personal_data_and_no_true_key_of_an_employee(
    demo_run: DemoRun,
) -> None:
    """What is not published is not asked for here either."""
    nodes = json.loads((demo_run.settings.dbt_target_dir / "manifest.json").read_text())["nodes"]
    parsed = json.loads((demo_run.settings.dbt_target_dir / MANIFEST).read_text())
    shown = []
    for model in parsed["semantic_models"]:
        columns = nodes[f"model.callfunnel.{model['node_relation']['alias']}"]["columns"]
        for part in ("entities", "dimensions"):
            for entry in model[part]:
                for name in re.findall(r"\w+", entry["expr"] or entry["name"]):
                    meta = columns[name]["config"]["meta"] if name in columns else {}
                    is_hidden = meta.get("is_hidden", False)
                    if is_hidden or meta.get("pii", "none") != "none":
                        shown.append((model["name"], entry["name"], name))
    assert shown == []


# The same numbers as the metric tables.


@dataclass(frozen=True)
class Comparison:
    """Rows of a metric table, and how the layer is asked for the same."""

    table: str
    keys: Sequence[str]
    """Expressions over the table, of its whole grain within `condition`."""
    group_by: Sequence[str]
    condition: str = "true"
    where: Sequence[str] = ()


OTHER_NAMES: Mapping[str, Mapping[str, str]] = {
    "metric_call_load__by_stage": {},
    "metric_funnel__by_stage": {"entered_count": "cards_entering_stage"},
    "metric_losses__by_reason": {
        "lost_count": "losses",
        "lost_amount": "losses_amount",
        "lost_after_proposal_count": "losses_after_proposal",
        "let_go_count": "losses_let_go",
    },
    "metric_missed_calls__by_day": {
        "cases_count": "missed_cases",
        "in_time_count": "missed_cases_in_time",
        "late_count": "missed_cases_late",
        "lost_count": "lost_clients",
        "contacted_count": "contacted_missed_cases",
        "decided_count": "decided_missed_cases",
    },
    "metric_stage_durations__by_stage": {
        "ended_count": "stays_ended",
        "ended_cards_count": "cards_with_stays_ended",
    },
    "metric_task_discipline__by_employee": {
        "open_cards_count": "open_cards_and_leads",
        "without_task_count": "open_cards_without_task",
    },
    "metric_workload__by_day": {"open_deals_count": "open_deals_at_end"},
}
"""Columns whose metric has another name than theirs."""

OTHER_QUANTITIES: Mapping[str, str] = {
    "metric_call_register__by_call": "calls one by one",
    "metric_client_base__by_employee": "of the clients whom a person owns",
    "metric_clients__by_client": "of single clients, all time",
    "metric_forecast__by_period": "of the current period up to as-of",
    "metric_forecasts__by_day": "as they were on the day of the forecast",
    "metric_journeys__by_journey": "of the cards of a journey",
    "metric_journeys__by_step": "of the journeys that began in the month",
    "metric_marketing__by_day": "of the requests that came on the day",
    "metric_marketing__by_source": "of the requests that came in the period",
    "metric_marketing__by_stage": "of the requests that came in the period",
    "metric_requests__by_request": "of single requests",
    "metric_requests__by_stage": "of requests by where they stand now",
}
"""Tables whose numbers are named like a metric but count something else; data tests add them up."""

LONG_TABLES = {
    "metric_cards__by_metric",
    "metric_daily_sums__by_slice",
    "metric_plan_fact__by_target",
    "metric_sales_kpi__by_period",
    "metric_scorecard__by_employee",
}
"""Where a column names the metric; tests of their own compare them."""

DAY, MONTH = "metric_time__day", "metric_time__month"
NO_CARD = "(no card)"
COMPARISONS = [
    Comparison(
        "metric_call_load__by_stage",
        ("called_on", "stage_key", "call_place"),
        (DAY, "stage", "call__place"),
        "segment_type = 'all'",
    ),
    *(
        Comparison(
            "metric_call_load__by_stage",
            ("called_on", "stage_key", "call_place", f"nullif(segment_value, '{none}')"),
            (DAY, "stage", "call__place", group_by),
            f"segment_type = '{segment_type}'",
        )
        for segment_type, group_by, none in (
            ("talker", "employee__name", ""),
            ("department", "department__name", ""),
            ("source", "source__name", ""),
            ("pipeline", "pipeline__name", NO_CARD),
            ("product", "product__name", ""),
            ("grade", "client__grade", ""),
        )
    ),
    *(
        Comparison(
            "metric_call_proportions__by_segment",
            ("starts_on", f"nullif(segment_value, '{none}')"),
            (f"metric_time__{period_type}", group_by),
            f"call_view = 'calls_of_period' and segment_type = '{segment_type}' "
            f"and period_type = '{period_type}'",
        )
        for period_type in ("week", "month", "year")
        for segment_type, group_by, none in (
            ("employee", "employee__name", ""),
            ("department", "department__name", ""),
            ("source", "source__name", ""),
            ("pipeline", "pipeline__name", NO_CARD),
            ("product", "product__name", ""),
            ("grade", "client__grade", ""),
        )
    ),
    Comparison(
        # The exchange's records begin within the first month.
        "metric_call_sources__by_employee",
        ("month_start_on", "reporting_employee_key"),
        (MONTH, "employee"),
        "month_start_on >= date '2025-02-01'",
        ("{{ TimeDimension('metric_time', 'day') }} >= '2025-02-01'",),
    ),
    Comparison(
        "metric_calls__by_hour",
        ("month_start_on", "weekday_number", "reporting_employee_key"),
        (MONTH, "calendar_day__weekday_number", "employee"),
    ),
    Comparison(
        "metric_employee_activity__by_day",
        ("active_on", "reporting_employee_key"),
        (DAY, "employee"),
    ),
    Comparison(
        "metric_employee_talk__by_grade",
        ("called_on", "reporting_employee_key", "client_grade"),
        (DAY, "employee", "client__grade"),
    ),
    Comparison(
        "metric_cycles__by_month",
        ("month_start_on", "pipeline_key"),
        (MONTH, "pipeline"),
        "slice_type = 'all' and pipeline_key in "
        "(select pipeline_key from marts.dim_pipelines where pipeline_role = 'sales')",
    ),
    *(
        Comparison(
            "metric_funnel__by_stage",
            ("month_start_on", "stage_key", *keys),
            (MONTH, "stage", *group_by),
            f"slice_type = '{slice_type}'",
            ("{{ Dimension('stage__semantics') }} in ('open', 'won')",),
        )
        for slice_type, keys, group_by in (
            ("all", (), ()),
            ("employee", ("reporting_employee_key",), ("employee",)),
        )
    ),
    Comparison(
        "metric_losses__by_reason",
        (
            "month_start_on",
            "pipeline_key",
            "stage_key",
            "reporting_employee_key",
            "source_name",
            "product_name",
            "loss_reason_name",
            "loss_reason_basis",
        ),
        (
            MONTH,
            "pipeline",
            "stage",
            "employee",
            "source__name",
            "product__name",
            "loss__reason",
            "loss__reason_basis",
        ),
    ),
    Comparison("metric_missed_calls__by_case", ("missed_case_key",), ("missed_case",)),
    Comparison("metric_missed_calls__by_day", ("first_missed_on",), (DAY,)),
    *(
        Comparison(
            "metric_stage_durations__by_stage",
            ("month_start_on", "stage_key", *keys),
            (MONTH, "stage", *group_by),
            f"slice_type = '{slice_type}'",
        )
        for slice_type, keys, group_by in (
            ("all", (), ()),
            ("employee", ("reporting_employee_key",), ("employee",)),
        )
    ),
    Comparison(
        "metric_task_discipline__by_employee",
        ("pipeline_key", "current_reporting_employee_key"),
        ("pipeline", "employee"),
    ),
    Comparison(
        "metric_workload__by_day",
        ("stock_on", "reporting_employee_key"),
        (DAY, "employee"),
    ),
]


def same_numbers(
    table: str, connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> dict[str, str]:
    """Columns of a metric table with their metric, by name."""
    columns = connection.execute(
        "select column_name from duckdb_columns() where schema_name = 'metrics' "
        "and table_name = ? and regexp_matches(data_type, 'INT|DOUBLE|DECIMAL') "
        "and not ends_with(column_name, '_key')",
        [table],
    ).fetchall()
    found = {}
    for (column,) in columns:
        name = column.removeprefix("segment_")
        bare = name.removesuffix("_count")
        names = [OTHER_NAMES.get(table, {}).get(column), name, bare, f"{bare}_calls"]
        if known := [one for one in names if one in layer.metrics]:
            found[column] = known[0]
    return found


def test_every_metric_table_with_the_same_numbers_is_compared(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    tables = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'metrics'"
    ).fetchall()
    same = {
        table: same_numbers(table, connection, layer)
        for (table,) in tables
        if table not in OTHER_QUANTITIES
    }
    compared = {comparison.table for comparison in COMPARISONS}
    assert {table for table, numbers in same.items() if numbers} - LONG_TABLES == compared
    for table, columns in OTHER_NAMES.items():
        assert columns.items() <= same[table].items()


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: f"{one.table}-{one.group_by}")
def test_the_layer_says_what_the_metric_table_says(
    comparison: Comparison, connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    numbers = same_numbers(comparison.table, connection, layer)
    expected = rows_of(comparison, numbers, connection)
    found = layer.ask(sorted(set(numbers.values())), comparison.group_by, where=comparison.where)
    assert sum(1 for row in expected.values() if any(row.values())) >= 5
    assert differences(expected, found, layer) == []


def rows_of(
    comparison: Comparison, numbers: Mapping[str, str], connection: duckdb.DuckDBPyConnection
) -> Compared:
    is_summed = comparison.table == "metric_calls__by_hour"
    values = [f"sum({column})" if is_summed else column for column in numbers]
    cursor = connection.execute(
        f"select {', '.join([*comparison.keys, *values])} from metrics.{comparison.table} "
        f"where {comparison.condition} {'group by all' if is_summed else ''}"
    )
    width = len(comparison.keys)
    found: dict[Key, dict[str, Any]] = {}
    for row in cursor.fetchall():
        assert row[:width] not in found
        found[row[:width]] = dict(zip(numbers.values(), row[width:], strict=True))
    return found


def differences(expected: Compared, found: Rows, layer: SemanticLayer) -> list[Any]:
    """What differs: (key, metric, expected, found). Sums: a row that is missing says 0."""
    names = {name for row in expected.values() for name in row}
    wrong = []
    for key in expected.keys() | found.keys():
        here, there = expected.get(key), found.get(key)
        for name in names:
            is_strict = name in layer.ratios and here is not None and there is not None
            pair = ((here or {}).get(name), (there or {}).get(name))
            if not agree(*pair, is_strict=is_strict):
                wrong.append((key, name, *pair))
    return sorted(wrong, key=str)[:20]


def agree(here: Any, there: Any, *, is_strict: bool) -> bool:
    if here is None or there is None:
        return here is there if is_strict else not here and not there
    return math.isclose(float(here), float(there), rel_tol=1e-9, abs_tol=1e-6)


# The sales KPIs, which are long.

ORIGINS = ("lead_of_period", "older_lead", "system", "repeat_client", "by_hand")
OF_PERIOD = {"deals_origin_lead_of_period", "deals_origin_older_lead"}
"""What they are depends on the length of the period: the layer has them as a dimension."""

SLICES = {
    "all": ((), "month", "day", "week", "quarter", "year"),
    "pipeline": (("pipeline__name",), "month", "year"),
    "employee": (("employee__name",), "month", "week"),
    "department": (("department__name",), "month", "quarter"),
    "source": (("source__name",), "month", "week"),
}


def kpi_names() -> set[str]:
    with (PROJECT_DIR / "transform/seeds/kpi_definitions.csv").open() as file:
        return {row["metric_name"] for row in csv.DictReader(file)} | {"cycle_days_median"}


def kpi_rows(
    connection: duckdb.DuckDBPyConnection, slice_type: str, period_type: str
) -> dict[str, dict[Key, Any]]:
    """Values by metric and (period, slice); those not known are marked by an ellipsis."""
    found: dict[str, dict[Key, Any]] = defaultdict(dict)
    rows = connection.execute(
        "select metric_name, starts_on, nullif(slice_value, '(no card)'), slice_type, value, "
        "numerator is null and denominator is null "
        "from metrics.metric_sales_kpi__by_period where slice_type = ? and period_type = ?",
        [slice_type, period_type],
    ).fetchall()
    for name, starts_on, slice_value, kind, value, is_unknown in rows:
        named = NO_CARD if kind == "source" and slice_value is None else slice_value
        key = (starts_on,) if kind == "all" else (starts_on, named)
        assert key not in found[name]
        found[name][key] = ... if is_unknown else value
    return found


def test_every_sales_kpi_stands_in_the_layer(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    names = connection.execute(
        "select distinct metric_name from metrics.metric_sales_kpi__by_period"
    ).fetchall()
    assert {name for (name,) in names} == kpi_names()
    assert kpi_names() - layer.metrics == OF_PERIOD


@pytest.mark.parametrize(
    ("slice_type", "period_type"),
    [(slice_type, period) for slice_type, (_, *periods) in SLICES.items() for period in periods],
)
def test_sales_kpis_are_those_of_the_metric_table(
    slice_type: str, period_type: str, connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    group_by, *_ = SLICES[slice_type]
    table = kpi_rows(connection, slice_type, period_type)
    wanted = {name: name for name in kpi_names() & layer.metrics}
    paths: dict[str, Sequence[str]] = dict.fromkeys(wanted, group_by)
    if slice_type == "pipeline":
        own = {name: f"{name}_of_pipeline" for name in wanted}
        wanted |= {name: one for name, one in own.items() if one in layer.metrics}
        of_card = {name for name in wanted if "touches" in layer.semantic_models_of(name)}
        paths |= dict.fromkeys(of_card, ("card__pipeline__name",))
    roles = dict(
        connection.execute(
            "select pipeline_name, pipeline_role from marts.dim_pipelines"
        ).fetchall()
    )
    wrong, compared = [], 0
    for path in set(map(tuple, paths.values())):
        names = sorted(name for name in wanted if tuple(paths[name]) == path)
        found = layer.ask([wanted[name] for name in names], (f"metric_time__{period_type}", *path))
        for name in names:
            models = layer.semantic_models_of(name)
            for key in table[name].keys() | found.keys():
                expected = table[name].get(key)
                role = roles.get(key[-1]) if slice_type == "pipeline" else None
                # The pipelines that totals leave out have rows of their own in the table.
                is_left_out = (
                    role is not None
                    and wanted[name] == name
                    and (
                        ("deal_creations" in models and role not in ("sales", "setter"))
                        or ("deal_closes" in models and role != "sales")
                    )
                )
                if expected is ... or is_left_out:
                    continue
                value = found.get(key, {}).get(wanted[name])
                is_strict = name in layer.ratios and key in found and key in table[name]
                compared += bool(expected)
                if not agree(expected, value, is_strict=is_strict):
                    wrong.append((name, key, expected, value))
    assert compared > 50
    assert sorted(wrong, key=str)[:20] == []


@pytest.mark.parametrize("period_type", ["day", "week", "month", "quarter", "year"])
def test_origins_of_a_calendar_period_are_those_of_the_metric_table(
    period_type: str, connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    table = kpi_rows(connection, "all", period_type)
    found = layer.ask(
        ["deals_created"],
        (f"metric_time__{period_type}", f"deal_creation__origin_of_{period_type}"),
    )
    expected = {
        (*key, origin): {"deals_created": value}
        for origin in ORIGINS
        for key, value in table[f"deals_origin_{origin}"].items()
        if value is not ...
    }
    seen = {key[-1] for key, row in found.items() if row["deals_created"]}
    assert {"lead_of_period", "repeat_client", "by_hand"} <= seen <= set(ORIGINS)
    assert differences(expected, found, layer) == []


def test_facts_of_goals_and_norms_are_those_of_the_layer(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    rows = connection.execute(
        "select metric_name, target_for, period_type, starts_on, reporting_employee_key, "
        "stage_key, fact_value from metrics.metric_plan_fact__by_target "
        "where fact_value is not null"
    ).fetchall()
    asked: dict[tuple[str, str, str, Any], dict[Key, float]] = defaultdict(dict)
    for name, target_for, period_type, starts_on, employee, stage, value in rows:
        key = (starts_on, employee) if target_for == "employee" else (starts_on,)
        asked[name, target_for, period_type, stage][key] = value
    assert len(asked) >= 5
    for (name, target_for, period_type, stage), expected in asked.items():
        group_by = ("employee",) if target_for == "employee" else ()
        where = [f"{{{{ Entity('stage') }}}} = {stage}"] if stage else []
        found = layer.ask([name], (f"metric_time__{period_type}", *group_by), where=where)
        for key, value in expected.items():
            assert agree(value, found.get(key, {}).get(name), is_strict=False), (name, key)


def test_a_scorecard_holds_the_numbers_of_the_layer(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    rows = connection.execute(
        "select metric_name, starts_on, reporting_employee_key, value, "
        "numerator is null and denominator is null "
        "from metrics.metric_scorecard__by_employee where period_type = 'month'"
    ).fetchall()
    names = sorted({row[0] for row in rows} & layer.metrics)
    assert len(names) > 15
    found = layer.ask(names, ("metric_time__month", "employee"))
    for name, starts_on, employee, value, is_unknown in rows:
        if name in names and not is_unknown:
            there = found.get((starts_on, employee), {}).get(name)
            assert agree(value, there, is_strict=False), (name, starts_on, employee)


# Numbers that only the layer has, against plain Python over the facts.


def facts(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (dt.date(2026, 3, 5), dt.date(2026, 4, 17)),
        (dt.date(2025, 11, 30), dt.date(2025, 12, 1)),
    ],
)
def test_origins_are_right_for_any_dates(
    start: dt.date, end: dt.date, connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    rows = facts(
        connection,
        "select deals.created_on, deals.lead_key is not null, leads.created_on, pipeline_role "
        "from marts.fct_deals as deals left join marts.fct_leads as leads using (lead_key) "
        "inner join marts.fct_stage_visits as visits "
        "on deals.deal_key = visits.deal_key and visits.visit_number = 1 "
        "inner join marts.dim_pipelines as pipelines "
        "on visits.pipeline_key = pipelines.pipeline_key",
    )
    of_leads = [
        lead_on is not None and lead_on >= start
        for created_on, has_lead, lead_on, role in rows
        if start <= created_on <= end and has_lead and role in ("sales", "setter")
    ]
    lead_day = "{{ TimeDimension('deal_creation__lead_created_on', 'day') }}"
    for is_of_period, condition in (
        (True, f"{lead_day} >= '{start}'"),
        (False, f"({lead_day} < '{start}' or {lead_day} is null)"),
    ):
        found = layer.ask(["deals_from_leads"], where=[condition], start=start, end=end)
        value = found[()]["deals_from_leads"] if found else 0
        assert (value or 0) == of_leads.count(is_of_period)
    assert True in of_leads


def test_cards_that_enter_a_stage_count_once_in_any_dates(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    start, end = dt.date(2026, 2, 10), dt.date(2026, 5, 3)
    entered: dict[Any, set[int]] = defaultdict(set)
    entries: dict[Any, int] = defaultdict(int)
    for stage, card, day in facts(
        connection,
        "select stage_key, card_key, entered_on from marts.fct_stage_visits as visits "
        "inner join marts.dim_pipelines as pipelines using (pipeline_key) "
        "where pipeline_role <> 'ignore'",
    ):
        if start <= day <= end:
            entered[stage].add(card)
            entries[stage] += 1
    found = layer.ask(["cards_entering_stage", "stage_entries"], ["stage"], start=start, end=end)
    assert {key[0]: row["cards_entering_stage"] for key, row in found.items()} == {
        stage: len(cards) for stage, cards in entered.items()
    }
    assert {key[0]: row["stage_entries"] for key, row in found.items()} == dict(entries)
    assert sum(entries.values()) > sum(map(len, entered.values()))


def sales_wins(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return facts(
        connection,
        "select closes.deal_key, closes.closed_on, deals.company_amount "
        "from marts.fct_deal_closes as closes inner join marts.fct_deals as deals using (deal_key) "
        "inner join marts.dim_pipelines as pipelines "
        "on closes.pipeline_key = pipelines.pipeline_key "
        "where closes.is_counted and closes.outcome = 'won' and pipelines.pipeline_role = 'sales'",
    )


def test_requests_are_won_within_90_days(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    won_on = {deal: day for deal, day, _ in sales_wins(connection)}
    came: dict[dt.date, int] = defaultdict(int)
    won: dict[dt.date, int] = defaultdict(int)
    for deal, day in facts(connection, "select deal_key, requested_on from marts.fct_requests"):
        month = day.replace(day=1)
        came[month] += 1
        closed_on = won_on.get(deal)
        won[month] += closed_on is not None and 0 <= (closed_on - day).days < 90
    found = layer.ask(["requests_won_in_90_days", "requests_won_share_90_days"], [MONTH])
    assert sum(won.values()) > 20
    for (month,), row in found.items():
        assert (row["requests_won_in_90_days"] or 0) == won[month]
        assert agree(row["requests_won_share_90_days"], won[month] / came[month], is_strict=False)
    assert {month for (month,) in found} == set(came)


@pytest.fixture
def invented(
    demo_run: DemoRun, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> Iterator[SemanticLayer]:
    """Three requests of 1 January; deals 1 to 3 are won after 89, 90 and no days, 1 twice.

    Request 1 was qualified by employee 20; employee 30, who won deal 1, has left since.
    """
    tables = ("fct_requests", "fct_deal_closes")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as opened:
        opened.execute("create schema marts")
        for table in tables:
            empty = connection.execute(f"from marts.{table} limit 0").to_arrow_table()
            opened.register("empty_table", empty)
            opened.execute(f"create table marts.{table} as from empty_table")
        opened.execute(
            "insert into marts.fct_requests by name select deal_key, deal_key as card_key, "
            "date '2026-01-01' as requested_on, 10 as reporting_employee_key, "
            "case when deal_key = 1 then date '2026-02-01' end as qualified_on, "
            "case when deal_key = 1 then 20 end as qualified_reporting_employee_key "
            "from range(1, 4) as deals (deal_key)"
        )
        opened.execute(
            "insert into marts.fct_deal_closes by name select deal_close_key, deal_key, "
            "date '2026-01-01' + days as closed_on, 'won' as outcome, is_counted, "
            "is_counted as is_in_totals, 30 as owner_employee_key, -1 as reporting_employee_key, "
            "100 as company_amount from (values (1, 1, 5, false), (2, 1, 89, true), "
            "(3, 2, 90, true), (4, 3, 0, true)) as closes (deal_close_key, deal_key, days, "
            "is_counted)"
        )
        yield SemanticLayer(demo_run.settings.dbt_target_dir / MANIFEST, opened)


def test_the_90_days_of_a_request_begin_with_its_own(invented: SemanticLayer) -> None:
    names = ["requests", "requests_won_in_90_days", "requests_won_share_90_days"]
    found = invented.totals(names)
    assert tuple(found[name] for name in names) == (3, 2, pytest.approx(2 / 3))


def test_qualified_and_won_go_to_whom_reports_credit(invented: SemanticLayer) -> None:
    assert invented.ask(["requests"], ["employee"]) == {(10,): {"requests": 3}}
    assert invented.ask(["qualified"], ["employee"]) == {(20,): {"qualified": 1}}
    # The win that was reopened is not counted; who has left is not named.
    assert invented.ask(["won", "won_amount"], ["employee"]) == {
        (-1,): {"won": 3, "won_amount": 300}
    }


def test_sums_to_date_and_of_30_days_and_growth(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    wins = [(day, amount or 0) for _, day, amount in sales_wins(connection)]
    names = [
        "won_amount_month_to_date",
        "won_amount_year_to_date",
        "won_amount_trailing_30_days",
        "won_trailing_30_days",
    ]
    found = layer.ask(names, [DAY])
    assert max(found)[0] == dt.date(2026, 6, 30)

    def total(since: dt.date, until: dt.date) -> Any:
        return sum(amount for day, amount in wins if since <= day <= until)

    for day in (dt.date(2026, 3, 1), dt.date(2026, 3, 31), dt.date(2026, 6, 30)):
        row = found[day,]
        month_before = day - dt.timedelta(days=29)
        assert row["won_amount_month_to_date"] == (total(day.replace(day=1), day) or None)
        assert row["won_amount_year_to_date"] == total(day.replace(month=1, day=1), day)
        assert row["won_amount_trailing_30_days"] == total(month_before, day)
        assert row["won_trailing_30_days"] == sum(month_before <= won <= day for won, _ in wins)
    march, april = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
    growth = layer.ask(["won_amount_growth_share", "won_amount_of_month_before"], [MONTH])
    before = total(march, dt.date(2026, 3, 31))
    assert growth[april,]["won_amount_of_month_before"] == before
    assert math.isclose(
        growth[april,]["won_amount_growth_share"],
        float(total(april, dt.date(2026, 4, 30))) / float(before) - 1,
    )


DIMENSIONS = (
    "employee__name",
    "department__name",
    "source__name",
    "product__name",
    "client__grade",
    "connection",
    "calendar_day__is_working_day",
    "card__type",
    "card__state",
    "card__utm_source",
    "card__pipeline__name",
    "card__stage__name",
)
OF_STAGES = ("pipeline__name", "stage__name", "pipeline__role")
ADDED_UP = (
    "calls",
    "talk_seconds",
    "requests",
    "qualified",
    "deals_created",
    "won",
    "won_amount",
    "lost_amount",
    "stage_entries",
    "stays_ended",
    "open_cards",
    "losses",
)


def test_no_dimension_loses_or_multiplies_anything(layer: SemanticLayer) -> None:
    totals = layer.totals(ADDED_UP)
    assert all(totals.values())
    for dimension in (*DIMENSIONS, *OF_STAGES):
        found = layer.ask(ADDED_UP, [dimension])
        added = {name: sum(row[name] or 0 for row in found.values()) for name in ADDED_UP}
        assert added == totals, dimension
    of_people = layer.totals(["payments", "meetings", "tasks_done", "touches", "emails"])
    for dimension in DIMENSIONS:
        found = layer.ask(list(of_people), [dimension])
        added = {name: sum(row[name] or 0 for row in found.values()) for name in of_people}
        assert added == of_people, dimension


def test_nobody_who_has_left_is_named_for_what_is_open_now(
    connection: duckdb.DuckDBPyConnection, layer: SemanticLayer
) -> None:
    former = {
        f"{name} [{employee_id}]"
        for name, employee_id in facts(
            connection,
            "select employee_name, employee_id from marts.dim_employees "
            "where current_reporting_key = -1 and employee_key <> -1",
        )
    }
    named = {key[0] for key in layer.ask(["open_cards", "open_deals_at_end"], ["employee__name"])}
    assert former
    assert named & former == set()
    assert "Former employees (to reassign)" in named


# The command.


@pytest.mark.parametrize("saved_query", [entry["name"] for entry in written()["saved_queries"]])
def test_the_saved_queries_answer(saved_query: str, layer: SemanticLayer) -> None:
    rows = layer.ask_saved(saved_query)
    assert len(rows) > 3
    assert all(any(row[name] for row in rows) for name in rows[0])


def test_mf_query_works_from_a_checkout_after_make_demo(demo_run: DemoRun, tmp_path: Path) -> None:
    kept = PROJECT_DIR / "target" / MANIFEST
    assert kept.exists()
    for name in ("dbt_project.yml", "profiles.yml", "models", "transform", "expectations"):
        (tmp_path / name).symlink_to(PROJECT_DIR / name)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / MANIFEST).write_text(kept.read_text())
    (tmp_path / "data/demo").mkdir(parents=True)
    shutil.copy(demo_run.settings.warehouse, tmp_path / "data/demo/warehouse.duckdb")
    answered = tmp_path / "answer.csv"
    finished = subprocess.run(
        [str(mf_executable()), "query", *QUERY.split(), "--csv", str(answered)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith(("CALLFUNNEL_", "DBT_"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    with answered.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 50
    assert set(rows[0]) == {"source__name", "metric_time__month", "talk_minutes_per_won_deal"}


def test_make_mf_asks_a_company_and_can_write_nothing(demo_run: DemoRun, tmp_path: Path) -> None:
    copied = tmp_path / "data/demo/warehouse.duckdb"
    copied.parent.mkdir(parents=True)
    shutil.copy(demo_run.settings.warehouse, copied)
    before = copied.stat().st_mtime_ns
    answered = tmp_path / "answer.csv"
    finished = command_line(
        *("mf", "query", *QUERY.split(), "--limit", "3", "--csv", str(answered)),
        data_root=tmp_path / "data",
        dagster_home=tmp_path / "home",
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert len(answered.read_text().splitlines()) == 4
    assert copied.stat().st_mtime_ns == before
    assert (tmp_path / "data/demo/dbt/metricflow.log").exists()


def test_a_company_without_a_warehouse_is_told_what_to_run(tmp_path: Path) -> None:
    finished = command_line(
        "mf", "list", "metrics", data_root=tmp_path / "data", dagster_home=tmp_path / "home"
    )
    assert finished.returncode == 1
    assert "run make demo or make run" in " ".join(finished.stderr.split())
