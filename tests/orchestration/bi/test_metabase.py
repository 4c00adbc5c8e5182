"""Metabase's set-up against a strict stand-in of its API; the cards' SQL on real databases."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
import yaml

from orchestration.bi import dashboards
from orchestration.bi.dashboards import column_title, read_dashboards, read_parameters
from orchestration.bi.metabase import output_columns, set_up
from orchestration.bi.metabase_client import Client
from orchestration.bi.model import BiModel, read_bi_model
from sources.errors import CallfunnelError
from tests.conftest import DemoRun
from tests.support.fake_metabase import KEY, FakeMetabase, serving
from tests.support.servers import Server, postgresql

READERS = ["owner", "head_of_sales", "manager", "marketer", "morning_meeting"]
# A value of every filter; what it is does not matter to EXPLAIN.
VALUES = {
    "from_day": "date '2026-01-01'",
    "pipeline": "'Продажи'",
    "department": "'Отдел продаж'",
    "employee": "'Марина Попова'",
    "source": "'Сайт'",
}


@pytest.fixture(scope="module")
def model(demo_run: DemoRun) -> BiModel:
    return read_bi_model(demo_run.settings)


@pytest.fixture(scope="module")
def few(model: BiModel) -> BiModel:
    """The tables that are shown, and one that hangs on them: every field is a call of the API."""
    pages = read_dashboards()
    names = {card.table for page in pages for card in page.cards} | {"dim_pipelines"}
    names |= {name for page in pages for name in page.models}
    tables = {name: model.tables[name] for name in sorted(names)}
    relationships = [
        one for one in model.relationships if {one.from_table, one.to_table} <= set(tables)
    ]
    return dataclasses.replace(model, tables=tables, relationships=relationships)


@pytest.fixture
def fake(few: BiModel) -> FakeMetabase:
    return FakeMetabase(
        {table.name: [*table.columns, "generation", "as_of_at"] for table in few.tables.values()}
    )


@pytest.fixture(scope="module")
def set_up_once(few: BiModel) -> FakeMetabase:
    made = FakeMetabase(
        {table.name: [*table.columns, "generation", "as_of_at"] for table in few.tables.values()}
    )
    assert run(made, few)
    made.writes.clear()
    return made


@pytest.fixture
def standing(set_up_once: FakeMetabase) -> FakeMetabase:
    """A server after a first run."""
    return copy.deepcopy(set_up_once)


@pytest.fixture(scope="module")
def postgres_with_marts(model: BiModel) -> Iterator[Server]:
    """The published tables as their contracts describe them, empty."""
    types = {"double": "double precision", "varchar": "text"}
    with postgresql() as server:
        statements = ["create schema marts"]
        for table in model.tables.values():
            columns = {
                name: types.get(one.data_type, one.data_type) for name, one in table.columns.items()
            }
            columns |= {"generation": "integer", "as_of_at": "timestamp"}
            listed = ", ".join(f"{name} {data_type}" for name, data_type in columns.items())
            statements.append(f"create table marts.{table.name} ({listed})")
        server.execute("; ".join(statements), database="postgres")
        yield server


def run(fake: FakeMetabase, model: BiModel, language: str = "ru", **more: float) -> list[str]:
    with serving(fake) as url:
        outcome = set_up(
            Client(url, KEY, wait_seconds=0.01),
            model,
            database="callfunnel",
            collection="callfunnel demo",
            language=language,
            poll_seconds=0.01,
            **more,
        )
    return outcome.changed


def test_every_reader_gets_a_dashboard_with_all_cards(standing: FakeMetabase) -> None:
    wanted = {one.names["ru"]: one for one in read_dashboards()}
    made = {row["name"]: row for row in standing.dashboards.values()}
    assert set(made) == set(wanted)
    for name, row in made.items():
        titles = [standing.cards[one["card_id"]]["name"] for one in row["dashcards"]]
        assert titles == [card.titles["ru"] for card in wanted[name].cards]
        place = standing.collections[row["collection_id"]]
        assert standing.collections[place["parent_id"]]["name"] == "callfunnel demo"
        spots = [
            (one["row"] + down, one["col"] + right)
            for one in row["dashcards"]
            for down in range(one["size_y"])
            for right in range(one["size_x"])
        ]
        assert len(set(spots)) == len(spots), f"cards of {name} lie on one another"


@pytest.mark.parametrize("answers_in_stages", [False, True])
def test_a_second_run_changes_nothing(
    standing: FakeMetabase, few: BiModel, answers_in_stages: bool
) -> None:
    standing.answers_in_stages = answers_in_stages
    before = copy.deepcopy((standing.cards, standing.dashboards, standing.collections))
    assert run(standing, few) == []
    assert standing.writes == []
    assert (standing.cards, standing.dashboards, standing.collections) == before


def test_what_somebody_changed_is_mended_and_nothing_else_is_written(
    standing: FakeMetabase, few: BiModel
) -> None:
    card = next(one for one in standing.cards.values() if one.get("type") != "model")
    card["dataset_query"]["native"]["query"] = "select 1"
    standing.field_named("fct_calls", "talk_seconds")["display_name"] = "Talk Seconds"
    dashboard = next(iter(standing.dashboards.values()))
    ids = {one["card_id"]: one["id"] for one in dashboard["dashcards"]}
    dashboard["dashcards"][0]["size_x"] = 4
    changed = run(standing, few)
    assert len(changed) == len(standing.writes) == 3
    assert {"fct_calls.talk_seconds", card["name"]} <= set(changed)
    # Links to a card on a page go on working.
    assert {one["card_id"]: one["id"] for one in dashboard["dashcards"]} == ids


def test_tables_are_named_tied_together_and_their_keys_hidden(standing: FakeMetabase) -> None:
    calls = next(row for row in standing.table_rows.values() if row["name"] == "fct_calls")
    assert calls["display_name"] == "Звонки"
    key = standing.field_named("fct_calls", "pipeline_key")
    home = standing.field_named("dim_pipelines", "pipeline_key")
    assert (key["semantic_type"], key["fk_target_field_id"]) == ("type/FK", home["id"])
    assert home["semantic_type"] == "type/PK"
    assert key["visibility_type"] == home["visibility_type"] == "details-only"
    assert standing.field_named("dim_pipelines", "pipeline_name")["visibility_type"] == "normal"
    link = standing.field_named("metric_open_cards__by_card", "card_url")
    assert link["semantic_type"] == "type/URL"
    # What callfunnel does not publish is left alone.
    assert standing.field_named("fct_calls", "generation")["display_name"] == "Generation"


def models_of(fake: FakeMetabase) -> dict[str, dict[str, Any]]:
    """By the table that a model asks."""
    return {
        fake.table_rows[one["dataset_query"]["query"]["source-table"]]["name"]: one
        for one in fake.cards.values()
        if one.get("type") == "model"
    }


def test_every_reader_has_models_of_the_main_tables(
    standing: FakeMetabase, demo_run: DemoRun
) -> None:
    made = models_of(standing)
    assert all(3 <= len(page.models) <= 5 for page in read_dashboards())
    assert set(made) == {name for page in read_dashboards() for name in page.models}
    assert {"fct_calls", "fct_deals", "fct_leads", "metric_scorecard__by_employee"} <= set(made)
    assert len({one["name"] for one in made.values()}) == len(made)
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect(str(marts), read_only=True) as connection:
        names = connection.execute(
            "select table_name, column_name, name, definition from marts.metric_catalogue "
            "where language = 'ru' and entry_kind = 'column'"
        ).fetchall()
    shown = {
        (table, column["name"]): (column["display_name"], column["description"])
        for table, one in made.items()
        for column in one["result_metadata"]
    }
    expected = {
        (table, column): (name, definition)
        for table, column, name, definition in names
        if (table, column) in shown
    }
    assert len(expected) > 100
    assert {key: shown[key] for key in expected} == expected
    for table, one in made.items():
        place = standing.collections[one["collection_id"]]
        assert place["name"] == "Таблицы"
        assert standing.collections[place["parent_id"]]["name"] == "callfunnel demo"
        assert one["description"], table
        assert {name for of, name in shown if of == table} == set(standing.tables[table])


@pytest.mark.parametrize("answers_in_stages", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made["dataset_query"]["query"].update(filter=["=", 1, 1]),
        lambda made: made["result_metadata"][3].update(display_name="Talk"),
        lambda made: made["result_metadata"].pop(),
        lambda made: made.update(description="mine"),
    ],
)
def test_a_model_that_somebody_changed_is_mended(
    standing: FakeMetabase,
    few: BiModel,
    spoil: Callable[[dict[str, Any]], None],
    answers_in_stages: bool,
) -> None:
    standing.answers_in_stages = answers_in_stages
    card = models_of(standing)["fct_calls"]
    before = copy.deepcopy(card)
    spoil(card)
    assert run(standing, few) == [card["name"]]
    assert card == before


def test_filters_reach_every_card_that_takes_them(standing: FakeMetabase) -> None:
    for dashboard in standing.dashboards.values():
        slugs = {one["id"]: one["slug"] for one in dashboard["parameters"]}
        for one in dashboard["dashcards"]:
            sql = standing.cards[one["card_id"]]["dataset_query"]["native"]["query"]
            mapped = {slugs[mapping["parameter_id"]] for mapping in one["parameter_mappings"]}
            assert mapped == set(re.findall(r"\{\{(\w+)\}\}", sql))


def test_it_waits_until_metabase_has_read_the_schema(standing: FakeMetabase, few: BiModel) -> None:
    standing.polls_until_synced = 4
    standing.failures = [503, 429]
    card = next(iter(standing.cards.values()))
    card["display"] = "pie"
    assert run(standing, few) == [card["name"]]
    assert standing.failures == []


def test_missing_tables_are_named_and_nothing_is_written(fake: FakeMetabase, few: BiModel) -> None:
    without = {
        name: columns
        for name, columns in fake.tables.items()
        if name != "metric_forecast__by_period"
    }
    without["fct_calls"] = without["fct_calls"][1:]
    fake = FakeMetabase(without)
    with pytest.raises(CallfunnelError, match=r"2 published tables or columns") as caught:
        run(fake, few, timeout_seconds=0.1)
    assert "fct_calls.call_key" in str(caught.value)
    assert fake.writes == []


def test_a_wrong_key_and_a_wrong_name_say_what_to_do(fake: FakeMetabase, few: BiModel) -> None:
    with serving(fake) as url:
        told = {"database": "callfunnel", "collection": "c", "language": "ru"}
        with pytest.raises(CallfunnelError, match="API key must belong to the group"):
            set_up(Client(url, "wrong"), few, **told)
        with pytest.raises(CallfunnelError, match=r"no database 'crm' \(it has: Sample Database"):
            set_up(Client(url, KEY), few, **{**told, "database": "crm"})
        with pytest.raises(CallfunnelError, match="no PostgreSQL"):
            set_up(Client(url, KEY), few, **{**told, "database": "Sample Database"})
    with pytest.raises(CallfunnelError, match="does not answer"):
        set_up(Client("http://127.0.0.1:9", KEY, wait_seconds=0.01), few, **told)


def test_there_is_a_file_for_every_card_and_a_card_for_every_file() -> None:
    folder = Path(dashboards.__file__).with_name("dashboards")
    named = {(one.reader, card.name) for one in read_dashboards() for card in one.cards}
    assert {(path.parent.name, path.stem) for path in folder.rglob("*.sql")} == named
    assert [one.reader for one in read_dashboards()] == READERS


def test_a_card_says_what_it_shows_and_as_of_when_in_three_languages(model: BiModel) -> None:
    for page in read_dashboards():
        for language in ("en", "ru", "uk"):
            titles = [card.titles[language] for card in page.cards]
            assert len(set(titles)) == len(titles)
        for card in page.cards:
            assert model.reports[card.table].startswith("R"), card.name
            columns = output_columns(card.sql)
            assert columns[-1] == "as_of_at", card.name
            assert set(card.parameters) <= set(read_parameters())
            for language in ("en", "ru", "uk"):
                for column in columns:
                    assert column_title(column, card, model, language), f"{card.name}.{column}"
            if card.chart:
                assert {card.chart["x"], *card.chart["y"]} <= set(columns)


def test_an_exposure_names_the_tables_of_its_dashboard() -> None:
    root = Path(dashboards.__file__).parents[2]
    text = (root / "models/exposures/_exposures__exposures.yml").read_text()
    of_exposure = {
        one["name"]: set(re.findall(r"ref\('(\w+)'\)", str(one["depends_on"])))
        for one in yaml.safe_load(text)["exposures"]
    }
    names = ["owners_overview", "heads_report", "managers_sheet", "marketers_report",
             "morning_meeting"]  # fmt: skip
    for page, name in zip(read_dashboards(), names, strict=True):
        used = {card.table for card in page.cards}
        used |= set(page.models)
        used |= {name for card in page.cards for name in re.findall(r"marts\.(\w+)", card.sql)}
        assert used <= of_exposure[name], f"{name}: {used - of_exposure[name]}"


def test_every_card_runs_on_postgresql(postgres_with_marts: Server) -> None:
    with postgres_with_marts.engine("postgres") as engine, engine.connect() as connection:
        for page in read_dashboards():
            for card in page.cards:
                for values in ({}, VALUES):
                    sql = card.filled(values)
                    assert "{{" not in sql
                    assert "[[" not in sql
                    plan = connection.exec_driver_sql(f"explain {sql.replace('%', '%%')}").all()
                    assert plan, card.name
                    answer = connection.execute(sa.text(sql.replace(":", r"\:")))
                    assert list(answer.keys()) == output_columns(card.sql), card.name


def test_every_card_has_rows_on_the_demo_company(demo_run: DemoRun) -> None:
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect(str(marts), read_only=True) as connection:
        for page in read_dashboards():
            for card in page.cards:
                rows = connection.execute(card.filled({})).fetchall()
                assert rows, f"{page.reader}.{card.name} is empty"
                assert all(row[-1] is not None for row in rows), f"{card.name}: as of when?"
                connection.execute(card.filled(VALUES)).fetchall()


def test_the_owner_reads_the_wins_that_stand_in_the_closes(demo_run: DemoRun) -> None:
    [card] = [card for card in read_dashboards()[0].cards if card.name == "won_amount_trend"]
    marts = demo_run.settings.published_dir / "current/marts_demo.duckdb"
    with duckdb.connect(str(marts), read_only=True) as connection:
        shown = {row[0]: float(row[1]) for row in connection.execute(card.filled({})).fetchall()}
        closes = connection.execute(
            "select closed_on, company_amount, outcome, is_counted, is_in_totals "
            "from marts.fct_deal_closes"
        ).fetchall()
    by_month = dict.fromkeys(shown, 0.0)
    for closed_on, amount, outcome, is_counted, is_in_totals in closes:
        if outcome == "won" and is_counted and is_in_totals:
            by_month[closed_on.replace(day=1)] += float(amount or 0)
    assert shown == pytest.approx(by_month)
    assert sum(shown.values()) > 0
