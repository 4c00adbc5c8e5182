"""The through funnel (R3) of the demo company beside plain Python that reads facts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pytest

from tests.conftest import DemoRun
from tests.reference.journeys import Journey, by_step, journeys, places
from tests.reference.reports import Facts, whole_days
from tests.support.demo_facts import Ask

Told = Mapping[tuple[str, Any], Journey]


@pytest.fixture(scope="module")
def lines(demo_run: DemoRun) -> list[dict[str, str]]:
    settings = demo_run.settings
    path = settings.companies_dir / settings.company / "journey_steps.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def told(facts: Facts, lines: list[dict[str, str]]) -> Told:
    return journeys(facts, lines)


def approximately(value: float | None) -> Any:
    return value if value is None else pytest.approx(value)


def test_journeys(told: Told, facts: Facts, ask: Ask) -> None:
    cards = facts.by_key("dim_cards", "card_key")
    found = {
        (row["funnel_name"], row["entry_card_key"]): (
            row["started_at"],
            row["client_key"],
            row["source_name"],
            row["reporting_employee_key"],
            row["entry_step_number"],
            row["furthest_step_number"],
            row["journey_state"],
            row["current_card_key"],
            row["cards_count"],
            row["next_deals_count"],
            row["won_deals_count"],
            None if row["won_amount"] is None else float(row["won_amount"]),
            row["days_to_furthest"],
            row["age_days"],
        )
        for row in ask("select * from metrics.metric_journeys__by_journey")
    }
    expected = {
        key: (
            one.entry["entered_at"],
            one.first_card.row["client_key"],
            cards[one.first_card.key]["source_name"],
            one.entry["reporting_employee_key"],
            one.entered,
            one.furthest,
            one.state,
            one.now,
            len(one.cards),
            sum(step.basis == "client_next_deal" for step in one.steps.values()),
            one.won,
            approximately(one.amount),
            approximately(one.days_to_furthest if one.days_to_furthest >= 0 else None),
            whole_days(one.entry["entered_at"], facts.as_of),
        )
        for key, one in told.items()
    }
    assert {one.state for one in told.values()} == {"won", "open", "lost", "other"}
    assert found == expected


def test_steps_of_journeys(told: Told, ask: Ask) -> None:
    """By which card, how, when, and how long after the step before."""
    rows = ask(
        "select steps.*, journeys.entry_card_key "
        "from metrics.metric_journey_steps__by_journey as steps "
        "inner join metrics.metric_journeys__by_journey as journeys using (journey_key)"
    )
    found = {
        (row["funnel_name"], row["entry_card_key"], row["step_number"]): (
            row["card_key"],
            row["step_basis"],
            row["reached_at"],
            row["previous_step_number"],
            None if row["seconds_from_previous"] is None else float(row["seconds_from_previous"]),
        )
        for row in rows
    }
    expected = {
        (*key, number): (step.card_key, step.basis, step.reached_at, step.previous, step.seconds)
        for key, one in told.items()
        for number, step in one.steps.items()
    }
    assert len(found) == len(rows)
    assert {step[1] for step in expected.values()} == {
        "start", "link", "moved", "client_next_deal", "stage"
    }  # fmt: skip
    assert found == expected


@pytest.mark.parametrize("slice_type", ["all", "source", "employee"])
def test_conversion_by_step(
    slice_type: str, told: Told, lines: list[dict[str, str]], facts: Facts, ask: Ask
) -> None:
    cards = facts.by_key("dim_cards", "card_key")
    slices: Mapping[str, tuple[str, Callable[[Journey], Hashable]]] = {
        "all": ("slice_value", lambda one: "all"),
        "source": ("slice_value", lambda one: cards[one.first_card.key]["source_name"]),
        "employee": ("reporting_employee_key", lambda one: one.entry["reporting_employee_key"]),
    }
    column, slice_of = slices[slice_type]
    steps = {
        funnel: sorted({step for step, _, _ in its_places})
        for funnel, its_places in places(facts, lines).items()
    }
    expected = by_step(steps, told, slice_of)
    found = {
        (row["funnel_name"], row["month_start_on"], row[column], row["step_number"]): row
        for row in ask(
            f"select * from metrics.metric_journeys__by_step where slice_type = '{slice_type}'"
        )
    }
    assert found.keys() == expected.keys()
    for key, numbers in expected.items():
        for name, value in numbers.items():
            was = found[key][name]
            assert (None if was is None else float(was)) == approximately(value), (key, name)
