"""The reports of the demo company beside plain Python that reads facts (R1: test_sales_kpi).

Of each report its main numbers, everywhere that it has a row; the by-hand companies show the rest.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from tests.reference.reports import (
    FACTS_OF_PLANS,
    Facts,
    abc,
    call_load,
    cards_behind,
    client_sums,
    cycles,
    done,
    entries,
    funnel,
    marketing,
    mean_of,
    month_of,
    open_on,
    proportions,
    ranks,
    stays,
    wins_by_talk,
    work_now,
)
from tests.support.demo_facts import Ask

FORGOTTEN_DAYS, LIMIT = 20, 60
"""Defaults of SPEC.md, which the company leaves as they are."""


def without_zeros(found: Mapping[Any, Any]) -> dict[Any, Any]:
    """Rows that say something: tables have rows of zeros for what is dense."""
    return {
        key: value
        for key, value in found.items()
        if any(value if isinstance(value, tuple) else (value,))
    }


def close_to(expected: Mapping[Any, tuple[Any, ...]]) -> dict[Any, Any]:
    return {key: pytest.approx(value) for key, value in expected.items()}


def test_funnels(facts: Facts, ask: Ask) -> None:
    found = {
        (row["pipeline_key"], row["stage_key"], row["month_start_on"]): (
            row["cohort_count"],
            row["reached_count"],
            row["lost_from_here_count"],
            row["open_here_count"],
            row["entered_count"],
        )
        for row in ask("select * from metrics.metric_funnel__by_stage where slice_type = 'all'")
    }
    assert without_zeros(found) == without_zeros(funnel(facts))


def test_stays_and_cycles(facts: Facts, ask: Ask) -> None:
    found = {
        (row["stage_key"], row["month_start_on"]): (
            row["ended_count"],
            row["stay_days_mean"],
            row["stay_days_median"],
        )
        for row in ask(
            "select * from metrics.metric_stage_durations__by_stage "
            "where slice_type = 'all' and ended_count > 0"
        )
    }
    assert found == close_to(stays(facts))
    of_pipelines = {
        (row["pipeline_key"], row["month_start_on"]): (row["won_count"], row["cycle_days_median"])
        for row in ask(
            "select * from metrics.metric_cycles__by_month "
            "where slice_type = 'all' and won_count > 0"
        )
    }
    assert of_pipelines == close_to(cycles(facts))


def test_the_load_of_calls_by_stage_and_talker(facts: Facts, ask: Ask) -> None:
    labels = employee_labels(facts)
    found: dict[Any, list[int]] = defaultdict(lambda: [0] * 12)
    for row in ask(
        "select stage_key, call_place, segment_value, month_start_on, "
        "sum(calls_count), sum(inbound_count), sum(outbound_count), sum(answered_count), "
        "sum(successful_count), sum(talk_seconds), sum(talk_0_count), sum(talk_1_to_10_count), "
        "sum(talk_11_to_20_count), sum(talk_21_to_39_count), sum(talk_40_to_119_count), "
        "sum(talk_120_plus_count) from metrics.metric_call_load__by_stage as load "
        "inner join marts.dim_dates as dates on load.called_on = dates.date_day "
        "where segment_type = 'talker' group by all"
    ):
        *key, month = list(row.values())[:4]
        found[*key, month] = [int(value) for value in list(row.values())[4:]]
    expected = {
        (stage, place, labels[talker], month): list(counts)
        for (stage, place, talker, month), counts in call_load(facts).items()
    }
    assert found == expected


def employee_labels(facts: Facts) -> dict[Any, str]:
    """As lists of names have them: with the id, since two people may share a name."""
    return {
        row["employee_key"]: f"{row['employee_name']} [{row['employee_id']}]"
        if row["employee_kind"] in ("person", "system")
        else row["employee_name"]
        for row in facts.tables["dim_employees"]
    }


@pytest.mark.parametrize("segment_type", ["all", "source", "employee"])
def test_proportions_of_calls_and_wins(facts: Facts, ask: Ask, segment_type: str) -> None:
    cards, labels = facts.by_key("dim_cards", "card_key"), employee_labels(facts)

    def segment(row: Mapping[str, Any]) -> str:
        if segment_type == "all":
            return "all"
        if segment_type == "employee":
            return labels[row["reporting_employee_key"]]
        key = row.get("card_key") or row["deal_key"]
        return "(no card)" if key is None else str(cards[key]["source_name"])

    expected = proportions(facts, segment)
    talk: Counter[dt.date] = Counter()
    for (_, month), one in expected.items():
        talk[month] += one.talk
    found = {
        (row["segment_value"], row["starts_on"]): (
            row["segment_calls_count"],
            row["segment_talk_seconds"],
            row["segment_won_count"],
            row["segment_won_amount"],
            row["talk_share"],
            row["won_share_closed"],
            row["won_amount_per_talk_minute"],
            row["talk_minutes_per_won_deal"],
        )
        for row in ask(
            "select * from metrics.metric_call_proportions__by_segment where period_type = 'month' "
            f"and call_view = 'calls_of_period' and segment_type = '{segment_type}'"
        )
    }
    assert found == close_to(
        {
            (value, month): (
                one.calls,
                one.talk,
                one.won,
                one.amount,
                one.talk / talk[month] if talk[month] else None,
                one.won / one.closed if one.closed else None,
                one.amount * 60 / one.talk if one.talk else None,
                one.talk / 60 / one.won if one.won else None,
            )
            for (value, month), one in expected.items()
        }
    )


def test_wins_are_split_over_all_who_talked(facts: Facts, ask: Ask) -> None:
    labels = employee_labels(facts) | {None: "(no talk)"}
    found = {
        (row["segment_value"], row["starts_on"]): row["segment_won_count"]
        for row in ask(
            "select * from metrics.metric_call_proportions__by_segment where period_type = 'month' "
            "and call_view = 'calls_of_period' and segment_type = 'talker' "
            "and segment_won_count > 0"
        )
    }
    expected = wins_by_talk(facts)
    assert found == {
        (labels[talker], month): pytest.approx(won, abs=1e-6)
        for (talker, month), won in expected.items()
    }


def test_facts_beside_norms_and_goals(facts: Facts, ask: Ask) -> None:
    rows = ask(
        "select * from metrics.metric_plan_fact__by_target where target_for <> 'department' "
        "and fact_value is not null"
    )
    assert {row["target_kind"] for row in rows} == {"norm", "goal"}
    counted: dict[Any, list[tuple[dt.date, Any, float]]] = {}
    wrong = []
    for row in rows:
        what = (row["metric_name"], row["stage_key"])
        if what not in counted:
            counted[what] = list(
                entries(facts, row["stage_key"])
                if row["stage_key"]
                else FACTS_OF_PLANS[row["metric_name"]](facts)
            )
        expected = done(
            counted[what], row["reporting_employee_key"], row["starts_on"], row["ends_on"]
        )
        if row["fact_value"] != pytest.approx(expected):
            wrong.append(
                (*what, row["employee_name"], row["starts_on"], row["fact_value"], expected)
            )
    assert wrong == []


def test_the_pace_of_goals(facts: Facts, ask: Ask) -> None:
    """The company's goals; those of people also lose the days of their absences."""
    dates = facts.tables["dim_dates"]
    rows = ask(
        "select * from metrics.metric_plan_fact__by_target "
        "where target_kind = 'goal' and target_for = 'company' and fact_value is not null"
    )
    assert rows
    for row in rows:
        days = [
            day["date_day"]
            for day in dates
            if row["starts_on"] <= day["date_day"] < row["ends_on"] and day["is_working_day"]
        ]
        passed = sum(day < facts.as_of_on for day in days)
        assert row["pace_value"] == pytest.approx(row["plan_value"] * passed / len(days))


