"""Power BI's measures give what the semantic layer gives: totals, and for single people."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from orchestration.bi.dax import format_of, measures
from orchestration.bi.model import BiModel, read_bi_model
from orchestration.bi.powerbi import write_project
from tests.conftest import DemoRun
from tests.support.dax import Dax
from tests.support.semantic_layer import SemanticLayer
from tests.support.tmdl_reader import read

OF_A_WINDOW = ("DATEADD", "DATESMTD", "DATESYTD", "DATESINPERIOD")
"""Measures that move along the calendar: they need a report's dates, and are not computed here."""


@pytest.fixture(scope="module")
def model(demo_run: DemoRun) -> BiModel:
    return read_bi_model(demo_run.settings)


@pytest.fixture(scope="module")
def layer(demo_run: DemoRun) -> Iterator[SemanticLayer]:
    manifest = demo_run.settings.dbt_target_dir / "semantic_manifest.json"
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        yield SemanticLayer(manifest, connection)


@pytest.fixture(scope="module")
def published(demo_run: DemoRun) -> Iterator[duckdb.DuckDBPyConnection]:
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect(str(marts), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def expressions(model: BiModel) -> dict[str, str]:
    made, _ = measures(model)
    return {one.name: one.expression for one in made}


def computed_here(expressions: dict[str, str]) -> list[str]:
    return [
        name
        for name, expression in expressions.items()
        if not any(function in expression for function in OF_A_WINDOW)
    ]


def test_measures_without_a_filter_are_the_metrics(
    model: BiModel,
    layer: SemanticLayer,
    published: duckdb.DuckDBPyConnection,
    expressions: dict[str, str],
) -> None:
    names = computed_here(expressions)
    assert len(names) > 100
    dax = Dax(published, expressions, model.relationships)
    wanted = layer.totals(names)
    found = {name: dax.value(name) for name in names}
    assert_equal(layer, found, wanted)


def test_measures_of_one_employee_are_the_metrics_of_that_employee(
    model: BiModel,
    layer: SemanticLayer,
    published: duckdb.DuckDBPyConnection,
    expressions: dict[str, str],
) -> None:
    [(employee,)] = published.execute(
        "select reporting_employee_key from marts.fct_deal_closes where reporting_employee_key > 0 "
        "group by 1 order by count(*) desc, 1 limit 1"
    ).fetchall()
    # Requests count by three different people: the asked, the qualifying and the answering one.
    names = ["requests", "qualified", "requests_handled", "won", "won_share_closed", "calls",
             "stays_ended", "stay_days_median", "open_cards", "won_for_repeat_clients"]  # fmt: skip
    dax = Dax(published, expressions, model.relationships, {"dim_employees": employee})
    asked = layer.ask(names, ["employee"], where=[f"{{{{ Entity('employee') }}}} = {employee}"])
    [wanted] = asked.values()
    found = {name: dax.value(name) for name in names}
    assert len({found["requests"], found["qualified"], found["requests_handled"]}) == 3
    assert_equal(layer, found, wanted)


@pytest.fixture(scope="module")
def role(model: BiModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the project as it is written: the condition of the role Manager by table."""
    folder = tmp_path_factory.mktemp("role")
    write_project(model, "demo", folder, "ru")
    [manager] = read(next(folder.rglob("roles/*.tmdl")))
    return {one.name: one.value for one in manager.of("tablePermission")}


@pytest.fixture(scope="module")
def with_viewers(demo_run: DemoRun, model: BiModel) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables beside a csv of viewers, who is nobody's colleague among them."""
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{marts}' as published (read_only); create schema marts")
        for table in model.tables:
            connection.execute(f"create view marts.{table} as from published.marts.{table}")
        connection.execute(
            "create table marts.bi_viewers as select 'M.Popova@Example.com' as email, source_key, "
            "employee_id from marts.dim_employees where employee_key = ("
            "select reporting_employee_key from marts.fct_deal_closes "
            "where reporting_employee_key > 0 group by 1 order by count(*) desc, 1 limit 1)"
        )
        # An id of another connection, and one that nobody has.
        connection.execute(
            "insert into marts.bi_viewers select 'other@example.com', 'amocrm:other', employee_id "
            "from marts.bi_viewers union all select 'gone@example.com', source_key, 999999 "
            "from marts.bi_viewers"
        )
        yield connection


def test_a_manager_sees_their_own_rows_of_every_table(
    with_viewers: duckdb.DuckDBPyConnection,
    model: BiModel,
    expressions: dict[str, str],
    role: dict[str, str],
) -> None:
    [(employee,)] = with_viewers.execute(
        "select employee_key from marts.dim_employees "
        "inner join marts.bi_viewers using (source_key, employee_id)"
    ).fetchall()
    dax = Dax(with_viewers, expressions, model.relationships, {}, role, "m.popova@example.com")
    assert dax.seen("dim_employees", "employee_key") == [employee]
    assert dax.seen("bi_viewers", "email") == []
    own = {
        "fct_calls": "reporting_employee_key",
        "fct_deals": "reporting_employee_key",
        "fct_deal_closes": "reporting_employee_key",
        "fct_tasks": "reporting_employee_key",
        "fct_leads": "reporting_employee_key",
        "metric_scorecard__by_employee": "reporting_employee_key",
        "metric_open_cards__by_card": "current_reporting_employee_key",
    }
    for table, column in own.items():
        whole = with_viewers.execute(f"select {column} from marts.{table}").fetchall()
        theirs = whole.count((employee,))
        assert dax.seen(table, column) == [employee] * theirs, table
        assert 0 < theirs < len(whole), table
    alone = Dax(with_viewers, expressions, model.relationships, {"dim_employees": employee})
    for name in ("calls", "won", "won_amount", "won_share_closed", "open_cards"):
        assert dax.value(name) == alone.value(name) != 0, name
    # Nothing that is the company's, and of dictionaries everything.
    assert dax.seen("fct_marketing_costs", "source_key") == []
    pipelines = with_viewers.execute("select count(*) from marts.dim_pipelines").fetchone()
    assert (len(dax.seen("dim_pipelines", "pipeline_key")),) == pipelines


@pytest.mark.parametrize(
    "viewer", ["stranger@example.com", "other@example.com", "gone@example.com"]
)
def test_a_stranger_sees_nobodys_rows(
    with_viewers: duckdb.DuckDBPyConnection,
    model: BiModel,
    expressions: dict[str, str],
    role: dict[str, str],
    viewer: str,
) -> None:
    dax = Dax(with_viewers, expressions, model.relationships, {}, role, viewer)
    seen = {
        table
        for table, one in model.tables.items()
        if table.startswith(("fct_", "metric_")) and dax.seen(table, next(iter(one.columns)))
    }
    assert seen == {"metric_catalogue"}
    assert dax.seen("dim_employees", "employee_key") == []
    assert [dax.value(name) for name in ("calls", "won", "won_amount")] == [None] * 3


def test_a_viewer_whose_open_deals_are_gone_has_none_now(
    demo_run: DemoRun, model: BiModel, expressions: dict[str, str]
) -> None:
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{marts}' as published (read_only); create schema marts")
        for table in ("dim_dates", "dim_pipelines"):
            connection.execute(f"create view marts.{table} as from published.marts.{table}")
        [(month_ago,)] = connection.execute(
            "select date_day - 30 from marts.dim_dates where is_as_of_day"
        ).fetchall()
        # What a role leaves of the stock: rows of one person, here until a month ago.
        connection.execute(f"""
            create view marts.fct_open_pipeline as
            from published.marts.fct_open_pipeline
            where
                reporting_employee_key = (
                    select min(reporting_employee_key)
                    from published.marts.fct_open_pipeline
                    where reporting_employee_key > 0
                )
                and stock_on <= date '{month_ago}'
        """)
        dax = Dax(connection, expressions, model.relationships)
        assert dax.value("open_deals_at_end") is None
        # Had the report been made then, it would have said what they had.
        connection.execute(f"""
            create or replace view marts.dim_dates as
            select * replace (date_day = date '{month_ago}' as is_as_of_day)
            from published.marts.dim_dates
        """)
        [(then,)] = connection.execute(
            "select sum(open_deals_count) from marts.fct_open_pipeline "
            "inner join marts.dim_pipelines using (pipeline_key) "
            "where stock_on = ? and pipeline_role in ('sales', 'setter')",
            [month_ago],
        ).fetchall()
        assert dax.value("open_deals_at_end") == then > 0


def assert_equal(
    layer: SemanticLayer, found: dict[str, float | None], wanted: dict[str, float | None]
) -> None:
    differ = {}
    for name, metric in wanted.items():
        value = found[name]
        # A count of nothing is blank in Power BI, a ratio over nothing is empty in both.
        if value is None and name not in layer.ratios:
            value = 0.0
        if metric is None or value is None:
            is_same = metric is value
        else:
            is_same = float(metric) == pytest.approx(value, rel=1e-9)
        if not is_same:
            differ[name] = (value, metric)
    assert not differ


def test_a_measure_is_written_by_its_unit() -> None:
    assert format_of("won_with_amount", "count") == "#,0"
    assert format_of("won_amount", "company's currency") == "#,0.00"
    assert format_of("open_amount", None) == "#,0.00"
    assert format_of("let_go_share", "share, 1 is 100 %") == "0.0%"
