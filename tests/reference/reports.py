"""The main numbers of the reports, from rows of facts and dimensions, as SPEC.md says them.

Rows are what `fct_` and `dim_` tables hold, as dictionaries; what they hold is compared with raw
records elsewhere. Nothing here reads a metric table.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]
DAY_SECONDS = 86_400
WORK = ("sales", "setter")
BANDS = ((3, "0-3"), (7, "4-7"), (14, "8-14"), (30, "15-30"), (60, "31-60"))
FEW = 30
"""Closed deals, or wins, under which a stage is told by its pipeline."""


def month_of(day: dt.date) -> dt.date:
    """Its first day."""
    return day.replace(day=1)


def year_before(instant: dt.datetime) -> dt.datetime:
    """The same instant twelve months ago."""
    return instant.replace(year=instant.year - 1)


def whole_days(since: dt.datetime, until: dt.datetime) -> int:
    """Days of 24 hours."""
    return math.floor((until - since).total_seconds() / DAY_SECONDS)


def band(days: int | None) -> str:
    """R9's bands of days since something; of what never was: never."""
    if days is None:
        return "never"
    return next((name for most, name in BANDS if days <= most), "61+")


@dataclass(frozen=True)
class Facts:
    """What the marts hold of one connection.

    Attributes:
        tables: rows by name of the table.
        as_of: the instant, in UTC.
        as_of_on: its day in the company's zone.
    """

    tables: Mapping[str, Sequence[Row]]
    as_of: dt.datetime
    as_of_on: dt.date

    def by_key(self, table: str, key: str) -> dict[Any, Row]:
        """Rows by a column that is unique."""
        return {row[key]: row for row in self.tables[table]}

    @cached_property
    def roles(self) -> Mapping[Any, str]:
        """Roles of pipelines."""
        return {row["pipeline_key"]: row["pipeline_role"] for row in self.tables["dim_pipelines"]}

    @cached_property
    def stages(self) -> Mapping[Any, Row]:
        """Stages by key."""
        return self.by_key("dim_stages", "stage_key")

    def has_role(self, stage_key: Any, *roles: str) -> bool:
        """Whether a stage has any of the roles."""
        return bool(set((self.stages[stage_key]["stage_roles"] or "").split(",")) & set(roles))

    @cached_property
    def visits(self) -> Mapping[Any, list[Row]]:
        """Visits of each card in their order."""
        found: dict[Any, list[Row]] = defaultdict(list)
        for row in self.tables["fct_stage_visits"]:
            found[row["card_key"]].append(row)
        return {
            key: sorted(rows, key=lambda row: row["visit_number"]) for key, rows in found.items()
        }

    @cached_property
    def calls(self) -> list[Row]:
        """External ones."""
        return [row for row in self.tables["fct_calls"] if row["is_external"]]

    @cached_property
    def closes(self) -> list[Row]:
        """Closes that stand."""
        return [row for row in self.tables["fct_deal_closes"] if row["is_counted"]]

    @cached_property
    def sales(self) -> list[Row]:
        """Of them those that totals over pipelines count: role sales."""
        return [row for row in self.closes if self.roles[row["pipeline_key"]] == "sales"]

    @cached_property
    def open_cards(self) -> list[dict[str, Any]]:
        """Cards in work, leads included: R9's list."""
        deals = [
            {**row, "card_key": row["deal_key"]}
            for row in self.tables["fct_deals"]
            if row["deal_state"] == "open" and self.roles[row["pipeline_key"]] in WORK
        ]
        leads = [
            {**row, "card_key": row["lead_key"], "company_amount": None, "planned_close_at": None}
            for row in self.tables["fct_leads"]
            if row["lead_state"] == "open"
        ]
        return deals + leads

    def latest(self, table: str, instant: str, counts: Callable[[Row], bool]) -> dict[Any, Any]:
        """The last instant of such rows by card."""
        found: dict[Any, Any] = {}
        for row in self.tables[table]:
            key = row["card_key"]
            if key is not None and counts(row) and row[instant] > found.get(key, dt.datetime.min):
                found[key] = row[instant]
        return found


