"""What the dashboards' cards sum, against the facts behind them, counted by SQL of this file.

The demo company has one connection, in Moscow (UTC+3, no summer time).
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from orchestration.bi.dashboards import read_dashboards
from tests.conftest import DemoRun

TODAY = "(select date_day from marts.dim_dates where is_as_of_day)"
WEEK = f"date_trunc('week', {TODAY})"
MONTH = f"date_trunc('month', {TODAY})"
QUARTER = f"date_trunc('quarter', {TODAY})"


def role(*roles: str) -> str:
    listed = ", ".join(f"'{one}'" for one in roles)
    return (
        "pipeline_key in (select pipeline_key from marts.dim_pipelines "
        f"where pipeline_role in ({listed}))"
    )


WON = "outcome = 'won' and is_counted and is_in_totals"
EXPECTED = f"""
    from marts.metric_open_cards__by_card
    where
        card_type = 'deal' and not is_overdue and {role("sales")}
        and expected_close_at >= as_of_at
        and (expected_close_at + interval 3 hours)::date < ends_on
"""
FORECAST = f"""
    select
        starts_on,
        (select count(*) from marts.fct_deal_closes where {WON} and closed_on >= starts_on),
        (select sum(company_amount) from marts.fct_deal_closes
            where {WON} and closed_on >= starts_on),
        (select count(*) {EXPECTED}),
        (select sum(weighted_amount) {EXPECTED})
    from periods
    order by starts_on
"""
LOSSES = f"""
    select count(*), sum(company_amount) from marts.fct_losses
    where {role("sales", "setter", "service", "lead")}
"""
MARKETING = """
    select sum(requests_count), sum(qualified_count), sum(won_requests_count)
    from marts.metric_marketing__by_day
"""
MARKETING_WITH_AMOUNTS = """
    select sum(requests_count), sum(qualified_count), sum(won_requests_count), sum(won_amount),
        sum(cost_amount)
    from marts.metric_marketing__by_day
"""
OPEN_DEALS = f"""
    select count(*) from marts.fct_deals
    where deal_state = 'open' and {role("sales", "setter")}
"""
SHEET = f"""
    select sheet_part,
        (select count(*) from marts.fct_tasks where task_kind in ('task', 'todo')
            and (deadline_at + interval 3 hours)::date = sheet_on),
        (select count(*) from marts.fct_tasks where task_kind = 'meeting'
            and (deadline_at + interval 3 hours)::date = sheet_on),
        (select count(*) from marts.fct_tasks where task_kind = 'planned_call'
            and (deadline_at + interval 3 hours)::date = sheet_on),
        (select count(*) from marts.fct_payments where paid_on = sheet_on),
        (select count(*) from marts.metric_open_cards__by_card
            where (expected_close_at + interval 3 hours)::date = sheet_on),
        (select sum(company_amount) from marts.metric_open_cards__by_card
            where (expected_close_at + interval 3 hours)::date = sheet_on)
    from (values ('today', {TODAY}), ('yesterday', {TODAY} - 1)) as parts (sheet_part, sheet_on)
    order by sheet_part
