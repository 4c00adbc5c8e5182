"""R26, the sheet of the morning, from rows of facts and dimensions, as SPEC.md says it.

Nothing here reads a metric table.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.reports import FACTS_OF_PLANS, Facts, Row, done, entries, work_now

DAY = dt.timedelta(days=1)
DAYS_AHEAD = 7


@dataclass(frozen=True)
class Item:
    """One line of somebody's sheet.

    Attributes:
        part: yesterday, today or next_7_days.
        employee_key: whom reports name.
        item_type: goal, norm, payment, expected_close, or the kind of planned work.
        due_on: its day; of longer goals and norms today.
        due_at: None for goals and norms; without fractions of a second.
        is_done: None for goals and norms.
        what: metric and period of a goal or a norm.
        plan: of a goal or a norm.
        fact: of a goal or a norm.
        card_key: the deal or the lead.
        client_key: the card's.
        amount: of a payment or an expected deal.
    """

    part: str
    employee_key: Any
    item_type: str
    due_on: dt.date
    due_at: dt.datetime | None = None
    is_done: bool | None = None
    what: tuple[str, str] | None = None
    plan: float | None = None
    fact: float | None = None
    card_key: Any = None
    client_key: Any = None
    amount: float | None = None


def sheet(
    facts: Facts,
    plans: Sequence[Row],
    absences: Sequence[Row],
    zone: ZoneInfo,
    forgotten_days: int,
) -> list[Item]:
    """All lines of everybody.

    Args:
        facts: the marts.
        plans: rows of `fct_goals` and `fct_norms`.
        absences: rows of `dim_absences`.
        zone: of the company.
        forgotten_days: R10's.
    """
    return [
        *_planned_work(facts, zone),
        *_payments(facts),
        *_expected(facts, zone, forgotten_days),
        *_plans(facts, plans, absences),
    ]


def part_of(day: dt.date, today: dt.date) -> str | None:
    """In which part of the sheet a day stands, if it does."""
    if day == today:
        return "today"
    if day == today - DAY:
        return "yesterday"
    return "next_7_days" if today < day <= today + DAYS_AHEAD * DAY else None


def _local_day(instant: dt.datetime, zone: ZoneInfo) -> dt.date:
    return instant.replace(tzinfo=dt.UTC).astimezone(zone).date()


def _planned_work(facts: Facts, zone: ZoneInfo) -> Iterator[Item]:
    cards = facts.by_key("dim_cards", "card_key")
    for task in facts.tables["fct_tasks"]:
        if task["deadline_at"] is None:
            continue
        due_on = _local_day(task["deadline_at"], zone)
        part = part_of(due_on, facts.as_of_on)
        if part:
            card = cards.get(task["card_key"])
            yield Item(
                part,
                task["current_reporting_employee_key"],
                task["task_kind"],
                due_on,
                due_at=task["deadline_at"].replace(microsecond=0),
                is_done=task["is_completed"],
                card_key=task["card_key"],
                client_key=card and card["client_key"],
            )


def _payments(facts: Facts) -> Iterator[Item]:
    for payment in facts.tables["fct_payments"]:
        part = part_of(payment["paid_on"], facts.as_of_on)
        if part:
            yield Item(
                part,
                payment["reporting_employee_key"],
                "payment",
                payment["paid_on"],
                due_at=payment["paid_at"].replace(microsecond=0),
                is_done=True,
                card_key=payment["deal_key"],
                client_key=payment["client_key"],
                amount=_number(payment["company_amount"]),
            )


def _expected(facts: Facts, zone: ZoneInfo, forgotten_days: int) -> Iterator[Item]:
    cards = {card["card_key"]: card for card in facts.open_cards}
    for key, now in work_now(facts, forgotten_days).items():
        if now.expected_at is None or now.is_overdue:
            continue
        due_on = _local_day(now.expected_at, zone)
        part = part_of(due_on, facts.as_of_on)
        if part:
            yield Item(
                part,
                cards[key]["current_reporting_employee_key"],
                "expected_close",
                due_on,
                due_at=now.expected_at.replace(microsecond=0),
                is_done=False,
                card_key=key,
                client_key=cards[key]["client_key"],
                amount=_number(cards[key]["company_amount"]),
            )


def _plans(facts: Facts, plans: Sequence[Row], absences: Sequence[Row]) -> Iterator[Item]:
    today = facts.as_of_on
    for plan in plans:
        who, period = plan["employee_key"], plan["period_type"]
        if who is None:
            continue
        is_goal = "goal_key" in plan
        # Of yesterday's only those of days: longer ones run today.
        for day in (today,) if is_goal or period != "day" else (today - DAY, today):
            starts_on, ends_on = _period(period, day)
            if is_goal:
                if plan["starts_on"] != starts_on:
                    continue
                value: float | None = float(plan["goal_value"])
            else:
                if not plan["valid_from_on"] <= starts_on < plan["valid_to_on"]:
                    continue
                share = _share_there(facts, absences, who, starts_on, ends_on)
                value = None if share is None else float(plan["norm_value"]) * share
            counted = (
                entries(facts, plan["stage_key"])
                if plan["stage_key"]
                else FACTS_OF_PLANS[plan["metric_name"]](facts)
            )
            yield Item(
                "yesterday" if day < today else "today",
                plan["reporting_employee_key"],
                "goal" if is_goal else "norm",
                day,
                what=(plan["metric_name"], period),
                plan=value,
                fact=done(counted, who, starts_on, ends_on),
            )


def _period(period: str, day: dt.date) -> tuple[dt.date, dt.date]:
    """First day of the period that contains a day, and the first after it."""
    starts_on = {
        "day": day,
        "week": day - dt.timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(month=day.month - (day.month - 1) % 3, day=1),
        "year": day.replace(month=1, day=1),
    }[period]
    if period in ("day", "week"):
        return starts_on, starts_on + (DAY if period == "day" else 7 * DAY)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    year, month = divmod(starts_on.year * 12 + starts_on.month - 1 + months, 12)
    return starts_on, dt.date(year, month + 1, 1)


def _share_there(
    facts: Facts, absences: Sequence[Row], who: Any, starts_on: dt.date, ends_on: dt.date
) -> float | None:
    """Of the company's working days those without an absence; None where there are none."""
    days = [
        row["date_day"]
        for row in facts.tables["dim_dates"]
        if row["is_working_day"] and starts_on <= row["date_day"] < ends_on
    ]
    there = [
        day
        for day in days
        if not any(
            row["employee_key"] == who and row["from_on"] <= day < row["until_on"]
            for row in absences
        )
    ]
    return len(there) / len(days) if days else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
