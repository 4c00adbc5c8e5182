"""What is published: whole, current, without personal data."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from orchestration.publishing import files as publishing
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.tables import PublishedTable, published_tables
from tests.conftest import DemoRun
from tests.support.install_servers import OLD_DUCKDB, OLD_DUCKDB_FOLDER


@pytest.fixture(scope="module")
def current(demo_run: DemoRun) -> Path:
    return (demo_run.settings.published_dir / "current").resolve()


def test_every_mart_and_metric_is_a_parquet_file_and_a_table(
    current: Path, demo_run: DemoRun
) -> None:
    manifest = json.loads((current / "manifest.json").read_text())
    names = {table["name"] for table in manifest["tables"]}
    assert names >= {"fct_calls", "fct_deals", "fct_stage_visits", "metric_call_load__by_stage"}
    with duckdb.connect(str(current / "marts_demo.duckdb"), read_only=True) as connection:
        for table in manifest["tables"]:
            path = current / f"{table['name']}.parquet"
            counted = connection.execute(
                f"select (select count(*) from '{path}'), "
                f"(select count(*) from marts.{table['name']})"
            ).fetchone()
            assert counted == (table["rows"], table["rows"])


def test_the_database_is_read_by_an_old_duckdb(current: Path) -> None:
    counting = (
        "import duckdb, json, sys\n"
        "reader = duckdb.connect(sys.argv[1], read_only=True)\n"
        "tables = reader.execute('select table_name from duckdb_tables()').fetchall()\n"
        "count = {t: reader.execute(f'select count(*) from marts.{t}').fetchone()[0] "
        "for t, in tables}\n"
        "print(json.dumps([duckdb.__version__, count]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", counting, str(current / "marts_demo.duckdb")],
        env={**os.environ, "PYTHONPATH": str(OLD_DUCKDB_FOLDER)},
        capture_output=True,
        text=True,
        check=True,
    )
    manifest = json.loads((current / "manifest.json").read_text())
    rows = {table["name"]: table["rows"] for table in manifest["tables"]}
    assert json.loads(finished.stdout) == [OLD_DUCKDB, rows]


def test_every_table_carries_its_generation_and_as_of(current: Path) -> None:
    for path in current.glob("*.parquet"):
        found = duckdb.sql(
            f"select distinct generation, as_of_at::varchar from '{path}'"
        ).fetchall()
        assert found in ([], [(1, "2026-06-30 15:00:00")]), path.name


def test_columns_with_personal_data_are_left_out(current: Path) -> None:
    columns = {c[0] for c in duckdb.sql(f"describe from '{current}/fct_calls.parquet'").fetchall()}
    assert "call_key" in columns
    assert not columns & {"phone_e164", "recording_url"}
    assert "phone_e164_hash" in columns
    columns = {c[0] for c in duckdb.sql(f"describe from '{current}/fct_deals.parquet'").fetchall()}
    assert not columns & {"deal_title", "deal_title_hash"}


def test_true_keys_of_employees_are_left_out(current: Path) -> None:
    for name in ("fct_calls", "fct_deals", "fct_stage_visits"):
        columns = {c[0] for c in duckdb.sql(f"describe from '{current}/{name}.parquet'").fetchall()}
        assert "reporting_employee_key" in columns
        assert not [c for c in columns if c.endswith(("owner_employee_key", "talker_employee_key"))]


def test_all_data_are_readable_by_owner_and_group_only(demo_run: DemoRun, current: Path) -> None:
    root = demo_run.settings.data_dir
    seen = [path for path in (root.parent, root, *root.rglob("*")) if not path.is_symlink()]
    assert {demo_run.settings.warehouse, current / "manifest.json", demo_run.store} <= set(seen)
    for path in seen:
        # Keys are for whoever runs the pipeline alone.
        wanted = 0o750 if path.is_dir() else 0o600 if path.suffix == ".key" else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path.relative_to(root.parent)


TABLES = (PublishedTable("marts", "dim_dates", ("date_day",), ()),)


def publish(demo_run: DemoRun, folder: Path, keep: int = 2) -> publishing.Publication:
    return publishing.publish_files(
        demo_run.settings.warehouse,
        folder,
        "demo",
        TABLES,
        hash_key=b"secret",
        keep_generations=keep,
        facts={},
        memory_limit="1GB",
        temp_dir=folder.parent / "tmp",
    )


def test_the_last_generations_are_kept_and_current_points_at_the_newest(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    for _ in range(4):
        publish(demo_run, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current", "gen-3", "gen-4"]
    assert (tmp_path / "current").resolve().name == "gen-4"


def test_a_reader_with_the_old_file_open_goes_on(demo_run: DemoRun, tmp_path: Path) -> None:
    publish(demo_run, tmp_path, keep=1)
    with duckdb.connect(str(tmp_path / "current" / "marts_demo.duckdb"), read_only=True) as reader:
        publish(demo_run, tmp_path, keep=1)
        row = reader.execute("select max(generation) from marts.dim_dates").fetchone()
    assert row == (1,)


def test_a_publisher_that_fails_midway_leaves_the_old_generation(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    publish(demo_run, tmp_path)
    broken = (*TABLES, PublishedTable("marts", "no_such_table", ("x",), ()))
    with pytest.raises(duckdb.CatalogException):
        publishing.publish_files(
            demo_run.settings.warehouse,
            tmp_path,
            "demo",
            broken,
            hash_key=b"secret",
            keep_generations=2,
            facts={},
            memory_limit="1GB",
            temp_dir=tmp_path / "tmp",
        )
    assert (tmp_path / "current").resolve().name == "gen-1"
    assert not (tmp_path / "gen-2").exists()
    assert publish(demo_run, tmp_path).generation == 2
    assert not list(tmp_path.glob(".gen-*"))


def test_a_publisher_that_can_not_swap_leaves_the_old_generation(
    demo_run: DemoRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(demo_run, tmp_path)

    def refused(*_: Path) -> None:
        raise PermissionError("current")

    monkeypatch.setattr(publishing, "_make_current", refused)
    with pytest.raises(PublishingFailed, match="The last publication stays"):
        publish(demo_run, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "gen-1"]


def test_a_column_nobody_has_marked_is_not_published() -> None:
    manifest = {
        "nodes": {
            "model.x": {
                "resource_type": "model",
                "schema": "marts",
                "name": "fct_x",
                "columns": {
                    "a": {"name": "a", "config": {"meta": {"pii": "none"}}},
                    "b": {"name": "b", "config": {"meta": {}}},
                    "c": {"name": "c", "config": {"meta": {"pii": "phone"}}},
                },
            }
        }
    }
    assert published_tables(manifest)[0].columns == ("a", "c_hash")
    assert published_tables(manifest)[0].left_out == ("b", "c")