def funnel(facts: Facts) -> dict[tuple[Any, Any, dt.date], tuple[int, int, int, int, int]]:
    """R2 by pipeline, stage and month: cohort, reached, lost from here, open here, entered."""
    steps: dict[Any, list[Any]] = defaultdict(list)
    for key, stage in facts.stages.items():
        if stage["stage_semantics"] in ("open", "won") and stage["is_listed"]:
            steps[stage["pipeline_key"]].append(key)
    cohort: Counter[tuple[Any, dt.date]] = Counter()
    reached: Counter[tuple[Any, Any, dt.date]] = Counter()
    lost: Counter[tuple[Any, Any, dt.date]] = Counter()
    still: Counter[tuple[Any, Any, dt.date]] = Counter()
    entered: dict[tuple[Any, Any, dt.date], set[Any]] = defaultdict(set)
    for card, visits in facts.visits.items():
        for pipeline in {visit["pipeline_key"] for visit in visits}:
            inside = [visit for visit in visits if visit["pipeline_key"] == pipeline]
            month = month_of(inside[0]["entered_on"])
            cohort[pipeline, month] += 1
            opened = [visit for visit in inside if visit["stage_semantics"] == "open"]
            last = visits[-1] if visits[-1]["pipeline_key"] == pipeline else None
            state = last["stage_semantics"] if last else None
            if facts.roles[pipeline] == "setter" and inside[-1]["stage_semantics"] == "won":
                # A later move doesn't undo what a setter has won.
                state = "won"
            positions = [facts.stages[visit["stage_key"]]["stage_position"] for visit in opened]
            if state == "won":
                furthest = math.inf
            elif state == "lost":
                furthest = positions[-1] if positions else 0
            else:
                furthest = max(positions, default=0)
            for stage in steps[pipeline]:
                reached[pipeline, stage, month] += facts.stages[stage]["stage_position"] <= furthest
            if state == "lost" and opened:
                lost[pipeline, opened[-1]["stage_key"], month] += 1
            if last and state == "open":
                still[pipeline, last["stage_key"], month] += 1
            for visit in inside:
                key = (pipeline, visit["stage_key"], month_of(visit["entered_on"]))
                entered[key].add(card)
    months = {month for _, month in cohort} | {key[2] for key in entered}
    return {
        (pipeline, stage, month): (
            cohort[pipeline, month],
            reached[pipeline, stage, month],
            lost[pipeline, stage, month],
            still[pipeline, stage, month],
            len(entered[pipeline, stage, month]),
        )
        for pipeline, stages in steps.items()
        for stage in stages
        for month in months
    }


def stays(facts: Facts) -> dict[tuple[Any, dt.date], tuple[int, float, float]]:
    """R4 by stage and month: stays that ended on open stages, their mean and median in days."""
    found: dict[tuple[Any, dt.date], list[float]] = defaultdict(list)
    for row in facts.tables["fct_stage_visits"]:
        ended = row["stage_semantics"] == "open" and row["left_at"] is not None
        if ended and not row["is_inferred"]:
            took = (row["left_at"] - row["entered_at"]).total_seconds() / DAY_SECONDS
            found[row["stage_key"], month_of(row["left_on"])].append(took)
    return {
        key: (len(days), statistics.mean(days), statistics.median(days))
        for key, days in found.items()
    }


def cycles(facts: Facts) -> dict[tuple[Any, dt.date], tuple[int, float]]:
    """R4 by pipeline and month: wins that stand, and their median cycle in days."""
    created = {row["deal_key"]: row["created_at"] for row in facts.tables["fct_deals"]}
    found: dict[tuple[Any, dt.date], list[float]] = defaultdict(list)
    for close in facts.closes:
        if close["outcome"] == "won":
            took = (close["closed_at"] - created[close["deal_key"]]).total_seconds()
            found[close["pipeline_key"], month_of(close["closed_on"])].append(took / DAY_SECONDS)
    return {key: (len(days), statistics.median(days)) for key, days in found.items()}


