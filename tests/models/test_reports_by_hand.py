"""Every report on a company so small that its numbers can be checked with a pencil.

Monday, 2 March 2026, 12:00 UTC is day 0; as-of is day 30, 1 April. One pipeline: NEW, WORK (a key
stage, and the proposal), WON, LOST. Anna is user 1, Boris user 2; there are no leads.

| deal | amount | owner | NEW | WORK | WON | LOST |
|------|--------|-------|-----|------|-----|------|
| 1    | 100    | Anna  | 0   | 1    | 3   |      |
| 2    | 50     | Boris | 0   | 2    |     | 5    |
| 3    | 200    | Boris | 1   |      |     |      |
| 4    | 300    | Anna  | 0   |      | 4   |      |
| 5    | none   | Anna  | 0   | 0    |     |      |

| call | day | who   | deal | talk  |
|------|-----|-------|------|-------|
| 1    | 1   | Anna  | 1    | 120 s |
| 2    | 2   | Boris | 1    | 60 s  |
| 3    | 4   | Boris | 2    | 180 s |
| 4    | 6   | Anna  | none | 60 s  |
| 5    | 3   | Anna  | 4    | none  |
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.support.by_hand import built_company
from tests.support.companies import (
    asked,
    warehouse,
)
from tests.support.portals import at, call_row, deal_row, history_row, make_portal
from tests.support.semantic_layer import SemanticLayer

DAY = 24 * 60
MARCH = dt.date(2026, 3, 1)
FILES = {
    "stages.csv": """connection,pipeline_id,stage_id,role
main,0,WORK,key
main,0,WORK,proposal
""",
    "goals.csv": """metric,stage,connection,employee_id,department,period,starts_on,value
won,,,,,month,2026-03-01,4
won,,main,1,,month,2026-03-01,2
won_amount,,main,1,,month,2026-03-01,1000
talk_minutes,,main,2,,month,2026-03-01,4
stage_entries,,,,,month,2026-03-01,3
stage_entries,0:WON,main,,,month,2026-03-01,5
calls,,,,,month,2026-04-01,22
""",
    "norms.csv": """metric,stage,connection,employee_id,department,period,valid_from,value
calls,,main,1,,week,2026-03-02,10
""",
    "absences.csv": """connection,employee_id,from_on,until_on