def test_what_is_in_work_and_forgotten(facts: Facts, ask: Ask) -> None:
    found = {}
    for row in ask("select * from metrics.metric_open_cards__by_card"):
        is_deal = row["card_type"] == "deal"
        found[row["card_key"]] = (
            row["days_on_stage"],
            row["call_band"],
            row["touch_band"],
            row["is_forgotten"],
            (row["weight_won_count"], row["weight_closed_count"]) if is_deal else None,
            row["expected_close_at"] and row["expected_close_at"].replace(microsecond=0),
            bool(row["is_overdue"]),
        )
    expected = {
        key: (
            one.days_on_stage,
            one.call_band,
            one.touch_band,
            one.is_forgotten,
            one.weight,
            one.expected_at and one.expected_at.replace(microsecond=0),
            one.is_overdue,
        )
        for key, one in work_now(facts, FORGOTTEN_DAYS).items()
    }
    assert any(one[3] for one in expected.values())
    assert found == expected


def test_the_forecast_of_the_month(facts: Facts, ask: Ask) -> None:
    """Won so far, and the chances of what is expected in the rest, in pipelines that sell."""
    (row,) = ask(
        "select sum(won_count) as won, sum(expected_count) as expected, "
        "sum(forecast_count) as forecast from metrics.metric_forecast__by_period "
        "where period_type = 'month' and is_in_totals"
    )
    month = month_of(facts.as_of_on)
    won = done(FACTS_OF_PLANS["won"](facts), None, month, facts.as_of_on + dt.timedelta(days=1))
    (last,) = ask("select ends_at from marts.dim_dates where date_day = date '2026-06-30'")
    cards = {card["card_key"]: card for card in facts.open_cards}
    expected = sum(
        one.weight[0] / one.weight[1]
        for key, one in work_now(facts, FORGOTTEN_DAYS).items()
        if one.weight
        and one.weight[1]
        and one.expected_at
        and not one.is_overdue
        and one.expected_at < last["ends_at"]
        and facts.roles[cards[key]["pipeline_key"]] == "sales"
    )
    assert expected > 0
    assert (row["won"], row["expected"]) == (won, pytest.approx(expected))
    assert row["forecast"] == pytest.approx(won + expected)