def call_load(facts: Facts) -> dict[tuple[Any, str, Any, dt.date], tuple[int, ...]]:
    """R5 by stage (or method, off stages), talker and month.

    Calls, inbound, outbound, answered, successful, talk seconds, and calls by band of talk.
    """
    found: dict[tuple[Any, str, Any, dt.date], list[int]] = defaultdict(lambda: [0] * 12)
    for call in facts.calls:
        place = "on_stage" if call["stage_key"] is not None else call["match_method"]
        key = (
            call["stage_key"],
            place,
            call["reporting_employee_key"],
            month_of(call["started_on"]),
        )
        talk = call["talk_seconds"]
        edges = (0, 1, 11, 21, 40, 120)
        counted = (
            True,
            call["direction"] == "inbound",
            call["direction"] == "outbound",
            call["is_answered"],
            call["is_successful"],
            talk,
            *(
                talk is not None and low <= talk < high
                for low, high in zip(edges, (*edges[1:], math.inf), strict=True)
            ),
        )
        found[key] = [sum(pair) for pair in zip(found[key], (x or 0 for x in counted), strict=True)]
    return {key: tuple(values) for key, values in found.items()}


@dataclass
class Proportion:
    """R6 of one value of a segment in one month."""

    calls: int = 0
    talk: int = 0
    won: float = 0
    amount: float = 0
    closed: float = 0


def proportions(
    facts: Facts, segment: Callable[[Row], Hashable]
) -> dict[tuple[Hashable, dt.date], Proportion]:
    """R6's main view: calls that started in the month, wins and losses closed in it.

    Args:
        facts: the marts.
        segment: of a call, or of a close of a deal of a sales pipeline.
    """
    found: dict[tuple[Hashable, dt.date], Proportion] = defaultdict(Proportion)
    for call in facts.calls:
        one = found[segment(call), month_of(call["started_on"])]
        one.calls += 1
        one.talk += call["talk_seconds"] or 0
    for close in facts.sales:
        one = found[segment(close), month_of(close["closed_on"])]
        one.closed += 1
        if close["outcome"] == "won":
            one.won += 1
            one.amount += float(close["company_amount"] or 0)
    return found


def wins_by_talk(facts: Facts) -> dict[tuple[Any, dt.date], float]:
    """R6, by talker: each win split over all who talked for the deal; None where nobody did."""
    talk: dict[Any, Counter[Any]] = defaultdict(Counter)
    for call in facts.calls:
        if call["card_key"] is not None and call["talk_seconds"]:
            talk[call["card_key"]][call["reporting_employee_key"]] += call["talk_seconds"]
    found: dict[tuple[Any, dt.date], float] = defaultdict(float)
    for close in facts.sales:
        if close["outcome"] == "won":
            of_deal = talk[close["deal_key"]] or Counter({None: 1})
            for talker, seconds in of_deal.items():
                found[talker, month_of(close["closed_on"])] += seconds / of_deal.total()
    return found


FACTS_OF_PLANS: Mapping[str, Callable[[Facts], Iterator[tuple[dt.date, Any, float]]]] = {
    "calls": lambda facts: (
        (call["started_on"], call["reporting_employee_key"], 1.0) for call in facts.calls
    ),
    "successful_calls": lambda facts: (
        (call["started_on"], call["reporting_employee_key"], 1.0)
        for call in facts.calls
        if call["is_successful"]
    ),
    "won": lambda facts: (
        (close["closed_on"], close["reporting_employee_key"], 1.0)
        for close in facts.sales
        if close["outcome"] == "won"
    ),
    "won_amount": lambda facts: (
        (close["closed_on"], close["reporting_employee_key"], float(close["company_amount"] or 0))
        for close in facts.sales
        if close["outcome"] == "won"
    ),
}
"""R8 and R13: what is planned, with day and whose it is; entries into a stage stand apart."""


def entries(facts: Facts, stage_key: Any) -> Iterator[tuple[dt.date, Any, float]]:
    """Every visit's entry into a stage, also the first."""
    for row in facts.tables["fct_stage_visits"]:
        if row["stage_key"] == stage_key:
            yield row["entered_on"], row["reporting_employee_key"], 1.0


def done(
    counted: Iterable[tuple[dt.date, Any, float]],
    employee: Any | None,
    starts_on: dt.date,
    ends_on: dt.date,
) -> float:
    """What was done in a stretch of days, by an employee or by all."""
    return sum(
        value
        for day, whose, value in counted
        if starts_on <= day < ends_on and employee in (None, whose)
    )


