"""Reports on people, of the demo company, beside plain Python that reads facts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.demo.store import PortalStore
from tests.conftest import DemoRun
from tests.reference import signals
from tests.reference.activity import Activity, Day, Index, activity, activity_index
from tests.reference.reports import Facts
from tests.reference.sheet import Item, sheet
from tests.reference.signals import Comment, Month, Signal, canned_comments
from tests.support.demo_facts import Ask

MOSCOW = ZoneInfo("Europe/Moscow")
FORMER = -1
FORGOTTEN_DAYS = 20


def found_signals(ask: Ask, name: str) -> dict[Month, Signal]:
    return {
        (row["reporting_employee_key"], row["starts_on"]): Signal(
            row["numerator"],
            row["denominator"],
            row["second_numerator"],
            row["second_denominator"],
            row["is_raised"],
        )
        for row in ask(
            f"select * from metrics.metric_signals__by_employee where signal_name = '{name}'"
        )
    }


def same_signals(found: Mapping[Month, Signal], expected: Mapping[Month, Signal]) -> None:
    assert {True, False} <= {one.is_raised for one in expected.values()}
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        # Tables keep four digits of a median.
        assert numbers(found[key]) == pytest.approx(numbers(one), abs=1e-4), key
        assert found[key].is_raised == one.is_raised, key


def numbers(one: Signal) -> list[float | None]:
    values = (one.numerator, one.denominator, one.second_numerator, one.second_denominator)
    return [None if value is None else float(value) for value in values]


@pytest.mark.parametrize(
    "reference",
    [
        signals.record_months,
        signals.few_calls_many_wins,
        signals.calls_without_trace,
        signals.cards_changed_without_call,
    ],
)
def test_signals_by_month(
    reference: Callable[[Facts], Mapping[Month, Signal]], facts: Facts, ask: Ask
) -> None:
    same_signals(found_signals(ask, reference.__name__), reference(facts))


def test_empty_and_canned_comments(demo_run: DemoRun, facts: Facts, ask: Ask) -> None:
    """Their texts are read from the portal: no table has them."""
    employees: dict[int, Mapping[str, Any]] = {
        row["employee_id"]: row for row in facts.tables["dim_employees"]
    }
    comments = []
    with PortalStore(demo_run.store, read_only=True) as store:
        for row in store.query("select AUTHOR_ID, CREATED, COMMENT from timeline_comment"):
            written = dt.datetime.fromtimestamp(row["CREATED"] / 1_000_000, MOSCOW).date()
            author = employees[row["AUTHOR_ID"]]
            has_left = author["former_from_on"] and author["former_from_on"] <= written
            comments.append(
                Comment(written, FORMER if has_left else author["person_key"], row["COMMENT"] or "")
            )
    expected = canned_comments(facts, comments)
    assert any(one.second_numerator for one in expected.values())
    same_signals(found_signals(ask, "canned_comments"), expected)


@pytest.fixture(scope="module")
def days(facts: Facts) -> dict[Day, Activity]:
    return activity(facts)


def test_activity_by_day(days: Mapping[Day, Activity], ask: Ask) -> None:
    """Every number of R14 that a day has."""
    rows = ask("select * from metrics.metric_employee_activity__by_day")
    found = {(row["reporting_employee_key"], row["active_on"]): row for row in rows}
    assert len(found) == len(rows) > 5_000
    assert found.keys() == days.keys()
    assert min(sum(one.thirds[third] for one in days.values()) for third in range(3)) > 100_000
    wrong = []
    for key, one in days.items():
        row = found[key]
        expected = {
            "calls_count": one.calls,
            "inbound_count": one.inbound,
            "outbound_count": one.outbound,
            "answered_count": one.answered,
            "successful_count": one.successful,
            "talk_seconds": one.talk,
            "outbound_share": one.outbound / one.calls if one.calls else None,
            "first_third_talk_seconds": one.thirds[0],
            "middle_third_talk_seconds": one.thirds[1],
            "last_third_talk_seconds": one.thirds[2],
            "emails_count": one.emails,
            "chats_count": one.chats,
            "meetings_count": one.meetings,
            "tasks_done_count": one.tasks,
            "stage_moves_count": one.moves,
            "forward_moves_count": one.forward,
            "comments_count": one.comments,
            "changed_cards_count": len(one.cards),
            "touches_count": one.touches,
            "open_deals_count": one.open_deals,
            "touches_per_open_deal": one.touches / one.open_deals if one.open_deals else None,
            "first_action_at": min(one.times, default=None),
            "last_action_at": max(one.times, default=None),
            "longest_pause_seconds": one.longest_pause,
            "activity_points": round(one.points, 1),
        }
        wrong += [
            (key, name, row[name], value) for name, value in expected.items() if row[name] != value
        ]
    assert wrong == []


def test_talk_by_grade(facts: Facts, ask: Ask) -> None:
    """Of a card as the CRM has it now; days add up to the calls."""
    expected: dict[tuple[Any, ...], list[int]] = {}
    grades = {row["deal_key"]: row["client_grade"] for row in facts.tables["fct_deals"]}
    grades |= {row["lead_key"]: row["client_grade"] for row in facts.tables["fct_leads"]}
    for call in facts.calls:
        grade = grades[call["card_key"]] if call["card_key"] else "(no card)"
        key = (call["started_on"], call["reporting_employee_key"], grade)
        sums = expected.setdefault(key, [0, 0, 0])
        sums[0] += 1
        sums[1] += call["is_successful"]
        sums[2] += call["talk_seconds"] or 0
    rows = ask("select * from metrics.metric_employee_talk__by_grade")
    found = {
        (row["called_on"], row["reporting_employee_key"], row["client_grade"]): [
            row["calls_count"],
            row["successful_count"],
            row["talk_seconds"],
        ]
        for row in rows
    }
    assert len({grade for _, _, grade in expected}) > 3
    assert len(rows) == len(found)
    assert found == expected


def test_the_activity_index(days: Mapping[Day, Activity], facts: Facts, ask: Ask) -> None:
    expected = activity_index(facts, ask("select * from marts.dim_absences"), days)
    found = {
        (row["reporting_employee_key"], row["month_start_on"]): row
        for row in ask("select * from metrics.metric_activity_index__by_month")
    }
    assert {one.basis for one in expected.values()} == {"team", "own_past", "none"}
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        row = found[key]
        assert one == Index(
            row["working_days_count"],
            pytest.approx(row["activity_points"]),
            row["team_sellers_count"],
            row["index_basis"],
            approximately(row["points_at_100"]),
            approximately(row["activity_index"]),
        ), key


def approximately(value: float | None) -> Any:
    return value if value is None else pytest.approx(value)


def test_the_sheet_of_the_morning(facts: Facts, ask: Ask) -> None:
    plans = ask("select * from marts.fct_goals") + ask("select * from marts.fct_norms")
    absences = ask("select * from marts.dim_absences")
    expected = Counter(sheet(facts, plans, absences, MOSCOW, FORGOTTEN_DAYS))
    found = Counter(
        Item(
            row["sheet_part"],
            row["reporting_employee_key"],
            row["item_type"],
            row["due_on"],
            row["due_at"] and row["due_at"].replace(microsecond=0),
            row["is_done"],
            (row["metric_name"], row["period_type"]) if row["metric_name"] else None,
            row["plan_value"],
            row["fact_value"],
            row["card_key"],
            row["client_key"],
            None if row["company_amount"] is None else float(row["company_amount"]),
        )
        for row in ask("select * from metrics.metric_operative_sheet__by_item")
    )
    assert {item.item_type for item in expected} == {
        "expected_close", "goal", "meeting", "norm", "payment", "task", "todo"
    }  # fmt: skip
    assert found == expected
