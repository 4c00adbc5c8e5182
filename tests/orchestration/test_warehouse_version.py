"""A warehouse of a newer version is refused in a sentence, and left as it was."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration import warehouse_version
from orchestration.warehouse_version import WAREHOUSE_VERSION, WarehouseTooNew, claim_warehouse
from tests.conftest import command_line
from tests.support.companies import write_version


def versions(warehouse: Path) -> list[tuple[int]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute("select version from raw_derived.warehouse_version").fetchall()


def test_a_new_warehouse_gets_the_version(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    claim_warehouse(warehouse)
    claim_warehouse(warehouse)
    assert versions(warehouse) == [(WAREHOUSE_VERSION,)]


def test_newer_code_raises_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    claim_warehouse(warehouse)
    monkeypatch.setattr(warehouse_version, "WAREHOUSE_VERSION", WAREHOUSE_VERSION + 1)
    claim_warehouse(warehouse)
    assert versions(warehouse) == [(WAREHOUSE_VERSION + 1,)]


def test_older_code_refuses_a_newer_warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    monkeypatch.setattr(warehouse_version, "WAREHOUSE_VERSION", 7)
    claim_warehouse(warehouse)
    monkeypatch.setattr(warehouse_version, "WAREHOUSE_VERSION", 6)
    with pytest.raises(WarehouseTooNew, match=r"its version is 7, and this one knows up to 6\."):
        claim_warehouse(warehouse)
    assert versions(warehouse) == [(7,)]


def test_a_file_of_a_newer_duckdb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        # DuckDB's words; a checksum keeps a test from writing such a file.
        raise duckdb.IOException(
            "Trying to read a database file with version number 68, but we can only read version "
            "64 to 67."
        )

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(WarehouseTooNew, match="newer DuckDB"):
        claim_warehouse(tmp_path / "warehouse.duckdb")


def test_other_errors_of_the_file_stay_what_they_are(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    warehouse.write_text("this is no database" * 1000)
    with pytest.raises(duckdb.Error):
        claim_warehouse(warehouse)


@pytest.mark.parametrize("words", [("dbt", "run"), ("mf", "list"), ("summary",)])
def test_the_command_line_leaves_a_newer_warehouse_alone(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    write_version(tmp_path / "data/demo/warehouse.duckdb", 99)
    finished = command_line(*words, data_root=tmp_path / "data", dagster_home=tmp_path / "home")
    assert finished.returncode == 1
    assert "its version is 99" in " ".join(finished.stderr.split())
    assert versions(tmp_path / "data/demo/warehouse.duckdb") == [(99,)]
