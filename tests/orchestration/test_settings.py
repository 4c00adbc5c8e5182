"""Settings: where a company's rules and data are."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import LARGE_WAREHOUSE_BYTES, Settings

pytestmark = pytest.mark.scattered


def test_copied_settings_keep_no_folder_of_the_original(tmp_path: Path) -> None:
    one = Settings(company="one", companies_dir=tmp_path / "companies", data_root=tmp_path / "data")
    assert (one.company_dir.name, one.data_dir.name) == ("one", "one")
    other = one.for_company("other")
    assert other.company_dir == tmp_path / "companies" / "other"
    assert other.data_dir == tmp_path / "data" / "other"
    assert one.model_copy(update={"data_root": tmp_path}).warehouse.parent == tmp_path / "one"


def test_a_large_warehouse_builds_one_model_at_a_time(tmp_path: Path) -> None:
    settings = Settings(company="one", data_root=tmp_path, threads=2)
    assert settings.dbt_environment()["CALLFUNNEL_MODELS_AT_ONCE"] == "2"
    settings.warehouse.parent.mkdir(parents=True)
    with settings.warehouse.open("wb") as file:
        file.truncate(LARGE_WAREHOUSE_BYTES)
        assert settings.dbt_environment()["CALLFUNNEL_MODELS_AT_ONCE"] == "2"
        file.truncate(LARGE_WAREHOUSE_BYTES + 1)
    assert settings.dbt_environment()["CALLFUNNEL_MODELS_AT_ONCE"] == "1"
    assert settings.dbt_environment()["CALLFUNNEL_THREADS"] == "2"
