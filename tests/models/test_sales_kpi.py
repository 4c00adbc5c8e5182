"""The sales KPIs (R1) of the demo company, and the cards behind them (R25)."""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from orchestration.settings import PROJECT_DIR
from sources.demo.store import PortalStore
from tests.conftest import DemoRun
from tests.reference.kpi import Event, PeriodType, compared, events, period_of, value
from tests.reference.records import read_store
from tests.reference.rules import Rules, local_date
from tests.reference.stages import closes
from tests.support.companies import warehouse

RULES = Rules(time_zone="Europe/Moscow", pipeline_roles={2: "setter", 3: "service"})
AS_OF = dt.date(2026, 6, 30)
OF_CARDS = (
    "requests",
    "requests_qualified_so_far",
    "qualified",
    "deals_created",
    "deals_created_for_new_clients",
    "deals_created_for_repeat_clients",
    "deals_origin_lead_of_period",
    "deals_origin_older_lead",
    "stage_entries",
    "key_stage_entries",
    "won",
    "won_amount",
    "won_for_new_clients",
    "won_for_repeat_clients",
    "lost",
    "lost_amount",
    "open_cards",
    "qualified_share_cohort",
    "won_share_cohort",
    "open_share_cohort",
    "won_share_cohort_30_days",
    "won_share_cohort_60_days",
    "won_share_cohort_90_days",
    "won_share_cohort_180_days",
    "won_share_cohort_365_days",
    "won_share_closed",
    "average_check",
    "average_check_with_amount",
    "cycle_days_mean",
    "cycle_days_median",
)


def rates() -> dict[str, list[tuple[dt.date, Decimal]]]:
    found: dict[str, list[tuple[dt.date, Decimal]]] = defaultdict(list)
    with (PROJECT_DIR / "companies/demo/currency_rates.csv").open() as file:
        for row in csv.DictReader(file):
            day = dt.date.fromisoformat(row["valid_from"])
            found[row["currency"]].append((day, Decimal(row["rate"])))
    return found


def company_amounts(demo_run: DemoRun) -> dict[int, Decimal | None]:
    """Amounts in roubles: of won deals at the rate of the day they were won."""
    portal = read_store(demo_run.store)
    won_on: dict[int, dt.date] = {}
    for close in closes(portal, RULES):
        if close.outcome == "won" and close.ended_at is None:
            won_on[close.deal_id] = local_date(close.closed_at, RULES)
    known = rates()
    found: dict[int, Decimal | None] = {}
    with PortalStore(demo_run.store, read_only=True) as store:
        for row in store.query("select ID, OPPORTUNITY, CURRENCY_ID from deal"):
            amount = None if row["OPPORTUNITY"] is None else Decimal(row["OPPORTUNITY"])
            currency = row["CURRENCY_ID"] or "RUB"
            if amount is not None and currency != "RUB":
                day = won_on.get(row["ID"], AS_OF)
                valid = [rate for since, rate in known.get(currency, []) if since <= day]
                amount = amount * valid[-1] if valid else None
            if amount is not None:
                amount = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
            found[row["ID"]] = amount
    return found


@pytest.fixture(scope="module")
def expected_events(demo_run: DemoRun) -> list[Event]:
    roles: dict[tuple[int, str], set[str]] = defaultdict(set)
    with (PROJECT_DIR / "companies/demo/stages.csv").open() as file:
        for row in csv.DictReader(file):
            roles[int(row["pipeline_id"]), row["stage_id"]].add(row["role"])
    return events(read_store(demo_run.store), RULES, company_amounts(demo_run), roles)


def first_days(expected_events: list[Event]) -> dict[str, dt.date]:
    """Since when each number is known: by leads, entries into stages, or deals."""
    kinds = dict.fromkeys(OF_CARDS, "deals_created")
    kinds |= dict.fromkeys(("stage_entries", "key_stage_entries"), "stage_entries")
    of_requests = ("requests", "requests_qualified_so_far", "qualified", "qualified_share_cohort")
    kinds |= dict.fromkeys(of_requests, "requests")
    return {
        metric: min(event.day for event in expected_events if event.name == kind)
        for metric, kind in kinds.items()
    }


def kpi_rows(demo_run: DemoRun, slice_type: str, period_type: str) -> list[dict[str, Any]]:
    """Numbers of cards; of days and weeks one in so many."""
    with warehouse(demo_run.settings) as connection:
        found = connection.execute(
            "select kpi.*, pipelines.pipeline_id "
            "from metrics.metric_sales_kpi__by_period as kpi "
            "left join marts.dim_pipelines as pipelines using (pipeline_key) "
            "where kpi.slice_type = ? and kpi.period_type = ? "
            "and kpi.metric_name in (select unnest(?)) "
            "and (kpi.is_current or datediff('day', date '2025-01-06', kpi.starts_on) % ? = 0)",
            [slice_type, period_type, OF_CARDS, {"day": 29, "week": 28}.get(period_type, 1)],
        )
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("period_type", ["day", "week", "month", "quarter", "year"])
def test_numbers_of_cards_equal_the_reference(
    demo_run: DemoRun, expected_events: list[Event], period_type: PeriodType
) -> None:
    differing = []
    seen = 0
    known_from = first_days(expected_events)
    in_totals = [event for event in expected_events if event.in_totals]
    by_pipeline: dict[int, list[Event]] = defaultdict(list)
    for event in expected_events:
        by_pipeline[event.category_id].append(event)
    for slice_type in ("all", "pipeline"):
        for row in kpi_rows(demo_run, slice_type, period_type):
            if slice_type == "pipeline" and row["pipeline_id"] is None:
                continue
            inside = in_totals if slice_type == "all" else by_pipeline[row["pipeline_id"]]
            stretch = period_of(period_type, row["starts_on"])
            wanted = value(inside, row["metric_name"], stretch, period_type, AS_OF)
            # Before the first record of its kind a number is not known.
            if stretch[1] <= known_from[row["metric_name"]]:
                wanted = None
            if row["value"] != pytest.approx(wanted):
                differing.append((row["metric_name"], row["slice_value"], stretch, wanted, row))
            seen += 1
    assert differing == []
    assert seen > 50


