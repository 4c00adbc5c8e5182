"""Troubles that only a report shows: each stands where it should, and nowhere else.

What is expected comes from what was planted and from the portal's own records, counted here.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestration.settings import PROJECT_DIR
from sources.demo.store import PortalStore
from tests.conftest import DemoRun
from tests.support.companies import warehouse

MOSCOW = ZoneInfo("Europe/Moscow")
CLOCK = dt.datetime(2026, 6, 30, 15, tzinfo=dt.UTC)
TODAY = dt.date(2026, 6, 30)
LAST_FIVE_WORKING_DAYS = [dt.date(2026, 6, day) for day in (23, 24, 25, 26, 29)]
ROBOT = 2
SALES_PIPELINES = (0, 1, 4)
WORKING_PIPELINES = (0, 1, 2, 4)
"""Sales and setter pipelines: what is open in them is in work."""
OUTBOUND = (1, 4)
NATURAL_SELLERS = {9, 10, 11}
OF_SIGNALS = (
    "short_calls", "record_months", "calls_without_trace", "cards_changed_without_call",
    "canned_comments",
)  # fmt: skip
"""Troubles whose accounts are sellers."""

Raised = set[tuple[int, dt.date]]


def rows(run: DemoRun, sql: str, *bound: Any) -> list[tuple[Any, ...]]:
    with warehouse(run.settings) as connection:
        return connection.execute(sql, list(bound)).fetchall()


def stored(run: DemoRun, sql: str) -> list[dict[str, Any]]:
    with PortalStore(run.store, read_only=True) as store:
        return [dict(row) for row in store.query(sql)]


def instant(microseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(microseconds / 1_000_000, MOSCOW)


def planted(run: DemoRun, trouble: str) -> dict[str, Any]:
    (entry,) = run.planted[trouble]
    return entry


def sellers(run: DemoRun) -> set[int]:
    return NATURAL_SELLERS | {planted(run, trouble)["user_id"] for trouble in OF_SIGNALS}


def months(names: Iterable[str]) -> set[dt.date]:
    return {dt.date.fromisoformat(name) for name in names}


def signal(run: DemoRun, name: str) -> dict[tuple[int, dt.date], tuple[Any, ...]]:
    """Where the signal is raised: numerator, denominator, second numerator."""
    found = rows(
        run,
        """
        select employees.employee_id, signals.starts_on, signals.numerator, signals.denominator,
            signals.second_numerator
        from metrics.metric_signals__by_employee as signals
        inner join marts.dim_employees as employees
            on signals.reporting_employee_key = employees.employee_key
        where signals.is_raised and signals.signal_name = ?
        """,
        name,
    )
    return {(employee, starts_on): tuple(numbers) for employee, starts_on, *numbers in found}


def test_sellers_are_who_sells_for_the_company(demo_run: DemoRun) -> None:
    """Heads, the director and accounts that other troubles use would spoil every median."""
    found = rows(
        demo_run,
        "select employee_id from marts.dim_sellers as sellers "
        "inner join marts.dim_employees as employees using (employee_key)",
    )
    assert {employee for (employee,) in found} == sellers(demo_run)
    indexes = rows(
        demo_run,
        "select activity_index from metrics.metric_activity_index__by_month as months "
        "inner join marts.dim_employees as employees "
        "on months.reporting_employee_key = employees.employee_key "
        "where employees.employee_id < 1000 and month_start_on >= '2025-10-01'",
    )
    assert len(indexes) == 9 * len(NATURAL_SELLERS)
    assert all(20 < index < 300 for (index,) in indexes)


# --- signals (R19)


def test_a_burst_of_short_calls_is_raised_for_its_account_alone(demo_run: DemoRun) -> None:
    entry = planted(demo_run, "short_calls")
    short, outbound, earlier, earlier_short = (Counter[int]() for _ in range(4))
    first = LAST_FIVE_WORKING_DAYS[0]
    for call in stored(demo_run, "select * from call"):
        day = instant(call["CALL_START_DATE"]).date()
        is_short = call["CALL_FAILED_CODE"] == "200" and call["CALL_DURATION"] < 20
        if call["CALL_TYPE"] not in OUTBOUND or not first - dt.timedelta(days=90) <= day < TODAY:
            continue
        user = call["PORTAL_USER_ID"]
        outbound[user] += day >= first
        short[user] += day >= first and is_short
        earlier[user] += day < first
        earlier_short[user] += day < first and is_short
    busy = {
        user
        for user, count in short.items()
        if count >= 20 and count / outbound[user] >= 2 * earlier_short[user] / earlier[user]
    }
    assert busy == {entry["user_id"]}
    found = signal(demo_run, "short_calls")
    assert found.keys() == {(entry["user_id"], first)}
    assert found[entry["user_id"], first][0] == short[entry["user_id"]] >= len(entry["call_ids"])


def test_record_months_are_those_of_the_wins_in_the_portal(demo_run: DemoRun) -> None:
    """Natural records may run too; what is raised is exactly what the deals say."""
    entry = planted(demo_run, "record_months")
    (first_deal,) = stored(demo_run, "select min(DATE_CREATE) as at from deal")
    began = instant(first_deal["at"]).date()
    hired = {
        row["ID"]: instant(row["DATE_REGISTER"]).date()
        for row in stored(demo_run, "select ID, DATE_REGISTER from user")
    }
    amounts: dict[int, Counter[dt.date]] = defaultdict(Counter)
    for deal in stored(demo_run, "select * from deal where STAGE_SEMANTIC_ID = 'S'"):
        if deal["CATEGORY_ID"] in SALES_PIPELINES:
            # Who moved it into the win owned it then, unless that was a robot.
            mover = deal["MOVED_BY_ID"]
            owner = deal["ASSIGNED_BY_ID"] if mover == ROBOT else mover
            month = instant(deal["MOVED_TIME"]).date().replace(day=1)
            amounts[owner][month] += int(float(deal["OPPORTUNITY"]))
    expected: Raised = set()
    calendar = [dt.date(2025 + n // 12, n % 12 + 1, 1) for n in range(17)]
    for user in sellers(demo_run):
        known = [month for month in calendar if month >= max(began, hired[user])]
        running = 0
        for place, month in enumerate(known):
            best = max((amounts[user][earlier] for earlier in known[:place]), default=0)
            running = running + 1 if place >= 6 and amounts[user][month] > best else 0
            if running >= 2 and month >= dt.date(2025, 6, 1):
                expected.add((user, month))
    found = signal(demo_run, "record_months")
    assert found.keys() == expected
    of_planted = {(user, month) for user, month in expected if user >= 1_000}
    # The first of three records is none "running" yet.
    assert of_planted == {
        (entry["user_id"], month) for month in sorted(months(entry["months"]))[1:]
    }
    for month, told in entry["months"].items():
        key = (entry["user_id"], dt.date.fromisoformat(month))
        if key in found:
            assert found[key][0] == told["won_amount"]
    assert sorted(found[key][2] for key in of_planted) == [2, 3]


def test_few_calls_and_many_wins_are_raised_for_its_account_alone(demo_run: DemoRun) -> None:
    entry = planted(demo_run, "record_months")
    found = signal(demo_run, "few_calls_many_wins")
    assert found.keys() == {(entry["user_id"], month) for month in months(entry["months"])}
    for month, told in entry["months"].items():
        assert found[entry["user_id"], dt.date.fromisoformat(month)][2] == told["won"]


def test_calls_without_a_trace_are_raised_for_its_account_alone(demo_run: DemoRun) -> None:
    entry = planted(demo_run, "calls_without_trace")
    found = signal(demo_run, "calls_without_trace")
    assert found.keys() == {(entry["user_id"], month) for month in months(entry["months"])}
    silent = Counter(
        instant(call["CALL_START_DATE"]).date().replace(day=1)
        for call in stored(demo_run, "select * from call")
        if call["ID"] in set(entry["call_ids"])
    )
    assert silent.keys() == months(entry["months"])
    for month, count in silent.items():
        assert found[entry["user_id"], month][0] >= count > 20


def test_cards_changed_without_a_call_are_raised_for_its_account_alone(demo_run: DemoRun) -> None:
    entry = planted(demo_run, "cards_changed_without_call")
    found = signal(demo_run, "cards_changed_without_call")
    assert found.keys() == {(entry["user_id"], dt.date.fromisoformat(entry["month"]))}
    (numbers,) = found.values()
    assert numbers[0] >= len(entry["deal_ids"]) == 24


def test_canned_comments_are_raised_for_its_account_alone(demo_run: DemoRun) -> None:
    entry = planted(demo_run, "canned_comments")
    found = signal(demo_run, "canned_comments")
    month = dt.date.fromisoformat(entry["month"])
    assert found.keys() == {(entry["user_id"], month)}
    (numbers,) = found.values()
    assert numbers[0] == entry["empty"] + entry["repeated"]
    assert numbers[2] == entry["empty"]
    texts: dict[tuple[int, dt.date], Counter[str]] = defaultdict(Counter)
    for row in stored(demo_run, "select * from timeline_comment"):
        written = instant(row["CREATED"]).date().replace(day=1)
        texts[row["AUTHOR_ID"], written][row["COMMENT"].strip().lower()] += 1
    canned = {
        key
        for key, told in texts.items()
        if key[1] < dt.date(2026, 6, 1)
        and told.total() >= 20
        and 2 * sum(n for text, n in told.items() if not text or n >= 5) >= told.total()
    }
    assert canned == found.keys()


# --- cards


def key_stages() -> set[tuple[int, str]]:
    with (PROJECT_DIR / "companies" / "demo" / "stages.csv").open(encoding="utf-8") as file:
        return {
            (int(row["pipeline_id"]), row["stage_id"])
            for row in csv.DictReader(file)
            if row["role"] == "key"
        }


def test_forgotten_cards_are_found_and_none_is_that_was_touched(demo_run: DemoRun) -> None:
    """R10. Only what the portal binds to the deal itself is looked at: enough to refute one."""
    entry = planted(demo_run, "forgotten_cards")
    found = dict(
        rows(
            demo_run,
            "select deals.deal_id, cards.planned_tasks_count "
            "from metrics.metric_open_cards__by_card as cards "
            "inner join marts.fct_deals as deals on cards.card_key = deals.deal_key "
            "where cards.is_forgotten",
        )
    )
    of_account = rows(
        demo_run,
        "select deals.deal_id, cards.is_forgotten "
        "from metrics.metric_open_cards__by_card as cards "
        "inner join marts.fct_deals as deals on cards.card_key = deals.deal_key "
        "inner join marts.dim_employees as employees "
        "on cards.current_reporting_employee_key = employees.employee_key "
        "where employees.employee_id = ?",
        entry["user_id"],
    )
    assert dict(of_account) == {
        **dict.fromkeys(entry["deal_ids"], True),
        **dict.fromkeys(entry["other_deal_ids"], False),
    }
    assert all(found[deal] > 0 for deal in entry["planned_deal_ids"])
    touched: dict[int, list[int]] = defaultdict(list)
    for row in stored(
        demo_run,
        "select OWNER_ID, case when TYPE_ID = 2 then START_TIME else LAST_UPDATED end as at "
        "from activity where OWNER_TYPE_ID = 2 and RESPONSIBLE_ID <> 2 and ("
        "(TYPE_ID = 2 and (DIRECTION = 2 or COMPLETED = 1)) "
        "or (PROVIDER_ID = 'CRM_EMAIL' and DIRECTION = 2) "
        "or (PROVIDER_ID in ('CRM_TODO', 'CRM_TASKS_TASK') and COMPLETED = 1))",
    ):
        touched[row["OWNER_ID"]].append(row["at"])
    comments = "select ENTITY_ID, CREATED from timeline_comment where ENTITY_TYPE = 'deal'"
    for row in stored(demo_run, comments):
        touched[row["ENTITY_ID"]].append(row["CREATED"])
    limit = CLOCK - dt.timedelta(days=20)
    deals = {deal["ID"]: deal for deal in stored(demo_run, "select * from deal")}
    wrong = [
        deal_id
        for deal_id in found
        if (deals[deal_id]["CATEGORY_ID"], deals[deal_id]["STAGE_ID"]) not in key_stages()
        or deals[deal_id]["STAGE_SEMANTIC_ID"] != "P"
        or instant(deals[deal_id]["MOVED_TIME"]) > limit
        or any(instant(at) > limit for at in touched[deal_id])
    ]
    assert wrong == []


def open_deals(run: DemoRun) -> list[dict[str, Any]]:
    """Open deals of setter and sales pipelines whose owner is employed."""
    return stored(
        run,
        "select deal.* from deal inner join user on user.ID = ASSIGNED_BY_ID and ACTIVE = 1 "
        f"where STAGE_SEMANTIC_ID = 'P' and CATEGORY_ID in {WORKING_PIPELINES}",
    )


def test_who_has_more_open_deals_than_the_limit_is_shown(demo_run: DemoRun) -> None:
    """R16: everybody over the limit on the last day, and the planted account since its 61st."""
    entry = planted(demo_run, "overload")
    held = Counter(deal["ASSIGNED_BY_ID"] for deal in open_deals(demo_run))
    found = rows(
        demo_run,
        """
        select employees.employee_id, workload.stock_on, workload.open_deals_count
        from metrics.metric_workload__by_day as workload
        inner join marts.dim_employees as employees
            on workload.reporting_employee_key = employees.employee_key
        where workload.is_over_limit and employees.employee_key > 0
        """,
    )
    now = {employee: count for employee, day, count in found if day == TODAY}
    assert now == {user: count for user, count in held.items() if count > 60}
    assert now[entry["user_id"]] == len(entry["deal_ids"]) == 64
    since = dt.date.fromisoformat(entry["over_since"])
    days = {day for employee, day, _ in found if employee == entry["user_id"]}
    assert days == {since + dt.timedelta(days=n) for n in range((TODAY - since).days + 1)}
    accounts = {employee for employee, _, _ in found if employee >= 1_000}
    assert accounts == {entry["user_id"]}


def health(run: DemoRun, check: str) -> dict[tuple[int, int], tuple[Any, ...]]:
    """Of employee and pipeline of deals: numerator, denominator, is_ill."""
    found = rows(
        run,
        """
        select employees.employee_id, pipelines.pipeline_id, health.numerator, health.denominator,
            health.is_ill
        from metrics.metric_funnel_health__by_check as health
        inner join marts.dim_pipelines as pipelines
            on health.pipeline_key = pipelines.pipeline_key
        inner join marts.dim_employees as employees
            on health.current_reporting_employee_key = employees.employee_key
        where health.health_check = ? and health.slice_type = 'employee'
            and pipelines.card_type = 'deal' and employees.employee_key > 0
        """,
        check,
    )
    return {(employee, pipeline): tuple(told) for employee, pipeline, *told in found}


def test_a_crowded_stage_is_ill_and_whoever_has_one(demo_run: DemoRun) -> None:
    """R11, accumulation: more than 40 % of at least twenty open cards on one stage."""
    entry = planted(demo_run, "cards_changed_without_call")
    stages: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for deal in open_deals(demo_run):
        stages[deal["ASSIGNED_BY_ID"], deal["CATEGORY_ID"]][deal["STAGE_ID"]] += 1
    crowded = {
        key
        for key, held in stages.items()
        if held.total() >= 20 and max(held.values()) > 0.4 * held.total()
    }
    found = health(demo_run, "full_stage")
    assert {key for key, (_, _, is_ill) in found.items() if is_ill} == crowded
    planted_key = (entry["user_id"], entry["category_id"])
    assert found[planted_key] == (len(entry["deal_ids"]), entry["open_deals"], True)
    assert {key for key in crowded if key[0] >= 1_000} == {planted_key}


def test_a_graveyard_is_ill_and_no_other_planted_account(demo_run: DemoRun) -> None:
    """R11: more than a fifth of the cards without planned task and touch for thirty days."""
    entry = planted(demo_run, "graveyard")
    found = health(demo_run, "dead_cards")
    dead, alive = len(entry["deal_ids"]), len(entry["other_deal_ids"])
    key = (entry["user_id"], entry["category_id"])
    assert found[key] == (dead, dead + alive, True)
    assert {one for one, told in found.items() if told[2] and one[0] >= 1_000} == {key}
    # Each other one has so many cards that nobody has so much as moved for thirty days.
    limit = CLOCK - dt.timedelta(days=30)
    unmoved = Counter(
        (deal["ASSIGNED_BY_ID"], deal["CATEGORY_ID"])
        for deal in open_deals(demo_run)
        if instant(deal["MOVED_TIME"]) <= limit
    )
    assert all(told[0] <= unmoved[one] for one, told in found.items())


def test_moved_deadlines_without_a_touch_stand_with_their_account(demo_run: DemoRun) -> None:
    """R15: all of the planted moves; of the others, who also touch their cards, hardly any."""
    entry = planted(demo_run, "moved_deadlines")
    found = dict(
        rows(
            demo_run,
            "select employees.employee_id, sum(tasks.idle_moved_deadlines_count) "
            "from metrics.metric_task_discipline__by_employee as tasks "
            "inner join marts.dim_employees as employees "
            "on tasks.current_reporting_employee_key = employees.employee_key "
            "where employees.employee_key > 0 group by all",
        )
    )
    assert found.pop(entry["user_id"]) == entry["moves"]
    assert max(found.values()) < entry["moves"] / 4
    assert not any(count for employee, count in found.items() if employee >= 1_000)


def test_deals_let_go_after_the_proposal_stand_with_their_account(demo_run: DemoRun) -> None:
    """R18: none, one or two touches after it; neither three, nor a loss before any proposal."""
    entry = planted(demo_run, "let_go")
    found = rows(
        demo_run,
        "select sum(let_go_count), sum(lost_after_proposal_count), sum(lost_count) "
        "from metrics.metric_losses__by_reason as losses inner join marts.dim_employees as "
        "employees on losses.reporting_employee_key = employees.employee_key "
        "where employees.employee_id = ?",
        entry["user_id"],
    )
    let_go, others = len(entry["deal_ids"]), len(entry["other_deal_ids"])
    assert found == [(let_go, let_go + 1, let_go + others)]


# --- weeks


@pytest.mark.parametrize("metric", ["successful_calls", "requests_handled", "proposals"])
def test_a_week_of_silence_is_an_alarm_for_its_department(demo_run: DemoRun, metric: str) -> None:
    """R21: that week only, by the calls of the eight before."""
    entry = planted(demo_run, "week_of_silence")
    week = dt.date.fromisoformat(entry["week"])
    found = rows(
        demo_run,
        "select starts_on, value, usual_value, confidence "
        "from metrics.metric_activity_alarms__by_week "
        "where is_alarm and slice_type = 'department' and slice_value = ? and metric_name = ?",
        entry["department"],
        metric,
    )
    if metric != "successful_calls":
        assert found == []
        return
    weeks = Counter(
        day - dt.timedelta(days=day.weekday())
        for day in (
            instant(call["CALL_START_DATE"]).date()
            for call in stored(demo_run, "select * from call")
            if call["PORTAL_USER_ID"] == entry["user_id"] and call["CALL_DURATION"] >= 40
        )
    )
    before = [weeks[week - dt.timedelta(weeks=n)] for n in range(1, 9)]
    assert found == [(week, weeks[week], sum(before) / 8, "normal")]
    assert weeks[week] < 0.7 * sum(before) / 8
