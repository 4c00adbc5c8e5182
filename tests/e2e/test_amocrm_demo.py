"""`make demo SYSTEM=amocrm`, by the command a user would type."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.settings import Settings
from tests.conftest import command_line


def test_the_demo_company_in_amocrm_is_loaded_built_and_published(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = ("demo", "--system", "amocrm")
    finished = command_line(*arguments, data_root=tmp_path / "data", dagster_home=home)
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert "raw_amocrm" in finished.stdout
    # Nothing is shown of the system that the company lacks.
    assert "raw_bitrix24" not in finished.stdout
    settings = Settings(company="demo_amocrm", data_root=tmp_path / "data")
    published = settings.published_dir / "current" / "marts_demo_amocrm.duckdb"
    with duckdb.connect(str(published), read_only=True) as connection:
        owners = connection.execute(
            "select distinct owner_basis from marts.fct_deals where closed_at is not null"
        ).fetchall()
        systems = connection.execute("select distinct source_key from marts.fct_calls").fetchall()
    assert owners == [("history",)]
    assert systems == [("amocrm:main",)]


def test_an_unknown_system_is_told_with_the_known_ones(tmp_path: Path) -> None:
    finished = command_line(
        "demo", "--system", "onec", data_root=tmp_path / "data", dagster_home=tmp_path / "home"
    )
    assert finished.returncode == 1
    told = " ".join(finished.stderr.split())
    assert "There is no system 'onec'; choose from bitrix24, amocrm." in told
