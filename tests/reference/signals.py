"""R19 by seller and month, from rows of facts and dimensions, as SPEC.md and the definitions say.

Short calls, which have no months, are in `verdicts.py`. Nothing here reads a metric table.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reference.reports import Facts, month_of

CASES_MIN = 20
SELLERS_MIN = 4
MONTHS_MIN = 6
RUNNING_MIN = 2
FEW_CALLS, MANY_WINS = 0.7, 1.2
TRACE = dt.timedelta(minutes=60)
SELDOM = 1.5
"""Times the sellers' median."""
CANNED_REPEATS, CANNED_SHARE = 5, 0.5
MONTHS_SHOWN = 12

Month = tuple[Any, dt.date]
"""Seller and the first day of a month."""


@dataclass(frozen=True)
class Signal:
    """One signal of a seller in a month.

    Attributes:
        numerator: of the share that is measured.
        denominator: of the share.
        second_numerator: of what it is compared with.
        second_denominator: of what it is compared with.
        is_raised: None with too few cases, or with nothing to compare with.
    """

    numerator: float | None
    denominator: float | None
    second_numerator: float | None
    second_denominator: float | None
    is_raised: bool | None


@dataclass(frozen=True)
class Comment:
    """A text that somebody wrote to a card, whoever reports name for it."""

    written_on: dt.date
    reporting_employee_key: Any
    text: str


def next_month(month: dt.date) -> dt.date:
    """The first day of the month after."""
    return (month + dt.timedelta(days=31)).replace(day=1)


def full_months(facts: Facts) -> dict[Any, list[dt.date]]:
    """By seller the months that are over and that they were there for, first to last day."""
    days = {row["date_day"] for row in facts.tables["dim_dates"]}
    known = sorted(
        month
        for month in {month_of(day) for day in days}
        if month in days and next_month(month) <= facts.as_of_on
    )
    return {
        row["employee_key"]: [
            month
            for month in known
            if row["seller_from_on"] <= month and next_month(month) <= row["seller_until_on"]
        ]
        for row in facts.tables["dim_sellers"]
    }


def shown_months(facts: Facts) -> Iterator[Month]:
    """Of these the last twelve of the calendar."""
    for seller, months in full_months(facts).items():
        for month in months:
            back = (facts.as_of_on.year - month.year) * 12 + facts.as_of_on.month - month.month
            if back <= MONTHS_SHOWN:
                yield seller, month


def record_months(facts: Facts) -> dict[Month, Signal]:
    """Won amounts above every month before, and how many such months run to this one."""
    won: Counter[Month] = Counter()
    for close in facts.sales:
        if close["outcome"] == "won":
            month = month_of(close["closed_on"])
            won[close["reporting_employee_key"], month] += close["company_amount"] or 0
    shown = set(shown_months(facts))
    found: dict[Month, Signal] = {}
    for seller, months in full_months(facts).items():
        running = 0
        for place, month in enumerate(months):
            amount = won[seller, month]
            best = max((won[seller, earlier] for earlier in months[:place]), default=None)
            is_known = place >= MONTHS_MIN
            running = running + 1 if is_known and best is not None and amount > best else 0
            if (seller, month) in shown:
                raised = running >= RUNNING_MIN if is_known and best else None
                found[seller, month] = Signal(amount, best, running, 1, raised)
    return found


def few_calls_many_wins(facts: Facts) -> dict[Month, Signal]:
    """Calls and won deals beside the medians of the sellers who were there."""
    calls = Counter(
        (call["reporting_employee_key"], month_of(call["started_on"])) for call in facts.calls
    )
    won = Counter(
        (close["reporting_employee_key"], month_of(close["closed_on"]))
        for close in facts.sales
        if close["outcome"] == "won"
    )
    found: dict[Month, Signal] = {}
    for month, sellers in _by_month(shown_months(facts)).items():
        usual = statistics.median(calls[seller, month] for seller in sellers)
        usual_won = statistics.median(won[seller, month] for seller in sellers)
        for seller in sellers:
            one, two = calls[seller, month], won[seller, month]
            raised = None
            if len(sellers) >= SELLERS_MIN and usual and usual_won:
                raised = one <= FEW_CALLS * usual and two >= MANY_WINS * usual_won
            found[seller, month] = Signal(one, usual, two, usual_won, raised)
    return found


def calls_without_trace(facts: Facts) -> dict[Month, Signal]:
    """Successful calls after which the talker did nothing with the card for an hour."""
    acted: dict[tuple[Any, Any], list[dt.datetime]] = defaultdict(list)
    for action in facts.tables["fct_crm_actions"]:
        # Telephonies make cards by themselves, in the name of the talker.
        if action["action_type"] != "card_created":
            acted[action["card_key"], action["reporting_employee_key"]].append(action["acted_at"])
    cases: Counter[Month] = Counter()
    of: Counter[Month] = Counter()
    for call in facts.calls:
        if not call["is_successful"] or call["card_key"] is None:
            continue
        talker, began = call["reporting_employee_key"], call["started_at"]
        until = began + dt.timedelta(seconds=call["total_seconds"]) + TRACE
        month = (talker, month_of(call["started_on"]))
        of[month] += 1
        cases[month] += not any(began <= at <= until for at in acted[call["card_key"], talker])
    return _beside_the_median(facts, cases, of)


def cards_changed_without_call(facts: Facts) -> dict[Month, Signal]:
    """Cards changed or moved on a day without a call with them, by card and day."""
    called = {
        (call["reporting_employee_key"], call["card_key"], call["started_on"])
        for call in facts.calls
    }
    changed = {
        (action["reporting_employee_key"], action["card_key"], action["acted_on"])
        for action in facts.tables["fct_crm_actions"]
        if action["action_type"] in ("card_changed", "stage_move") and action["card_key"]
    }
    cases = Counter((who, month_of(day)) for who, _, day in changed - called)
    return _beside_the_median(
        facts, cases, Counter((who, month_of(day)) for who, _, day in changed)
    )


def canned_comments(facts: Facts, comments: Iterable[Comment]) -> dict[Month, Signal]:
    """Comments without words, or with a text that the person wrote five times in the month."""
    texts: dict[Month, list[str]] = defaultdict(list)
    for comment in comments:
        month = month_of(comment.written_on)
        texts[comment.reporting_employee_key, month].append(comment.text.strip().lower())
    found: dict[Month, Signal] = {}
    for key in shown_months(facts):
        written = texts[key]
        repeats = Counter(written)
        bad = sum(not text or repeats[text] >= CANNED_REPEATS for text in written)
        raised = bad >= CANNED_SHARE * len(written) if len(written) >= CASES_MIN else None
        found[key] = Signal(bad, len(written), repeats[""], len(written), raised)
    return found


def _by_month(months: Iterable[Month]) -> dict[dt.date, list[Any]]:
    found: dict[dt.date, list[Any]] = defaultdict(list)
    for seller, month in months:
        found[month].append(seller)
    return found


def _beside_the_median(
    facts: Facts, cases: Mapping[Month, int], of: Mapping[Month, int]
) -> dict[Month, Signal]:
    found: dict[Month, Signal] = {}
    for month, sellers in _by_month(shown_months(facts)).items():
        shares: Sequence[float] = [
            cases[seller, month] / of[seller, month] for seller in sellers if of[seller, month]
        ]
        usual = statistics.median(shares) if shares else None
        for seller in sellers:
            count, total = cases[seller, month], of[seller, month]
            raised = None
            if count >= CASES_MIN and usual is not None:
                raised = count / total >= SELDOM * usual
            found[seller, month] = Signal(count, total, usual, 1, raised)
    return found
