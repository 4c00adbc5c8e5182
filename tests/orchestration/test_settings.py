"""Settings: where a company's rules and data are."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import Settings

pytestmark = pytest.mark.scattered


def test_copied_settings_keep_no_folder_of_the_original(tmp_path: Path) -> None:
    one = Settings(company="one", companies_dir=tmp_path / "companies", data_root=tmp_path / "data")
    assert (one.company_dir.name, one.data_dir.name) == ("one", "one")
    other = one.for_company("other")
    assert other.company_dir == tmp_path / "companies" / "other"
    assert other.data_dir == tmp_path / "data" / "other"
    assert one.model_copy(update={"data_root": tmp_path}).warehouse.parent == tmp_path / "one"