main,1,2026-03-09,2026-03-11
""",
}


def portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=30 * DAY)
    store.insert("user", [{"ID": 2, "ACTIVE": 1, "NAME": "Boris", "USER_TYPE": "employee"}])
    won = {"STAGE_ID": "WON", "STAGE_SEMANTIC_ID": "S"}
    lost = {"STAGE_ID": "LOST", "STAGE_SEMANTIC_ID": "F"}
    # A planned date of the day after tomorrow was set by somebody; a week after creation was not.
    week = at(7 * DAY)
    store.insert(
        "deal",
        [
            deal_row(1, OPPORTUNITY="100.00", MOVED_TIME=at(3 * DAY), **won),
            deal_row(2, OPPORTUNITY="50.00", ASSIGNED_BY_ID=2, MOVED_TIME=at(5 * DAY), **lost),
            deal_row(
                3,
                OPPORTUNITY="200.00",
                ASSIGNED_BY_ID=2,
                DATE_CREATE=at(DAY),
                CLOSEDATE=at(32 * DAY),
            ),
            deal_row(4, OPPORTUNITY="300.00", MOVED_TIME=at(4 * DAY), **won),
            deal_row(5, OPPORTUNITY=None, STAGE_ID="WORK", CLOSEDATE=week),
        ],
    )
    store.insert(
        "stage_history",
        [
            history_row(1, 1, 0, "NEW"),
            history_row(2, 1, DAY, "WORK"),
            history_row(3, 1, 3 * DAY, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(4, 2, 0, "NEW"),
            history_row(5, 2, 2 * DAY, "WORK"),
            history_row(6, 2, 5 * DAY, "LOST", STAGE_SEMANTIC_ID="F"),
            history_row(7, 3, DAY, "NEW"),
            history_row(8, 4, 0, "NEW"),
            history_row(9, 4, 4 * DAY, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(10, 5, 0, "NEW"),
            history_row(11, 5, 1, "WORK"),
        ],
    )

    def bound(deal: int) -> dict[str, Any]:
        return {"CRM_ENTITY_TYPE": "DEAL", "CRM_ENTITY_ID": deal}

    store.insert(
        "call",
        [
            call_row(1, DAY + 10, CALL_DURATION=120, **bound(1)),
            call_row(2, 2 * DAY + 10, PORTAL_USER_ID=2, **bound(1)),
            call_row(3, 4 * DAY, PORTAL_USER_ID=2, CALL_DURATION=180, **bound(2)),
            call_row(4, 6 * DAY, PHONE_NUMBER="+79000000099"),
            call_row(5, 3 * DAY, CALL_DURATION=0, CALL_FAILED_CODE="304", **bound(4)),
        ],
    )
    return store


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return built_company(
        tmp_path_factory.mktemp("by_hand"),
        {"main": portal},
        environment={"DBT_WRITE_JSON": "true"},
        files=FILES,
        reports={"health_cards_min": 1, "graveyard_days": 29},
    )


def kpis(settings: Settings, slice_value: str, period_type: str, starts_on: dt.date) -> Any:
    return dict(
        asked(
            settings,
            "select metric_name, value from metrics.metric_sales_kpi__by_period "
            "where slice_value = ? and period_type = ? and starts_on = ?",
            slice_value,
            period_type,
            starts_on,
        )
    )


def test_the_month_of_the_company(company: Settings) -> None:
    found = kpis(company, "all", "month", MARCH)
    expected = {
        "requests": 5,
        "deals_created": 5,
        "deals_created_for_new_clients": 5,
        "deals_origin_lead_of_period": 0,
        "won": 2,
        "won_amount": 400,
        "lost": 1,
        "lost_amount": 50,
        "stage_entries": 11,
        "key_stage_entries": 3,
        "calls": 5,
        "successful_calls": 4,
        "talk_minutes": 7,
        "won_share_closed": 2 / 3,
        "won_share_cohort": 2 / 5,
        "open_share_cohort": 2 / 5,
        "average_check": 200,
        "average_check_with_amount": 200,
        # 3 and 4 days.
        "cycle_days_mean": 3.5,
        "cycle_days_median": 3.5,
        "calls_per_won_deal": 2.5,
        "talk_minutes_per_won_deal": 3.5,
        # March is not 30 days old.
        "won_share_cohort_30_days": None,
    }
    assert {name: found[name] for name in expected} == {
        name: value if value is None else pytest.approx(value) for name, value in expected.items()
    }
    # What describes now stands in April.
    assert "open_cards" not in found
    now = kpis(company, "all", "month", dt.date(2026, 4, 1))
    assert (now["open_cards"], now["open_amount"], now["forgotten_cards"]) == (2, 200, 1)
    assert (now["won"], now["won_share_closed"]) == (0, None)


def test_wins_go_to_the_owner_calls_to_the_talker(company: Settings) -> None:
    anna, boris = (kpis(company, name, "month", MARCH) for name in ("Anna Test [1]", "Boris [2]"))
    assert (anna["won"], anna["won_amount"], anna["lost"], anna["calls"]) == (2, 400, 0, 3)
    assert (boris["won"], boris["lost"], boris["calls"], boris["talk_minutes"]) == (0, 1, 2, 4)
    assert (anna["won_share_closed"], boris["won_share_closed"]) == (1, 0)


def test_a_week_without_anything_is_zero_and_before_the_first_record_nothing(
    company: Settings,
) -> None:
    empty = kpis(company, "all", "week", dt.date(2026, 3, 16))
    assert (empty["won"], empty["calls"], empty["average_check"]) == (0, 0, None)
    assert kpis(company, "all", "week", dt.date(2026, 2, 23)) == {}
    rows = asked(
        company,
        "select growth_share, growth_note from metrics.metric_sales_kpi__by_period "
        "where slice_type = 'all' and metric_name = 'calls' and period_type = 'week' "
        "order by starts_on",
    )
    # The week of the first call began a day before it: nothing is compared with half a week.
    assert [row[1] for row in rows[:3]] == ["no_base", "no_base", "base_is_zero"]
    assert {row[0] for row in rows[:3]} == {None}


@pytest.mark.parametrize(
    ("view", "segment", "value", "calls", "talk", "won", "amount"),
    [
        ("calls_of_period", "all", "all", 5, 420, 2, 400),
        ("calls_of_closed_deals", "all", "all", 4, 360, 2, 400),
        ("calls_of_period", "pipeline", "(no card)", 1, 60, 0, 0),
        ("calls_of_period", "employee", "Anna Test [1]", 3, 180, 2, 400),
        ("calls_of_period", "employee", "Boris [2]", 2, 240, 0, 0),
        # Deal 1 was talked for by both, 120 and 60 seconds; deal 4 by nobody.
        ("calls_of_period", "talker", "Anna Test [1]", 3, 180, 2 / 3, 200 / 3),
        ("calls_of_period", "talker", "Boris [2]", 2, 240, 1 / 3, 100 / 3),
        ("calls_of_period", "talker", "(no talk)", 0, 0, 1, 300),
        ("calls_of_closed_deals", "talker", "Boris [2]", 2, 240, 1 / 3, 100 / 3),
    ],
)
def test_calls_are_shared_out_beside_wins(
    company: Settings,
    view: str,
    segment: str,
    value: str,
    calls: float,
    talk: float,
    won: float,
    amount: float,
) -> None:
    (row,) = asked(
        company,
        "select segment_calls_count, segment_talk_seconds, segment_won_count, segment_won_amount, "
        "talk_share, won_amount_per_talk_minute "
        "from metrics.metric_call_proportions__by_segment where call_view = ? "
        "and segment_type = ? and segment_value = ? and period_type = 'month' and starts_on = ?",
        view,
        segment,
        value,
        MARCH,
    )
    whole = 420 if view == "calls_of_period" else 360
    expected = (calls, talk, won, amount, talk / whole, amount / (talk / 60) if talk else None)
    assert row == pytest.approx(expected)


def test_the_funnel_counts_a_jump_as_reached_and_a_loss_to_its_last_stage(
    company: Settings,
) -> None:
    rows = asked(
        company,
        "select stage_name, cohort_count, reached_count, reached_share, "
        "reached_of_previous_share, lost_from_here_count, lost_from_here_amount, "
        "open_here_count, entered_count from metrics.metric_funnel__by_stage "
        "where slice_type = 'all' and month_start_on = ? order by stage_position",
        MARCH,
    )
    assert [row[1:] for row in rows] == [
        (5, 5, 1.0, None, 0, 0, 1, 5),
        (5, 4, 0.8, 0.8, 1, 50, 1, 3),
        (5, 2, 0.4, 0.5, 0, 0, 0, 2),
    ]


def test_stays_that_ended_and_stays_that_have_not_are_apart(company: Settings) -> None:
    rows = asked(
        company,
        "select stages.stage_id, durations.month_start_on, ended_count, stay_days_median, "
        "open_now_count, floor(age_days_max) "
        "from metrics.metric_stage_durations__by_stage as durations "
        "inner join marts.dim_stages as stages using (stage_key) "
        "where slice_type = 'all' order by 2, 1",
    )
    april = dt.date(2026, 4, 1)
    # Of NEW: a minute, 1, 2 and 4 days; of WORK: 2 and 3.
    assert rows == [
        ("NEW", MARCH, 4, 1.5, 0, None),
        ("WORK", MARCH, 2, 2.5, 0, None),
        ("NEW", april, 0, None, 1, 29),
        ("WORK", april, 0, None, 1, 29),
    ]


def test_a_deal_that_nobody_touched_after_the_proposal_was_let_go(company: Settings) -> None:
    rows = asked(
        company,
        "select month_start_on, stages.stage_id, employee_name, loss_reason_name, "
        "loss_reason_basis, lost_count, lost_amount, lost_after_proposal_count, let_go_count "
        "from metrics.metric_losses__by_reason inner join marts.dim_stages as stages "
        "using (stage_key)",
    )
    # One call lies between.
    assert [row[:3] + row[4:] for row in rows] == [(MARCH, "WORK", "Boris", "stage", 1, 50, 1, 1)]


def test_what_is_in_work_now(company: Settings) -> None:
    rows = asked(
        company,
        "select deals.deal_id, days_on_stage, touch_band, call_band, is_on_key_stage, "
        "is_forgotten, expected_close_basis, weight_won_count, weight_closed_count, "
        "weight_basis, weighted_amount from metrics.metric_open_cards__by_card as cards "
        "inner join marts.fct_deals as deals on cards.card_key = deals.deal_key order by 1",
    )
    assert [row[:10] for row in rows] == [
        # Nobody has touched deal 3 since it was made.
        (3, 29, "never", "never", False, False, "planned", 2, 3, "pipeline"),
        # Its move is the last touch of deal 5; the planned date is the one that the system sets.
        (5, 29, "15-30", "never", True, True, "pipeline", 2, 3, "pipeline"),
    ]
    assert [float(row[10]) if row[10] is not None else None for row in rows] == [133.33, None]


def test_what_a_pipeline_suffers_from(company: Settings) -> None:
    rows = asked(
        company,
        "select left(employee_name, 4), health_check, stage_name, numerator, denominator, "
        "measured_value, limit_value, pipeline_measured_value, cards_count, is_ill "
        "from metrics.metric_funnel_health__by_check "
        "where pipeline_name = 'Sales' order by employee_name nulls first, health_check",
    )
    found = {
        row[:3]: (
            *(
                None if value is None else pytest.approx(float(value), abs=1e-4)
                for value in row[3:9]
            ),
            row[9],
        )
        for row in rows
    }
    cycle = 3.5
    assert {key: value for key, value in found.items() if key[0] is None} == {
        # Two cards are open, both untouched for 29 days and more, without a task.
        (None, "dead_cards", None): (2, 2, 1, 0.2, 1, 2, True),
        # Deal 3 by its plan, deal 5 at once, each with a chance of 2 in 3; 2 wins in 90 days.
        (None, "expected_wins", None): (
            4 / 3,
            2 / 90 * cycle,
            4 / 3 / (2 / 90 * cycle),
            0.8,
            4 / 3 / (2 / 90 * cycle),
            2,
            False,
        ),
        (None, "full_stage", rows[2][2]): (1, 2, 0.5, 0.4, 0.5, 2, True),
        # Two left WORK in the pipeline's 30 days, after 2 and 3 days there: 15 days to clear it.
        (None, "slow_stage", "Work"): (1, 2 / 30, 15, 5, 15, 2, True),
        # Of five moves deal 4's went over a stage; losses are no moves along the pipeline.
        (None, "turbulent_moves", None): (1, 5, 0.2, 0.15, 0.2, 4, True),
    }
    assert {key: value for key, value in found.items() if key[0] == "Bori"} == {
        ("Bori", "dead_cards", None): (1, 1, 1, 0.2, 1, 1, True),
        ("Bori", "expected_wins", None): (
            2 / 3,
            0,
            None,
            0.8,
            4 / 3 / (2 / 90 * cycle),
            1,
            None,
        ),
        ("Bori", "full_stage", "New"): (1, 1, 1, 0.4, 0.5, 1, True),
        # Of his only deal 2 left it: 30 days to clear it, against twice the median of all, 1.5.
        ("Bori", "slow_stage", "New"): (1, 1 / 30, 30, 3, 15, 1, True),
        ("Bori", "turbulent_moves", None): (0, 1, 0, 0.15, 0.2, 1, False),
    }


def test_a_funnel_at_equal_age_waits_until_every_card_is_so_old(company: Settings) -> None:
    # March ends on the day before as-of: none of its cards can be 30 days old.
    assert asked(company, "select * from metrics.metric_funnel_at_age__by_stage") == []


def test_cycles_run_from_creation_to_the_win(company: Settings) -> None:
    rows = asked(
        company,
        "select slice_type, left(slice_value, 4), won_count, cycle_days_sum, cycle_days_mean, "
        "cycle_days_median, previous_won_count from metrics.metric_cycles__by_month order by 1",
    )
    assert [(row[0], *row[2:]) for row in rows] == [
        (slice_type, 2, 7.0, 3.5, 3.5, None)
        for slice_type in ("all", "department", "employee", "product")
    ]


def test_the_forecast_is_what_was_won_and_the_chances_of_what_is_expected(
    company: Settings,
) -> None:
    rows = asked(
        company,
        "select period_type, left(employee_name, 4), won_count, expected_deals_count, "
        "expected_count, expected_amount, late_expected_count, forecast_count, forecast_amount "
        "from metrics.metric_forecast__by_period where expected_deals_count > 0 order by 1, 2",
    )
    # Deal 3 is planned for Friday 3 April, deal 5 is expected at once and has no amount.
    anna, boris = (0, 1, 2 / 3, 0, 2 / 3, 2 / 3, 0), (0, 1, 2 / 3, 133.33, 0, 2 / 3, 133.33)
    assert [(row[0], row[1], *map(float, row[2:])) for row in rows] == [
        ("day", "Anna", *map(pytest.approx, anna)),
        ("month", "Anna", *map(pytest.approx, anna)),
        ("month", "Bori", *map(pytest.approx, boris)),
        ("week", "Anna", *map(pytest.approx, anna)),
        ("week", "Bori", *map(pytest.approx, boris)),
    ]


def test_the_call_register_names_stage_and_method(company: Settings) -> None:
    rows = asked(
        company,
        "select system_call_id, left(employee_name, 4), talk_band, register.match_method, "
        "stage_name, register.card_url is not null "
        "from metrics.metric_call_register__by_call as register "
        "inner join marts.fct_calls using (call_key) order by 1",
    )
    assert rows == [
        ("call-1", "Anna", "120+", "bound_deal", "Work", True),
        ("call-2", "Bori", "40-119", "bound_deal", "Work", True),
        ("call-3", "Bori", "120+", "bound_deal", "Work", True),
        ("call-4", "Anna", "40-119", "unknown_number", None, False),
        ("call-5", "Anna", "0", "bound_deal", "New", True),
    ]


def test_the_sheet_of_the_morning(company: Settings) -> None:
    rows = asked(
        company,
        "select left(employee_name, 4), sheet_part, item_type, due_on, due_basis, metric_name "
        "from metrics.metric_operative_sheet__by_item order by 1, 2, 3",
    )
    assert rows == [
        ("Anna", "today", "expected_close", dt.date(2026, 4, 1), "pipeline", None),
        ("Anna", "today", "norm", dt.date(2026, 4, 1), None, "calls"),
        ("Bori", "next_7_days", "expected_close", dt.date(2026, 4, 3), "planned", None),
    ]


def test_the_push_list_is_by_chance_times_amount(company: Settings) -> None:
    rows = asked(
        company,
        "select stage_name, push_rank from metrics.metric_open_cards__by_card order by 1",
    )
    assert rows == [("New", None), ("Work", 1)]


def test_plans_stand_beside_what_was_done(company: Settings) -> None:
    rows = asked(
        company,
        "select metric_name, target_for, stage_name is not null, plan_value, fact_value, "
        "is_below_plan, members_count, members_reached_count "
        "from metrics.metric_plan_fact__by_target where target_kind = 'goal' "
        "and starts_on = ? order by 1, 2, 3",
        MARCH,
    )
    assert rows == [
        ("stage_entries", "company", False, 3, 3, False, None, None),
        ("stage_entries", "company", True, 5, 2, True, None, None),
        ("talk_minutes", "employee", False, 4, 4, False, None, None),
        ("won", "company", False, 4, 2, True, 1, 1),
        ("won", "employee", False, 2, 2, False, None, None),
        ("won_amount", "employee", False, 1000, 400, True, None, None),
    ]


def test_pace_and_norms_count_working_days(company: Settings) -> None:
    (april,) = asked(
        company,
        "select plan_value, working_days_count, passed_working_days_count, pace_value, "
        "is_behind_pace, is_below_plan from metrics.metric_plan_fact__by_target "
        "where target_kind = 'goal' and starts_on = date '2026-04-01'",
    )
    # The day of as-of is not complete.
    assert april == (22, 22, 0, 0, False, False)
    weeks = asked(
        company,
        "select starts_on, plan_value, fact_value, working_days_count, is_below_plan "
        "from metrics.metric_plan_fact__by_target where target_kind = 'norm' order by 1 limit 3",
    )
    # Anna is away on two days of the second week.
    assert weeks == [
        (dt.date(2026, 3, 2), 10, 3, 5, True),
        (dt.date(2026, 3, 9), 6, 0, 3, True),
        (dt.date(2026, 3, 16), 10, 0, 5, True),
    ]


def test_a_seller_stands_beside_the_company(company: Settings) -> None:
    rows = asked(
        company,
        "select metric_name, employee_name, value, company_value, department_rank, "
        "department_sellers_count, plan_value, reached_share "
        "from metrics.metric_scorecard__by_employee where period_type = 'month' "
        "and starts_on = ? and metric_name in ('calls', 'won', 'won_share_closed') order by 1, 2",
        MARCH,
    )
    assert [(row[0], row[1][:4], *row[2:]) for row in rows] == [
        ("calls", "Anna", 3, 2.5, 1, 2, None, None),
        ("calls", "Bori", 2, 2.5, 2, 2, None, None),
        ("won", "Anna", 2, 1, 1, 2, 2, 1),
        ("won", "Bori", 0, 1, 2, 2, None, None),
        ("won_share_closed", "Anna", 1, pytest.approx(2 / 3), 1, 2, None, None),
        ("won_share_closed", "Bori", 0, pytest.approx(2 / 3), 2, 2, None, None),
    ]


def test_calls_by_hour_are_by_the_companys_clock(company: Settings) -> None:
    rows = asked(
        company,
        "select weekday_number, hour_number, sum(calls_count) "
        "from metrics.metric_calls__by_hour group by all order by 1, 2",
    )
    # 12:00 UTC is 15:00 in Moscow.
    assert rows == [(2, 15, 1), (3, 15, 1), (4, 15, 1), (5, 15, 1), (7, 15, 1)]


def test_a_day_of_a_person_is_what_was_recorded(company: Settings) -> None:
    rows = asked(
        company,
        "select active_on, calls_count, successful_count, talk_seconds, first_third_talk_seconds, "
        "activity_points from metrics.metric_employee_activity__by_day "
        "where employee_name like 'Anna%' order by 1",
    )
    march = [dt.date(2026, 3, day) for day in (3, 5, 8)]
    # Two open stages: NEW is in the second third, WORK in the last.
    assert rows == [
        (march[0], 1, 1, 120, 0, 3.0),
        (march[1], 1, 0, 0, 0, 0.3),
        (march[2], 1, 1, 60, 0, 3.0),
    ]


def test_the_index_of_a_small_team_waits_for_three_months(company: Settings) -> None:
    rows = asked(
        company,
        "select working_days_count, activity_points, index_basis, activity_index "
        "from metrics.metric_activity_index__by_month where employee_name like 'Anna%' "
        "and month_start_on = ?",
        MARCH,
    )
    # 22 working days from 2 March on, two of them absent.
    assert rows == [(20, pytest.approx(6.3), "none", None)]


def test_the_workload_is_the_stock_at_the_end_of_the_day(company: Settings) -> None:
    rows = asked(
        company,
        "select stock_on, left(employee_name, 4), open_deals_count, is_over_limit, load_band, "
        "won_count, closed_count from metrics.metric_workload__by_day "
        "where stock_on <= date '2026-03-07' order by 1, 2",
    )
    half = "up to half the limit"
    day = [dt.date(2026, 3, number) for number in range(8)[1:]]
    assert [row for row in rows if row[0] in (day[1], day[2], day[4], day[6])] == [
        (day[1], "Anna", 3, False, half, 0, 0),
        (day[1], "Bori", 1, False, half, 0, 0),
        (day[2], "Anna", 3, False, half, 0, 0),
        (day[2], "Bori", 2, False, half, 0, 0),
        (day[4], "Anna", 2, False, half, 1, 1),
        (day[4], "Bori", 2, False, half, 0, 0),
        (day[6], "Anna", 1, False, half, 0, 0),
        (day[6], "Bori", 1, False, half, 0, 1),
    ]


def test_open_cards_without_a_next_step_are_told(company: Settings) -> None:
    rows = asked(
        company,
        "select left(employee_name, 4), open_cards_count, without_task_count, overdue_count, "
        "tasks_per_card from metrics.metric_task_discipline__by_employee order by 1",
    )
    assert rows == [("Anna", 1, 1, 0, 0.0), ("Bori", 1, 1, 0, 0.0)]


def test_the_semantic_layer_counts_with_the_same_pencil(company: Settings) -> None:
    expected = {
        "requests": 5,
        "requests_won_in_90_days": 2,
        "requests_won_share_90_days": 0.4,
        "deals_created": 5,
        "won_share_cohort": 0.4,
        "won": 2,
        "won_amount": 400,
        "lost": 1,
        "lost_amount": 50,
        "won_share_closed": 2 / 3,
        "average_check": 200,
        "cycle_days_mean": 3.5,
        "calls": 5,
        "answered_calls": 4,
        "talk_minutes": 7,
        "talk_minutes_per_won_deal": 3.5,
        "won_amount_per_talk_minute": 400 / 7,
        "key_stage_entries": 3,
        "losses_let_go": 1,
        "open_deals_at_end": 2,
    }
    manifest = company.dbt_target_dir / "semantic_manifest.json"
    with warehouse(company) as connection:
        layer = SemanticLayer(manifest, connection)
        found = layer.ask(list(expected), ["metric_time__month"])
        # Of NEW: a minute, 1, 2 and 4 days; of WORK: 2 and 3.
        by_stage = layer.ask(
            ["cards_entering_stage", "stays_ended", "stay_days_median"],
            ["stage__position", "metric_time__month"],
        )
        by_source = layer.ask(["calls", "won"], ["source__name"])
        by_day = layer.ask(
            ["won_amount_month_to_date", "won_amount_trailing_30_days"], ["metric_time__day"]
        )
    assert found[MARCH,] == pytest.approx(expected)
    assert {key[0]: tuple(row.values()) for key, row in by_stage.items() if key[1] == MARCH} == {
        1: (5, 4, 1.5),
        2: (3, 2, 2.5),
        3: (2, 0, None),
        4: (1, 0, None),
    }
    assert by_source == {
        ("(not set)",): {"calls": 4, "won": 2},
        ("(no card)",): {"calls": 1, "won": 0},
    }
    march = [dt.date(2026, 3, day) for day in (5, 6, 31)]
    # Thirty days end with the day itself: on 31 March they begin on the 2nd.
    assert [tuple(by_day[day,].values()) for day in march] == [(100, 100), (400, 400), (400, 400)]
    april = dt.date(2026, 4, 1)
    assert tuple(by_day[april,].values()) == (None, 400)
