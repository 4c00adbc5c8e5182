"""Back-fill and restore, by the commands a user would type."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from orchestration.settings import Settings
from tests.conftest import DemoRun, command_line


def counts(warehouse: Path, *tables: str) -> list[int]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return [
            connection.execute(f"select count(*) from raw_bitrix24.{table}").fetchall()[0][0]
            for table in tables
        ]


def test_a_back_fill_reads_a_window_again_and_doubles_nothing(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    shutil.copytree(demo_run.settings.data_dir, tmp_path / "data" / "demo", symlinks=True)
    settings = Settings(company="demo", data_root=tmp_path / "data")
    before = counts(settings.warehouse, "deals", "leads", "calls")
    with duckdb.connect(str(settings.warehouse)) as connection:
        lost = connection.execute(
            "delete from raw_bitrix24.leads where date_create >= '2026-03-01 00:00:00+03' "
            "and date_create < '2026-04-01 00:00:00+03' returning id"
        ).fetchall()
    assert lost
    finished = command_line(
        "backfill",
        "--company=demo",
        "--from=2026-03-01",
        "--to=2026-04-01",
        "--entity=leads",
        "--entity=deals",
        data_root=tmp_path / "data",
        dagster_home=tmp_path / "home",
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert f"{len(lost)} leads" in finished.stderr
    assert counts(settings.warehouse, "deals", "leads", "calls") == before


def test_a_lost_warehouse_is_restored_from_the_archive(demo_run: DemoRun, tmp_path: Path) -> None:
    archive = demo_run.settings.archive_dir
    shutil.copytree(archive, tmp_path / "data" / "demo" / "archive")
    kept = ("stage_history", "lead_stage_history", "task_history", "user_versions", "deal_versions")
    finished = command_line(
        "restore",
        "--company=demo",
        data_root=tmp_path / "data",
        dagster_home=tmp_path / "home",
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    restored = Settings(company="demo", data_root=tmp_path / "data").warehouse
    assert counts(restored, *kept) == counts(demo_run.settings.warehouse, *kept)
    again = command_line(
        "restore",
        "--company=demo",
        data_root=tmp_path / "data",
        dagster_home=tmp_path / "home",
    )
    assert again.returncode == 1
    assert "--force" in again.stderr
