"""Reports on what goes wrong, of the demo company, beside plain Python that reads facts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.reference.reports import FACTS_OF_PLANS, Facts
from tests.reference.verdicts import (
    DROP,
    calls_by_hour,
    dead_cards,
    discipline,
    fullest_stages,
    lagged,
    losses,
    matching,
    missed_by_day,
    short_calls,
    turbulence,
    usual_counts,
    weekly,
)
from tests.support.demo_facts import Ask

MOSCOW = ZoneInfo("Europe/Moscow")


def test_missed_callers_by_day(ask: Ask) -> None:
    found = {
        row["first_missed_on"]: (
            row["missed_count"],
            row["cases_count"],
            row["contacted_count"],
            row["lost_count"],
            row["anonymous_count"],
        )
        for row in ask("select * from metrics.metric_missed_calls__by_day")
    }
    expected = missed_by_day(ask("select * from metrics.metric_missed_calls__by_case"))
    assert sum(one[3] for one in expected.values()) > 50
    assert {day: one for day, one in found.items() if any(one)} == expected
    first, last = min(found), max(found)
    assert len(found) == (last - first).days + 1


def test_calls_by_hour(facts: Facts, ask: Ask) -> None:
    found = {
        (
            row["reporting_employee_key"],
            row["month_start_on"],
            row["weekday_number"],
            row["hour_number"],
        ): (
            row["calls_count"],
            row["inbound_count"],
            row["outbound_count"],
            row["answered_count"],
            row["successful_count"],
            row["talk_seconds"],
        )
        for row in ask("select * from metrics.metric_calls__by_hour where calls_count > 0")
    }
    expected = calls_by_hour(facts, MOSCOW)
    assert len(expected) > 1_000
    assert found == expected


def test_losses(facts: Facts, ask: Ask) -> None:
    found = {
        (row["pipeline_key"], row["month_start_on"], row["reporting_employee_key"]): (
            row["lost"],
            pytest.approx(float(row["amount"] or 0)),
            row["proposed"],
            row["let_go"],
        )
        for row in ask(
            "select pipeline_key, month_start_on, reporting_employee_key, "
            "sum(lost_count)::bigint as lost, sum(lost_amount) as amount, "
            "sum(lost_after_proposal_count)::bigint as proposed, "
            "sum(let_go_count)::bigint as let_go "
            "from metrics.metric_losses__by_reason group by all"
        )
    }
    expected = losses(facts)
    assert sum(one[3] for one in expected.values()) > 10
    assert found == expected


def test_task_discipline(facts: Facts, ask: Ask) -> None:
    found = {
        (row["pipeline_key"], row["current_reporting_employee_key"]): (
            row["open_cards_count"],
            row["without_task_count"],
            row["overdue_count"],
            row["tasks_count"],
            row["moved_deadlines_count"],
            row["idle_moved_deadlines_count"],
        )
        for row in ask("select * from metrics.metric_task_discipline__by_employee")
    }
    assert found == discipline(facts)


@pytest.mark.parametrize(
    ("check", "reference"),
    [("turbulent_moves", turbulence), ("full_stage", fullest_stages), ("dead_cards", dead_cards)],
)
def test_funnel_health(
    check: str, reference: Callable[[Facts], Mapping[Any, tuple[int, int]]], facts: Facts, ask: Ask
) -> None:
    rows = ask(
        "select pipeline_key, numerator, denominator from metrics.metric_funnel_health__by_check "
        f"where slice_type = 'all' and health_check = '{check}'"
    )
    expected = reference(facts)
    found = {row["pipeline_key"]: (row["numerator"], row["denominator"]) for row in rows}
    assert len(found) >= 3
    assert found == {key: expected.get(key, (None, None)) for key in found}


def test_short_calls(facts: Facts, ask: Ask) -> None:
    rows = ask(
        "select * from metrics.metric_signals__by_employee where signal_name = 'short_calls'"
    )
    expected = short_calls(facts, [row["reporting_employee_key"] for row in rows])
    found = {
        row["reporting_employee_key"]: (
            row["numerator"],
            row["denominator"],
            row["second_numerator"],
            row["second_denominator"],
        )
        for row in rows
    }
    assert sum(one[0] for one in expected.values()) > 20
    assert found == expected


INDICATORS = ("calls", "successful_calls", "won")


@pytest.fixture(scope="module")
def weeks(facts: Facts) -> dict[str, Any]:
    return {
        name: weekly(
            [(day, float(value)) for day, _, value in FACTS_OF_PLANS[name](facts)], facts.as_of_on
        )
        for name in INDICATORS
    }


@pytest.mark.parametrize("name", INDICATORS)
def test_weeks_beside_the_eight_before(name: str, weeks: dict[str, Any], ask: Ask) -> None:
    found = {
        row["starts_on"]: row
        for row in ask(
            "select * from metrics.metric_weekly_indicators__by_week "
            f"where metric_name = '{name}' and slice_type = 'all' and is_finished"
        )
    }
    assert len(found) > 20
    assert {day: row["value"] for day, row in found.items()} == {
        day: week.value for day, week in weeks[name].items()
    }
    for day, week in weeks[name].items():
        if week.usual is None:
            assert not found[day]["is_alarm"]
            continue
        assert found[day]["usual_value"] == pytest.approx(week.usual)
        assert found[day]["drop_share"] == pytest.approx(week.drop)


def test_alarms(weeks: dict[str, Any], ask: Ask) -> None:
    raised = {
        row["starts_on"]
        for row in ask(
            "select * from metrics.metric_activity_alarms__by_week where is_alarm and is_finished "
            "and metric_name = 'successful_calls' and slice_type = 'all'"
        )
    }
    assert raised == {
        day
        for day, week in weeks["successful_calls"].items()
        if week.drop is not None and week.drop >= DROP
    }


def test_what_goes_before_wins(weeks: dict[str, Any], ask: Ask) -> None:
    found = {
        row["lag_weeks"]: (row["weeks_count"], row["correlation"])
        for row in ask(
            "select * from metrics.metric_leading_indicators__by_lag "
            "where metric_name = 'successful_calls' and slice_type = 'all'"
        )
    }
    expected = {lag: lagged(weeks["successful_calls"], weeks["won"], lag) for lag in range(1, 13)}
    assert found == {
        lag: (pairs, pytest.approx(correlation, abs=1e-6))
        for lag, (pairs, correlation) in expected.items()
    }


def test_how_calls_found_their_cards(facts: Facts, ask: Ask) -> None:
    rows = ask("select * from metrics.metric_call_matching__by_week")
    expected = matching(facts)
    assert len({method for _, method in expected}) >= 5
    assert {
        (row["week_start_on"], row["match_method"]): row["matched_calls_count"]
        for row in rows
        if row["matched_calls_count"]
    } == expected
    totals: Counter[dt.date] = Counter()
    for (week, _), count in expected.items():
        totals[week] += count
    for row in rows:
        week = row["week_start_on"]
        before = expected[week - dt.timedelta(days=7), row["match_method"]]
        all_before = totals[week - dt.timedelta(days=7)]
        if all_before:
            assert row["method_share_move"] == pytest.approx(
                row["matched_calls_count"] / totals[week] - before / all_before
            )


@pytest.mark.parametrize(
    ("listed", "fact", "day"), [("deals", "fct_deals", "created_on"), ("calls", None, "started_on")]
)
def test_new_rows_beside_what_is_usual(
    listed: str, fact: str | None, day: str, facts: Facts, ask: Ask
) -> None:
    rows = (
        facts.tables[fact]
        if fact
        else [call for call in facts.tables["fct_calls"] if call["call_id"] is not None]
    )
    found = {
        row["date_day"]: (row["new_rows_count"], row["weekdays_count"], row["usual_rows_count"])
        for row in ask(f"select * from metrics.metric_volumes__by_day where list_name = '{listed}'")
    }
    expected = usual_counts(Counter(row[day] for row in rows), facts.as_of_on)
    assert found == {
        date: (count, known, None if usual is None else Decimal(str(usual)))
        for date, (count, known, usual) in expected.items()
    }
