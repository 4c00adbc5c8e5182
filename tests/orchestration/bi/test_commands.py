"""`powerbi` and `metabase` on the command line: options, defaults, refusals."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.bi import model as bi
from orchestration.bi.dashboards import read_dashboards
from orchestration.bi.model import BiModel, read_bi_model
from orchestration.cli import app
from tests.conftest import DemoRun
from tests.support.fake_metabase import KEY, FakeMetabase, serving


@pytest.fixture(scope="module")
def few(demo_run: DemoRun) -> BiModel:
    """The tables of cards and models, and those that a Power BI project can't do without."""
    whole = read_bi_model(demo_run.settings)
    names = {card.table for page in read_dashboards() for card in page.cards}
    names |= {name for page in read_dashboards() for name in page.models}
    names |= {"dim_cards", "dim_dates", "dim_employees"}
    return dataclasses.replace(
        whole,
        tables={name: whole.tables[name] for name in sorted(names)},
        relationships=[
            one for one in whole.relationships if {one.from_table, one.to_table} <= names
        ],
        semantic={"semantic_models": [], "metrics": []},
    )


@pytest.fixture
def company(few: BiModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The demo company with nothing but a model; gives the root of its data."""
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("METABASE_URL", raising=False)
    monkeypatch.delenv("METABASE_API_KEY", raising=False)
    monkeypatch.setattr(bi, "read_bi_model", lambda _: few)
    here = Path.cwd()
    yield tmp_path
    os.chdir(here)


def test_powerbi_writes_into_the_companys_folder_in_its_language(company: Path) -> None:
    runner = CliRunner()
    said = runner.invoke(app, ["powerbi", "--company=demo"])
    assert said.exit_code == 0, said.output
    shortcut = company / "demo/powerbi/callfunnel_demo.pbip"
    assert said.output.startswith(f"{shortcut}: ")
    own = (shortcut.parent / "callfunnel_demo.SemanticModel/definition/model.tmdl").read_text()
    assert "culture: ru-RU" in own

    chosen = company / "chosen"
    said = runner.invoke(app, ["powerbi", "--company=demo", f"--to={chosen}", "--language=uk"])
    assert said.exit_code == 0, said.output
    other = (chosen / "callfunnel_demo.SemanticModel/definition/model.tmdl").read_text()
    assert "culture: uk-UA" in other

    said = runner.invoke(app, ["powerbi", "--company=demo", f"--to={company}/x", "--language=de"])
    assert said.exit_code == 1
    assert "There is no language 'de'; choose from en, ru, uk." in said.output
    assert not (company / "x").exists()


def test_metabase_is_told_where_by_options_or_by_the_environment(
    company: Path, few: BiModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = CliRunner()
    fake = FakeMetabase(
        {table.name: [*table.columns, "generation", "as_of_at"] for table in few.tables.values()}
    )
    said = runner.invoke(app, ["metabase", "--company=demo"])
    assert said.exit_code == 2
    assert "METABASE_URL" in said.output

    def names() -> set[str]:
        return {one["name"] for one in fake.collections.values() if one["location"] == "/"}

    with serving(fake) as url:
        monkeypatch.setenv("METABASE_URL", url + "/")
        monkeypatch.setenv("METABASE_API_KEY", KEY)
        said = runner.invoke(app, ["metabase", "--company=demo", "--language=de"])
        assert said.exit_code == 1
        assert "There is no language 'de'; choose from en, ru, uk." in said.output
        assert fake.writes == []

        said = runner.invoke(app, ["metabase", "--company=demo", "--database=crm"])
        assert said.exit_code == 1
        assert "no database 'crm'" in said.output

        said = runner.invoke(app, ["metabase", "--company=demo"])
        assert said.exit_code == 0, said.output
        assert names() == {"callfunnel demo"}
        [(number, owner)] = [
            (number, one) for number, one in fake.dashboards.items() if one["name"] == "Собственник"
        ]
        assert f"{owner['name']}: {url}/dashboard/{number}\n" in said.output

        monkeypatch.delenv("METABASE_URL")
        monkeypatch.delenv("METABASE_API_KEY")
        options = [f"--url={url}", f"--api-key={KEY}", "--collection=Sales", "--language=en"]
        said = runner.invoke(app, ["metabase", "--company=demo", *options])
        assert said.exit_code == 0, said.output
        assert names() == {"callfunnel demo", "Sales"}
        assert "Owner: " in said.output