@pytest.mark.parametrize("period_type", ["week", "month", "quarter", "year"])
def test_growth_compares_as_many_complete_days(
    demo_run: DemoRun, expected_events: list[Event], period_type: PeriodType
) -> None:
    in_totals = [event for event in expected_events if event.in_totals]
    known_from = first_days(expected_events)
    differing: list[tuple[Any, ...]] = []
    grown = 0
    for row in kpi_rows(demo_run, "all", period_type):
        metric = row["metric_name"]
        if metric.startswith("won_share_cohort_"):
            continue
        for note, before, growth, a_year in (
            ("growth_note", "previous_value", "growth_share", False),
            ("year_growth_note", "year_before_value", "year_growth_share", True),
        ):
            stretches = compared(period_type, row["starts_on"], AS_OF, a_year=a_year)
            begins = stretches[1][0] if stretches else dt.date.min
            now, then = (
                value(in_totals, metric, stretch, period_type, AS_OF) if stretch else None
                for stretch in stretches or (None, None)
            )
            if row[note] is not None:
                assert row[growth] is None
                reasons = {
                    "now_only": metric == "open_cards",
                    "no_value": now is None or row["value"] is None,
                    "no_complete_day": row["complete_days_count"] == 0,
                    "no_base": then is None or begins < known_from[metric],
                    "base_is_zero": then == 0,
                }
                if not reasons[row[note]]:
                    differing.append((metric, row["starts_on"], row[note], now, then))
                continue
            assert now is not None
            assert then
            grown += 1
            if (row[before], row[growth]) != (pytest.approx(then), pytest.approx(now / then - 1)):
                differing.append((metric, row["starts_on"], now, then, row))
    assert differing == []
    assert grown > 20


def test_an_unfinished_month_is_not_compared_with_a_whole_one(demo_run: DemoRun) -> None:
    with warehouse(demo_run.settings) as connection:
        rows = connection.execute(
            "select complete_days_count, previous_starts_on, previous_until_on "
            "from marts.dim_periods where is_current and period_type = 'month'"
        ).fetchall()
    assert rows == [(29, dt.date(2026, 5, 1), dt.date(2026, 5, 30))]


def test_every_listed_pipeline_and_present_seller_has_a_row_in_every_month(
    demo_run: DemoRun,
) -> None:
    with warehouse(demo_run.settings) as connection:
        lacking = connection.execute(
            """
            with wanted as (
                select pipelines.pipeline_key as slice_key, periods.starts_on
                from marts.dim_pipelines as pipelines
                cross join marts.dim_periods as periods
                where periods.period_type = 'month' and periods.starts_on >= date '2025-03-01'
                    and pipelines.is_listed and not pipelines.is_archived
                    and pipelines.pipeline_role <> 'ignore'
                union all
                select sellers.employee_key, periods.starts_on
                from marts.dim_sellers as sellers
                cross join marts.dim_periods as periods
                where periods.period_type = 'month' and periods.starts_on >= date '2025-03-01'
                    and periods.ends_on > sellers.seller_from_on
                    and periods.starts_on < sellers.seller_until_on
            )
            select * from wanted anti join metrics.metric_sales_kpi__by_period as kpi
            on kpi.period_type = 'month' and kpi.starts_on = wanted.starts_on
                and coalesce(kpi.pipeline_key, kpi.reporting_employee_key) = wanted.slice_key
            """
        ).fetchall()
        zeros = connection.execute(
            "select count(*) from metrics.metric_sales_kpi__by_period "
            "where period_type = 'month' and slice_type = 'employee' and value = 0"
        ).fetchone()
    assert lacking == []
    assert zeros is not None
    assert zeros[0] > 100


def test_what_describes_now_names_nobody_who_left(demo_run: DemoRun) -> None:
    with warehouse(demo_run.settings) as connection:
        named = connection.execute(
            """
            select distinct employees.employee_name
            from metrics.metric_cards__by_metric as cards
            inner join marts.dim_employees as employees
                on cards.reporting_employee_key = employees.employee_key
            where cards.metric_name in ('open_cards', 'open_amount', 'forgotten_cards')
                and employees.employee_kind = 'person'
                and employees.former_from_on <= date '2026-06-30'
            """
        ).fetchall()
        former = connection.execute(
            "select sum(contribution) from metrics.metric_cards__by_metric "
            "where metric_name = 'open_cards' and reporting_employee_key = -1"
        ).fetchone()
    assert named == []
    assert former is not None
    assert former[0] > 0
