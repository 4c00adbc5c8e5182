"""Published files: whole or not at all, whatever becomes of the publisher or the disk."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterInstance, materialize

from orchestration.assets.publish import publish_assets
from orchestration.resources import Warehouse
from orchestration.settings import PROJECT_DIR, Settings

TABLES_COUNT = 12
ROWS = 3000

PUBLISHER = """
import resource, sys
from pathlib import Path
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.files import publish_files
from orchestration.publishing.tables import PublishedTable

warehouse, folder, tables_count, largest_file = sys.argv[1:]
tables = [PublishedTable("marts", f"t{n:02}", ("id", "told"), ()) for n in range(int(tables_count))]
register = PublishedTable("marts", "t00", ("id", "told"), ())
if largest_file != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest_file), int(largest_file)))
print("ready", flush=True)
try:
    publish_files(
        Path(warehouse), Path(folder), "acme", tables, hash_key=b"key", keep_generations=2,
        facts={}, memory_limit="300MB", temp_dir=Path(folder).parent / "tmp", contacts=[register],
        progress=lambda said: print(said, flush=True),
    )
except PublishingFailed as failed:
    print(failed, flush=True)
print("through", flush=True)
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("it's") / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema intermediate")
        connection.execute(
            "create table intermediate.int_connections as "
            "select timestamp '2026-06-30 15:00:00' as report_as_of_at"
        )
        for number in range(TABLES_COUNT):
            connection.execute(
                f"create table marts.t{number:02} as select range as id, "
                f"md5(range::varchar) as told from range({ROWS})"
            )
    return path


def start(warehouse: Path, folder: Path, largest_file: int = 0) -> subprocess.Popen[str]:
    publisher = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(warehouse), str(folder), str(TABLES_COUNT),
         str(largest_file)],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert publisher.stdout is not None
    assert publisher.stdout.readline() == "ready\n"
    return publisher


def publish(warehouse: Path, folder: Path, largest_file: int = 0) -> list[str]:
    """What it says."""
    with start(warehouse, folder, largest_file) as publisher:
        assert publisher.stdout is not None
        said = publisher.stdout.read().splitlines()
    assert said[-1] == "through"
    return said


def whole_generation(folder: Path) -> int:
    """The generation that every file of the publication shows, with all its rows."""
    current = folder / "current"
    manifest = json.loads((current / "manifest.json").read_text())
    assert len(manifest["tables"]) == TABLES_COUNT
    seen = set()
    with duckdb.connect(str(current / "marts_acme.duckdb"), read_only=True) as connection:
        for table in manifest["tables"]:
            for relation in (f"marts.{table['name']}", f"'{current}/{table['name']}.parquet'"):
                seen.add(
                    connection.execute(
                        f"select min(generation), max(generation), count(*) from {relation}"
                    ).fetchone()
                )
        seen.add(
            connection.execute(
                "select min(generation), max(generation), count(*) "
                f"from '{current}/contacts/t00.parquet'"
            ).fetchone()
        )
    number = manifest["generation"]
    assert seen == {(number, number, ROWS)}
    return int(number)


def _kill(warehouse: Path, folder: Path, points: list[tuple[int, float]]) -> set[int]:
    publish(warehouse, folder)
    seen = set()
    for lines, seconds in points:
        before = whole_generation(folder)
        with start(warehouse, folder) as publisher:
            assert publisher.stdout is not None
            for _ in range(lines):
                assert publisher.stdout.readline()
            time.sleep(seconds)
            publisher.kill()
        after = whole_generation(folder)
        assert after >= before
        seen.add(after - before)
    publish(warehouse, folder)
    assert not list(folder.glob(".gen-*"))
    whole_generation(folder)
    return seen


def test_a_killed_publisher_leaves_the_old_or_the_new_generation(
    warehouse: Path, tmp_path: Path
) -> None:
    points = [(0, 0.05), (5, 0), (TABLES_COUNT, 0.004), (TABLES_COUNT, 1.5)]
    assert 0 in _kill(warehouse, tmp_path, points)


@pytest.mark.long
def test_publishers_killed_at_sixty_points(warehouse: Path, tmp_path: Path) -> None:
    chance = random.Random(9)
    points = [(chance.randint(0, TABLES_COUNT), chance.uniform(0, 0.02)) for _ in range(30)]
    points += [(TABLES_COUNT, chance.uniform(0, 0.1)) for _ in range(29)]
    # However slow the machine is, one comes after the swap.
    points.append((TABLES_COUNT, 1.5))
    seen = _kill(warehouse, tmp_path, points)
    assert 0 in seen
    assert len(seen) > 1, "no kill came after a swap"


@pytest.mark.parametrize("largest_file", [10_000, 100_000])
def test_a_full_disk_leaves_the_old_generation_and_nothing_of_the_new(
    warehouse: Path, tmp_path: Path, largest_file: int
) -> None:
    """A limit on the size of files stands in for a full disk: no right is needed for it."""
    publish(warehouse, tmp_path)
    said = publish(warehouse, tmp_path, largest_file)
    assert "can't be written" in said[-2], said[-2:]
    assert "Make room" in said[-2]
    assert whole_generation(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "gen-1"]
    publish(warehouse, tmp_path)
    assert whole_generation(tmp_path) == 2


@pytest.mark.parametrize("is_open", [False, None])
def test_behind_a_closed_gate_or_one_that_has_not_judged_nothing_is_published(
    tmp_path: Path, is_open: bool | None
) -> None:
    company = tmp_path / "companies" / "acme"
    company.mkdir(parents=True)
    (company / "company.toml").write_text(
        '[company]\nname = "Acme"\ntime_zone = "Europe/Kyiv"\n\n[connections]\n'
    )
    settings = Settings(
        company="acme",
        companies_dir=company.parent,
        data_root=tmp_path / "data",
        company_publish_postgres={"acme": "postgresql://nobody:secret@127.0.0.1:1/none"},
    )
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema raw_derived")
        connection.execute(
            "create table raw_derived.builds as select 7 as build_number, 0 as failures_count"
        )
        if is_open is not None:
            connection.execute(
                "create table raw_derived.gate_verdicts as "
                "select 7::bigint as build_number, false as is_open, 'too few calls' as reasons"
            )
    gate, *published = publish_assets(settings, {"nodes": {}})
    for one in published:
        with DagsterInstance.ephemeral() as instance:
            done = materialize(
                [gate, *published],
                selection=[one.key],
                instance=instance,
                resources={"warehouse": Warehouse.of(settings)},
                raise_on_error=False,
            )
            (failure,) = done.get_step_failure_events()
            told = failure.step_failure_data.user_failure_data
            assert told is not None
            expected = "too few calls" if is_open is False else "materialise quality_gate first"
            assert expected in str(told.description)
    assert not settings.published_dir.exists()