@dataclass(frozen=True)
class CardNow:
    """R9 and R10 of one card in work.

    Attributes:
        days_on_stage: whole days.
        call_band: of days since the last call.
        touch_band: of days since the last touch.
        is_forgotten: R10.
        weight: won and closed deals, of the stage or the pipeline; None for leads.
        expected_at: None if overdue, of a lead, or without any win to go by.
        is_overdue: the planned date has passed.
    """

    days_on_stage: int
    call_band: str
    touch_band: str
    is_forgotten: bool
    weight: tuple[int, int] | None
    expected_at: dt.datetime | None
    is_overdue: bool


def work_now(facts: Facts, forgotten_days: int) -> dict[Any, CardNow]:
    """R9 and R10 by card."""
    called = facts.latest("fct_calls", "started_at", lambda row: bool(row["is_external"]))
    touched = facts.latest("fct_touches", "touched_at", lambda _: True)
    since = year_before(facts.as_of)
    recent = [close for close in facts.closes if close["closed_at"] > since]
    weights: dict[Any, list[bool]] = defaultdict(list)
    times: dict[Any, list[float]] = defaultdict(list)
    for close in recent:
        is_won = close["outcome"] == "won"
        weights["pipeline", close["pipeline_key"]].append(is_won)
        entered: dict[Any, dt.datetime] = {}
        for visit in facts.visits[close["deal_key"]]:
            is_here = visit["pipeline_key"] == close["pipeline_key"]
            is_before = visit["entered_at"] <= close["closed_at"]
            if visit["stage_semantics"] == "open" and is_here and is_before:
                entered[visit["stage_key"]] = visit["entered_at"]
        for stage, instant in entered.items():
            weights["stage", stage].append(is_won)
            if is_won:
                took = (close["closed_at"] - instant).total_seconds()
                times["stage", stage].append(took)
                times["pipeline", close["pipeline_key"]].append(took)

    def of_card(card: Row, known: Mapping[Any, list[Any]]) -> list[Any]:
        of_stage = known.get(("stage", card["stage_key"]), [])
        return (
            of_stage if len(of_stage) >= FEW else known.get(("pipeline", card["pipeline_key"]), [])
        )

    found = {}
    for card in facts.open_cards:
        key = card["card_key"]
        on_stage = whole_days(card["stage_entered_at"], facts.as_of)
        untouched = whole_days(touched[key], facts.as_of) if key in touched else None
        uncalled = whole_days(called[key], facts.as_of) if key in called else None
        is_deal = "deal_key" in card
        weighing = of_card(card, weights)
        planned = card["planned_close_at"]
        if planned is not None:
            # Bitrix24 sets one by itself, a week after creation.
            by_itself = card["created_at"] + dt.timedelta(days=7)
            if abs(planned - by_itself) <= dt.timedelta(days=1):
                planned = None
        expected = planned
        taking = of_card(card, times)
        if expected is None and taking and is_deal:
            age = (facts.as_of - card["stage_entered_at"]).total_seconds()
            left = max(statistics.median(taking) - age, 0)
            expected = facts.as_of + dt.timedelta(seconds=left)
        found[key] = CardNow(
            on_stage,
            band(uncalled),
            band(untouched),
            facts.has_role(card["stage_key"], "key")
            and on_stage >= forgotten_days
            and (untouched is None or untouched >= forgotten_days),
            (sum(weighing), len(weighing)) if is_deal else None,
            expected,
            planned is not None and planned < facts.as_of,
        )
    return found


def client_sums(facts: Facts) -> dict[Any, tuple[float, int, float, float]]:
    """R12 by client: amount in work, deals won, amount won, of it in twelve months."""
    clients = {row["deal_key"]: row["client_key"] for row in facts.tables["fct_deals"]}
    since = year_before(facts.as_of)
    found: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0, 0.0, 0.0])
    for card in facts.open_cards:
        found[card["client_key"]][0] += float(card["company_amount"] or 0)
    for close in facts.sales:
        if close["outcome"] == "won" and close["is_current"]:
            one = found[clients[close["deal_key"]]]
            amount = float(close["company_amount"] or 0)
            one[1] += 1
            one[2] += amount
            one[3] += amount if close["closed_at"] > since else 0
    return {key: (a, int(b), c, d) for key, (a, b, c, d) in found.items()}