"""
ADDS_UP = {
    ("owner", "numbers_by_month"): (
        "select sum(requests), sum(deals_created), sum(won), sum(won_amount) from card",
        f"""
        select
            (select count(*) from marts.fct_requests),
            (select count(*) from marts.fct_deal_creations where is_in_totals),
            (select count(*) from marts.fct_deal_closes where {WON}),
            (select sum(company_amount) from marts.fct_deal_closes where {WON})
        """,
    ),
    ("owner", "won_amount_trend"): (
        "select sum(won_amount) from card",
        f"select sum(company_amount) from marts.fct_deal_closes where {WON}",
    ),
    ("owner", "growth_of_the_month"): (
        "select metric_name, compared_value from card order by metric_name",
        f"""
        select 'calls', count(*) from marts.fct_calls
            where is_external and started_on >= {MONTH} and started_on < {TODAY}
        union all
        select 'deals_created', count(*) from marts.fct_deal_creations
            where is_in_totals and created_on >= {MONTH} and created_on < {TODAY}
        union all
        select 'requests', count(*) from marts.fct_requests
            where requested_on >= {MONTH} and requested_on < {TODAY}
        union all
        select 'successful_calls', count(*) from marts.fct_calls
            where is_external and is_successful
            and started_on >= {MONTH} and started_on < {TODAY}
        union all
        select 'won', count(*) from marts.fct_deal_closes
            where {WON} and closed_on >= {MONTH} and closed_on < {TODAY}
        union all
        select 'won_amount', sum(company_amount) from marts.fct_deal_closes
            where {WON} and closed_on >= {MONTH} and closed_on < {TODAY}
        """,
    ),
    ("owner", "forecast"): (
        "select starts_on, won_count, won_amount, expected_deals_count, expected_amount from card",
        f"""
        with periods as (
            select {MONTH}::date as starts_on, ({MONTH} + interval 1 month)::date as ends_on
        )
        {FORECAST}
        """,
    ),
    ("morning_meeting", "forecast"): (
        "select starts_on, won_count, won_amount, expected_deals_count, expected_amount from card "
        "order by starts_on",
        f"""
        with periods as (
            select {TODAY} as starts_on, {TODAY} + 1 as ends_on
            union all
            select {WEEK}::date, {WEEK}::date + 7
        )
        {FORECAST}
        """,
    ),
    ("owner", "open_pipeline_trend"): (
        "select open_deals_count from card order by stock_on desc limit 1",
        OPEN_DEALS,
    ),
    ("owner", "losses_by_reason"): ("select sum(lost_count), sum(lost_amount) from card", LOSSES),
    ("marketer", "losses_by_source"): (
        "select sum(lost_count), sum(lost_amount) from card",
        LOSSES,
    ),
    ("head_of_sales", "workload_now"): ("select sum(open_deals_count) from card", OPEN_DEALS),
    ("head_of_sales", "scorecards_of_the_month"): (
        "select sum(won), sum(won_amount) from card",
        f"""
        select count(*), sum(company_amount) from marts.fct_deal_closes
        where {WON} and closed_on >= {MONTH} and closed_on <= {TODAY}
        and reporting_employee_key in (select employee_key from marts.dim_sellers)
        """,
    ),
    ("head_of_sales", "activity_of_seven_days"): (
        "select sum(calls_count), sum(successful_count), sum(talk_seconds), sum(meetings_count), "
        "sum(tasks_done_count) from card",
        f"""
        select count(*), count(*) filter (where is_successful), sum(talk_seconds),
            (select count(*) from marts.fct_crm_actions where actor_kind = 'person'
                and action_type = 'meeting' and acted_on between {TODAY} - 6 and {TODAY}),
            (select count(*) from marts.fct_crm_actions where actor_kind = 'person'
                and action_type = 'task_completed' and acted_on between {TODAY} - 6 and {TODAY})
        from marts.fct_calls where is_external and started_on between {TODAY} - 6 and {TODAY}
        """,
    ),
    ("head_of_sales", "task_discipline"): (
        "select sum(open_cards_count), sum(without_task_count), sum(overdue_count) from card",
        """
        select count(*), count(*) filter (where planned_tasks_count = 0),
            count(*) filter (where has_overdue_task)
        from marts.metric_open_cards__by_card
        """,
    ),
    ("marketer", "sources_of_the_month"): (
        "select sum(requests_count), sum(qualified_count), sum(won_requests_count), "
        "sum(won_amount), sum(cost_amount) from card",
        MARKETING_WITH_AMOUNTS,
    ),
    ("marketer", "campaigns"): (
        "select sum(requests_count), sum(qualified_count), sum(won_requests_count), "
        "sum(won_amount), sum(cost_amount) from card",
        MARKETING_WITH_AMOUNTS,
    ),
    ("marketer", "requests_trend"): (
        "select sum(requests_count), sum(qualified_count), sum(won_requests_count) from card",
        MARKETING,
    ),
    ("marketer", "talk_and_wins_by_source"): (
        "select sum(segment_won_amount), sum(talk_share), sum(calls_share), sum(won_amount_share) "
        "from card",
        f"""
        select sum(company_amount), 1, 1, 1 from marts.fct_deal_closes
        where {WON} and closed_on >= {QUARTER} and closed_on <= {TODAY}
        """,
    ),
    ("morning_meeting", "missed_calls_by_day"): (
        "select sum(missed_count), sum(in_time_count), sum(late_count), sum(pending_count), "
        "sum(lost_count) from card",
        f"""
        select sum(missed_count), count(*) filter (where case_state = 'in_time'),
            count(*) filter (where case_state = 'late'),
            count(*) filter (where case_state = 'pending'),
            count(*) filter (where case_state = 'lost')
        from marts.metric_missed_calls__by_case
        where first_missed_on between {TODAY} - 13 and {TODAY}
        """,
    ),
    ("morning_meeting", "yesterday_and_today"): (
        "select sheet_part, sum(tasks_count), sum(meetings_count), sum(planned_calls_count), "
        "sum(payments_count), sum(closes_due_count), sum(closes_due_amount) "
        "from card group by sheet_part order by sheet_part",
        SHEET,
    ),
}


@pytest.fixture(scope="module")
def published(demo_run: DemoRun) -> Iterator[duckdb.DuckDBPyConnection]:
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect(str(marts), read_only=True) as connection:
        yield connection


CARDS = {(page.reader, card.name): card for page in read_dashboards() for card in page.cards}


def numbers(rows: list[tuple[object, ...]]) -> list[list[object]]:
    """Decimals and sums as floats; names and days as they are."""
    return [
        [
            one if hasattr(one, "year") or isinstance(one, str) else float(str(one or 0))
            for one in row
        ]
        for row in rows
    ]


@pytest.mark.parametrize("card", ADDS_UP, ids="/".join)
def test_a_card_adds_up_to_the_facts(
    published: duckdb.DuckDBPyConnection, card: tuple[str, str]
) -> None:
    shown, counted = ADDS_UP[card]
    sql = f"with card as ({CARDS[card].filled({})}) {shown}"
    found = numbers(published.execute(sql).fetchall())
    wanted = numbers(published.execute(counted).fetchall())
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one == [
            pytest.approx(each, rel=1e-9) if isinstance(each, float) else each for each in other
        ]
    assert any(isinstance(each, float) and each > 0 for row in wanted for each in row)


def test_every_card_that_sums_is_added_up_here() -> None:
    summing = {key for key, card in CARDS.items() if "sum(" in card.sql or "max(value)" in card.sql}
    assert summing <= set(ADDS_UP)


def test_who_calls_back_is_asked_by_the_whole_name(published: duckdb.DuckDBPyConnection) -> None:
    card = CARDS["manager", "clients_nobody_called_back"]
    rung = {row[0]: row[3] for row in published.execute(card.filled({})).fetchall()}

    def of(name: str) -> list[str | None]:
        rows = published.execute(card.filled({"employee": f"'{name}'"})).fetchall()
        return [row[3] for row in rows]

    assert None in rung.values()
    [full, *_] = [names for names in rung.values() if names and ", " in names]
    for name in full.split(", "):
        assert all(names is None or name in names.split(", ") for names in of(name))
        assert full in of(name)
        assert None in of(name)
        # Half a name is nobody.
        assert set(of(name[:-1])) == {None}


def test_a_person_of_two_connections_keeps_the_numbers_of_both() -> None:
    with duckdb.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.metric_scorecard__by_employee as
            select *, 'Sales' as department_name, 'month' as period_type, true as is_current,
                1 as department_rank, now() as as_of_at
            from (values ('a', 7, 'Ann', 'won', 3), ('b', 7, 'Ann', 'won', 5))
                as rows (source_key, reporting_employee_key, employee_name, metric_name, value);
            create table marts.metric_workload__by_day as
            select *, 'Sales' as department_name, date '2026-01-01' as stock_on,
                10 as open_cards_limit, now() as as_of_at
            from (values ('a', 7, 'Ann', 6), ('b', 7, 'Ann', 5))
                as rows (source_key, reporting_employee_key, employee_name, open_deals_count);
        """)
        scorecards = CARDS["head_of_sales", "scorecards_of_the_month"].filled({})
        shown = connection.execute(f"select source_key, won from ({scorecards}) order by 1")
        assert shown.fetchall() == [("a", 3), ("b", 5)]
        workload = CARDS["head_of_sales", "workload_now"].filled({})
        shown = connection.execute(f"select open_deals_count, is_over_limit from ({workload})")
        assert shown.fetchall() == [(11, True)]
