"""The numbers of R1 for any stretch of days, and the periods they are compared with, from SPEC.md.

Deals and leads only: what is counted in calls, tasks and payments has references of its own.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tests.reference.records import Portal
from tests.reference.rules import SECOND, Rules, local_date
from tests.reference.stages import (
    Visit,
    closes,
    known_deals,
    known_leads,
    repeat_deals,
    run_start,
    visits_by_card,
)

PeriodType = Literal["day", "week", "month", "quarter", "year"]
Stretch = tuple[dt.date, dt.date]
"""First day, and the first day after it."""
WORK = ("sales", "setter")
EQUAL_AGES = (30, 60, 90, 180, 365)
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Event:
    """Something that a number counts.

    Attributes:
        name: of what is counted.
        day: in the company's zone.
        category_id: the pipeline.
        value: what it adds.
        in_totals: whether totals over pipelines count it.
        lead_day: of a creation, the day on which the deal's lead was created.
    """

    name: str
    day: dt.date
    category_id: int
    value: Decimal = Decimal(1)
    in_totals: bool = True
    lead_day: dt.date | None = None


def events(
    portal: Portal,
    rules: Rules,
    amounts: Mapping[int, Decimal | None],
    stage_roles: Mapping[tuple[int, str], Collection[str]],
) -> list[Event]:
    """Everything that happened to cards.

    Args:
        portal: its records.
        rules: the company's.
        amounts: by deal, in the company's currency.
        stage_roles: by pipeline and stage.
    """
    return [*_of_leads(portal, rules), *_of_deals(portal, rules, amounts, stage_roles)]


def _of_leads(portal: Portal, rules: Rules) -> Iterator[Event]:
    stays_by_card = visits_by_card(portal, rules)
    for lead in known_leads(portal, rules):
        stays = stays_by_card["lead", lead.id]
        day = local_date(lead.date_create, rules)
        yield Event("requests", day, stays[0].category_id)
        for stay in stays:
            yield Event("stage_entries", local_date(stay.entered_at, rules), stay.category_id)
        if stays[-1].semantics == "won":
            yield Event("requests_qualified_so_far", day, stays[0].category_id)
            converted_on = local_date(run_start(stays, len(stays) - 1), rules)
            yield Event("qualified", converted_on, stays[-1].category_id)


def _of_deals(
    portal: Portal,
    rules: Rules,
    amounts: Mapping[int, Decimal | None],
    stage_roles: Mapping[tuple[int, str], Collection[str]],
) -> Iterator[Event]:
    stays_by_card = visits_by_card(portal, rules)
    leads = {lead.id: lead for lead in known_leads(portal, rules)}
    repeated = repeat_deals(portal, rules)
    created = {deal.id: deal.date_create for deal in known_deals(portal, rules)}
    for deal in known_deals(portal, rules):
        stays = stays_by_card["deal", deal.id]
        yield from _entries(stays, rules, stage_roles)
        first, last = stays[0], stays[-1]
        lead = leads.get(deal.lead_id) if deal.lead_id else None

        def creation(name: str, first: Visit = first, created_at: int = deal.date_create) -> Event:
            return Event(
                name,
                local_date(created_at, rules),
                first.category_id,
                in_totals=rules.role_of(first.category_id) in WORK,
            )

        made = creation("deals_created")
        yield made
        yield creation(f"deals_created_for_{'repeat' if repeated[deal.id] else 'new'}_clients")
        if lead is not None:
            yield Event(
                "from_lead",
                made.day,
                made.category_id,
                in_totals=made.in_totals,
                lead_day=local_date(lead.date_create, rules),
            )
        role = rules.role_of(last.category_id)
        if last.semantics == "open" and role in WORK:
            yield creation("deals_created_open_so_far")
            yield Event("open_cards", local_date(rules.cut_of(portal), rules), last.category_id)
        if last.semantics == "won" and role == "sales":
            yield creation("deals_created_won_so_far")
            won_at = run_start(stays, len(stays) - 1)
            for age in EQUAL_AGES:
                if won_at - deal.date_create <= age * DAY_SECONDS * SECOND:
                    yield creation(f"deals_created_won_in_{age}_days")
    for close in closes(portal, rules):
        role = rules.role_of(close.category_id)
        if not close.is_counted or role == "ignore":
            continue
        day = local_date(close.closed_at, rules)
        is_sale = role == "sales"
        amount = amounts[close.deal_id]
        contributions: dict[str, Decimal | None] = {close.outcome: Decimal(1)}
        contributions[f"{close.outcome}_amount"] = amount
        if close.outcome == "won":
            took = Decimal(close.closed_at - created[close.deal_id]) / SECOND
            contributions["won_cycle_seconds"] = took
            contributions["won_with_amount"] = Decimal(1) if amount and amount > 0 else None
            whose = "repeat" if repeated[close.deal_id] else "new"
            contributions[f"won_for_{whose}_clients"] = Decimal(1)
        for name, value in contributions.items():
            if value is not None:
                yield Event(name, day, close.category_id, value, in_totals=is_sale)


def _entries(
    stays: list[Visit], rules: Rules, stage_roles: Mapping[tuple[int, str], Collection[str]]
) -> Iterator[Event]:
    for stay in stays:
        if rules.role_of(stay.category_id) == "ignore":
            continue
        day = local_date(stay.entered_at, rules)
        yield Event("stage_entries", day, stay.category_id)
        roles = stage_roles.get((stay.category_id, stay.stage_id or ""), ())
        if "key" in roles:
            yield Event("key_stage_entries", day, stay.category_id)


def value(
    found: list[Event], metric: str, stretch: Stretch, period_type: PeriodType, as_of: dt.date
) -> float | None:
    """A number over a stretch of days; None where it has no denominator or the age isn't reached.

    Args:
        found: the events of one slice.
        metric: as `metric_sales_kpi__by_period` names it.
        stretch: the days.
        period_type: of the period that the stretch is taken from, for origins.
        as_of: the day of as-of.
    """
    inside = [event for event in found if stretch[0] <= event.day < stretch[1]]

    def total(*names: str) -> Decimal:
        return sum((event.value for event in inside if event.name in names), Decimal(0))

    def ratio(numerator: Decimal, denominator: Decimal) -> float | None:
        return float(numerator / denominator) if denominator else None

    of_period = sum(
        1
        for event in inside
        if event.lead_day is not None
        and period_of(period_type, event.lead_day) == period_of(period_type, event.day)
    )
    if metric == "deals_origin_lead_of_period":
        return float(of_period)
    if metric == "deals_origin_older_lead":
        return float(total("from_lead")) - of_period
    if metric.startswith("won_share_cohort_"):
        age = int(metric.split("_")[3])
        _, ends_on = period_of(period_type, stretch[0])
        if ends_on + dt.timedelta(days=age) > as_of:
            return None
        return ratio(total(f"deals_created_won_in_{age}_days"), total("deals_created"))
    if metric == "cycle_days_median":
        cycles = [float(e.value) / DAY_SECONDS for e in inside if e.name == "won_cycle_seconds"]
        return statistics.median(cycles) if cycles else None
    ratios = {
        "qualified_share_cohort": ("requests_qualified_so_far", "requests"),
        "won_share_cohort": ("deals_created_won_so_far", "deals_created"),
        "open_share_cohort": ("deals_created_open_so_far", "deals_created"),
        "average_check": ("won_amount", "won"),
        "average_check_with_amount": ("won_amount", "won_with_amount"),
    }
    if metric in ratios:
        numerator, denominator = ratios[metric]
        return ratio(total(numerator), total(denominator))
    if metric == "won_share_closed":
        return ratio(total("won"), total("won", "lost"))
    if metric == "cycle_days_mean":
        return ratio(total("won_cycle_seconds") / DAY_SECONDS, total("won"))
    return float(total(metric))


def period_of(period_type: PeriodType, day: dt.date) -> Stretch:
    """The period that a day lies in."""
    if period_type == "day":
        return day, day + dt.timedelta(days=1)
    if period_type == "week":
        monday = day - dt.timedelta(days=day.weekday())
        return monday, monday + dt.timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[period_type]
    first = (day.month - 1) // months * months
    starts_on = dt.date(day.year, first + 1, 1)
    return starts_on, _months_later(starts_on, months)


def _months_later(day: dt.date, months: int) -> dt.date:
    number = day.year * 12 + day.month - 1 + months
    return dt.date(number // 12, number % 12 + 1, 1)


def compared(
    period_type: PeriodType, starts_on: dt.date, as_of: dt.date, *, a_year: bool = False
) -> tuple[Stretch, Stretch] | None:
    """What growth compares: the period's complete days with as many of the one before.

    None: there is no such period (29 February of the year before).
    """
    _, ends_on = period_of(period_type, starts_on)
    if not a_year:
        base_starts_on, base_ends_on = period_of(period_type, starts_on - dt.timedelta(days=1))
    elif period_type == "week":
        base_starts_on, base_ends_on = period_of("week", starts_on - dt.timedelta(days=364))
    else:
        try:
            base_starts_on = starts_on.replace(year=starts_on.year - 1)
        except ValueError:
            return None
        _, base_ends_on = period_of(period_type, base_starts_on)
    if ends_on <= as_of:
        return (starts_on, ends_on), (base_starts_on, base_ends_on)
    days = as_of - starts_on
    return (starts_on, as_of), (base_starts_on, min(base_starts_on + days, base_ends_on))