def abc(amounts: Mapping[Any, float]) -> dict[Any, str | None]:
    """R12: A while less than 80 % stands before a client, B less than 95 %, C the rest."""
    total = sum(amounts.values())
    found: dict[Any, str | None] = {}
    for client, amount in amounts.items():
        before = sum(other for other in amounts.values() if other > amount) / total
        found[client] = (
            None if not amount else "A" if before < 0.8 else "B" if before < 0.95 else "C"
        )
    return found


def open_on(facts: Facts, ends_at: dt.datetime) -> Counter[Any]:
    """R20: open deals at the end of a day, by stage."""
    return Counter(
        visit["stage_key"]
        for deal in facts.tables["fct_deals"]
        for visit in facts.visits[deal["deal_key"]]
        if visit["entered_at"] < ends_at <= visit["valid_to"]
        and visit["stage_semantics"] == "open"
        and facts.roles[visit["pipeline_key"]] != "ignore"
    )


@dataclass
class Cohort:
    """R17 of one source in one month."""

    requests: int = 0
    qualified: int = 0
    won: int = 0
    open: int = 0
    won_deals: int = 0
    amount: float = 0


def marketing(facts: Facts) -> dict[tuple[str, dt.date], Cohort]:
    """R17 by source and month of the request: what has become of it so far."""
    cards = facts.by_key("dim_cards", "card_key")
    working = {card["card_key"] for card in facts.open_cards}
    wins: dict[Any, list[Row]] = defaultdict(list)
    for close in facts.sales:
        if close["outcome"] == "won" and close["is_current"]:
            wins[close["deal_key"]].append(close)
    deals_of_lead: dict[Any, list[Any]] = defaultdict(list)
    for deal in facts.tables["fct_deals"]:
        deals_of_lead[deal["lead_key"]].append(deal["deal_key"])
    found: dict[tuple[str, dt.date], Cohort] = defaultdict(Cohort)
    for request in facts.tables["fct_requests"]:
        card = request["card_key"]
        deals = deals_of_lead[card] if request["card_type"] == "lead" else [card]
        one = found[cards[card]["source_name"], month_of(request["requested_on"])]
        won = [close for deal in deals for close in wins[deal]]
        one.requests += 1
        one.qualified += request["qualified_on"] is not None
        one.won += bool(won)
        one.open += not won and bool({card, *deals} & working)
        one.won_deals += len(won)
        one.amount += sum(float(close["company_amount"] or 0) for close in won)
    return found


def cards_behind(facts: Facts) -> dict[str, Counter[tuple[dt.date, Any, Any]]]:
    """R25 by metric: what each card contributes on a day, by whom."""
    found: dict[str, Counter[tuple[dt.date, Any, Any]]] = defaultdict(Counter)
    for call in facts.calls:
        key = (call["started_on"], call["reporting_employee_key"], call["card_key"])
        found["calls"][key] += 1
        found["successful_calls"][key] += bool(call["is_successful"])
        found["talk_seconds"][key] += call["talk_seconds"] or 0
    for row in facts.tables["fct_requests"]:
        found["requests"][row["requested_on"], row["reporting_employee_key"], row["card_key"]] += 1
    for close in facts.sales:
        key = (close["closed_on"], close["reporting_employee_key"], close["deal_key"])
        found[close["outcome"]][key] += 1
        found[f"{close['outcome']}_amount"][key] += close["company_amount"] or 0
    for visit in facts.tables["fct_stage_visits"]:
        if facts.roles[visit["pipeline_key"]] != "ignore":
            key = (visit["entered_on"], visit["reporting_employee_key"], visit["card_key"])
            found["stage_entries"][key] += 1
            found["key_stage_entries"][key] += facts.has_role(visit["stage_key"], "key")
    for payment in facts.tables["fct_payments"]:
        key = (payment["paid_on"], payment["reporting_employee_key"], payment["deal_key"])
        found["payments"][key] += 1
        found["payment_amount"][key] += payment["company_amount"] or 0
    return found


def ranks(values: Mapping[Any, float | None], *, is_higher_better: bool) -> dict[Any, int | None]:
    """R24: places, of which equal numbers share one."""
    known = [value for value in values.values() if value is not None]
    return {
        key: None
        if value is None
        else 1 + sum(other > value if is_higher_better else other < value for other in known)
        for key, value in values.items()
    }


def mean_of(values: Collection[Decimal | float]) -> float:
    """Of sellers, those with nothing included."""
    return float(sum(Decimal(str(value)) for value in values)) / len(values)