def test_the_client_base(facts: Facts, ask: Ask) -> None:
    rows = ask("select * from metrics.metric_clients__by_client")
    found = {
        row["client_key"]: (
            float(row["open_amount"] or 0),
            row["won_count"],
            float(row["won_amount"] or 0),
            float(row["won_12_months_amount"] or 0),
        )
        for row in rows
    }
    assert without_zeros(found) == without_zeros(client_sums(facts))
    classes = abc({row["client_key"]: float(row["won_12_months_amount"] or 0) for row in rows})
    assert {row["client_key"]: row["abc_class"] for row in rows} == classes
    assert set(classes.values()) == {"A", "B", "C", None}


def test_the_open_pipeline_of_former_days(facts: Facts, ask: Ask) -> None:
    ends = {row["date_day"]: row["ends_at"] for row in facts.tables["dim_dates"]}
    for days in range(1, 500, 83):
        day = facts.as_of_on - dt.timedelta(days=days)
        found = {
            row["stage_key"]: row["open"]
            for row in ask(
                "select stage_key, sum(open_deals_count)::bigint as open "
                f"from marts.fct_open_pipeline where stock_on = date '{day}' "
                "group by stage_key having sum(open_deals_count) > 0"
            )
        }
        assert found == open_on(facts, ends[day]), day


def test_the_load_of_owners_now(facts: Facts, ask: Ask) -> None:
    expected = Counter(
        card["current_reporting_employee_key"] for card in facts.open_cards if "deal_id" in card
    )
    found = {
        row["reporting_employee_key"]: (row["open_deals_count"], row["is_over_limit"])
        for row in ask(
            "select * from metrics.metric_workload__by_day "
            f"where stock_on = date '{facts.as_of_on}' and open_deals_count > 0"
        )
    }
    people = {
        row["employee_key"]
        for row in facts.tables["dim_employees"]
        if row["employee_kind"] == "person"
    }
    assert {key: count for key, (count, _) in found.items()} == expected
    assert {key for key, (_, is_over) in found.items() if is_over} == {
        key for key, count in expected.items() if count > LIMIT and key in people
    }


def test_requests_by_source(facts: Facts, ask: Ask) -> None:
    found = {
        (row["slice_value"], row["starts_on"]): (
            row["requests_count"],
            row["qualified_count"],
            row["won_requests_count"],
            row["open_requests_count"],
            row["won_deals_count"],
            float(row["won_amount"] or 0),
        )
        for row in ask(
            "select * from metrics.metric_marketing__by_source where period_type = 'month' "
            "and slice_type = 'source' and requests_count > 0"
        )
    }
    assert found == {
        key: (one.requests, one.qualified, one.won, one.open, one.won_deals, one.amount)
        for key, one in marketing(facts).items()
    }


def test_sellers_beside_each_other(facts: Facts, ask: Ask) -> None:
    """R24: wins of full months, of those who were there; the closing rate, and the places in it."""
    months = sorted({month_of(close["closed_on"]) for close in facts.sales})[-4:-1]
    assert len(months) == 3
    for month in months:
        present = {
            row["employee_key"]: row["department_name"]
            for row in facts.tables["dim_sellers"]
            if row["seller_from_on"] < (month + dt.timedelta(days=31)).replace(day=1)
            and row["seller_until_on"] > month
        }
        won: Counter[Any] = Counter()
        closed: Counter[Any] = Counter()
        for close in facts.sales:
            if month_of(close["closed_on"]) == month:
                closed[close["reporting_employee_key"]] += 1
                won[close["reporting_employee_key"]] += close["outcome"] == "won"
        rates = {key: won[key] / closed[key] if closed[key] else None for key in present}
        mean = mean_of([won[key] for key in present])
        rate = won.total() / closed.total()
        for name, values, of_company in (
            ("won", {key: float(won[key]) for key in present}, mean),
            ("won_share_closed", rates, rate),
        ):
            places = {
                key: place
                for team in set(present.values())
                for key, place in ranks(
                    {one: values[one] for one in present if present[one] == team},
                    is_higher_better=True,
                ).items()
            }
            found = {
                row["reporting_employee_key"]: (
                    row["value"],
                    row["company_value"],
                    row["department_rank"],
                )
                for row in ask(
                    "select * from metrics.metric_scorecard__by_employee "
                    f"where metric_name = '{name}' and period_type = 'month' "
                    f"and starts_on = date '{month}'"
                )
            }
            assert found == close_to(
                {key: (values[key], of_company, places[key]) for key in present}
            )


def test_cards_behind_numbers(facts: Facts, ask: Ask) -> None:
    """R25: every card's contribution by metric, day and person."""
    for metric, expected in cards_behind(facts).items():
        found = {
            (row["happened_on"], row["reporting_employee_key"], row["card_key"]): row["value"]
            for row in ask(
                "select happened_on, reporting_employee_key, card_key, sum(contribution) as value "
                f"from metrics.metric_cards__by_metric where metric_name = '{metric}' "
                "and is_in_totals group by all"
            )
        }
        assert without_zeros(found) == without_zeros(expected), metric
