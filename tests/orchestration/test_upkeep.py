"""The upkeep: what goes and what stays, and a warehouse that is whole whatever happens."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    JobDefinition,
    asset,
    define_asset_job,
    job,
    op,
)

from expectations.data_docs import BUILDS_KEPT
from orchestration.lock import warehouse_lock
from orchestration.resources import Warehouse
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.upkeep import compaction
from orchestration.upkeep.compaction import Compaction, compact
from orchestration.upkeep.job import upkeep_job
from orchestration.upkeep.leftovers import forget_old_results, remove_remains
from orchestration.upkeep.runs import forget_old_runs
from sources.company import read_company
from sources.errors import CallfunnelError, InputError
from tests.support.companies import make_company

pytestmark = pytest.mark.scattered

JOBS = ("acme__daily_refresh", "acme__upkeep")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = make_company(tmp_path, "acme")
    made.make_folders()
    return made.model_copy(update={"lock_timeout_seconds": 0.1})


# Old runs


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """As in production: SQLite, with a file of events per run."""
    (tmp_path / "home").mkdir()
    with DagsterInstance.local_temp(str(tmp_path / "home")) as made:
        yield made


def job_of(name: str, *, fails: bool = False) -> JobDefinition:
    @op(name=f"{name}_step")
    def step() -> None:
        print("said by", name)
        if fails:
            raise RuntimeError

    @job(name=name)
    def made() -> None:
        step()

    return made


def run_of(instance: DagsterInstance, name: str, *, fails: bool = False) -> str:
    result = job_of(name, fails=fails).execute_in_process(instance=instance, raise_on_error=False)
    assert result.success is not fails
    return result.run_id


def run_by_hand(instance: DagsterInstance, company: str) -> str:
    """What "Materialize selected" makes: a run of a job without the company's name."""

    @asset(key=AssetKey([company, "marts", "fct_calls"]))
    def calls() -> None: ...

    definitions = Definitions(assets=[calls], jobs=[define_asset_job("all_of_it")])
    implicit = definitions.resolve_implicit_global_asset_job_def()
    result = implicit.execute_in_process(
        instance=instance, asset_selection=[AssetKey([company, "marts", "fct_calls"])]
    )
    return result.run_id


def traces(instance: DagsterInstance, run_id: str) -> list[Path]:
    """Every file and folder that bears the name of a run."""
    return list(Path(instance.root_directory).rglob(f"*{run_id}*"))


def test_old_runs_of_a_company_go_with_all_that_they_left(instance: DagsterInstance) -> None:
    old = [
        run_of(instance, "acme__daily_refresh"),
        run_of(instance, "acme__daily_refresh", fails=True),
        run_by_hand(instance, "acme"),
    ]
    others = [
        run_of(instance, "beta__daily_refresh"),
        # A company of its own, though its name begins like the other's.
        run_of(instance, "acme__two__daily_refresh"),
        run_by_hand(instance, "beta"),
    ]
    assert all(len(traces(instance, run_id)) >= 2 for run_id in (old[0], others[0]))
    then = dt.datetime.now(dt.UTC)
    newer = [run_of(instance, "acme__daily_refresh"), run_by_hand(instance, "acme")]
    assert forget_old_runs(instance, "acme", JOBS, then) == 3
    assert {run.run_id for run in instance.get_runs()} == {*others, *newer}
    assert [path for run_id in old for path in traces(instance, run_id)] == []
    index = next(Path(instance.root_directory).rglob("index.db"))
    with contextlib.closing(sqlite3.connect(index)) as connection:
        told = {run_id for (run_id,) in connection.execute("select run_id from event_logs")}
    assert not told & set(old)
    for run_id in (*others, *newer):
        assert instance.all_logs(run_id)
    assert forget_old_runs(instance, "acme", JOBS, then) == 0


def test_the_newest_success_of_each_job_stays_however_old(instance: DagsterInstance) -> None:
    run_of(instance, "acme__daily_refresh")
    stays = [run_of(instance, "acme__daily_refresh"), run_of(instance, "acme__upkeep")]
    run_of(instance, "acme__daily_refresh", fails=True)
    assert forget_old_runs(instance, "acme", JOBS, dt.datetime.now(dt.UTC)) == 2
    assert {run.run_id for run in instance.get_runs()} == set(stays)


# What tools leave

LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def written(path: Path, *, is_old: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    at = (LONG_AGO + dt.timedelta(days=-1 if is_old else 1)).timestamp()
    os.utime(path, (at, at))
    return path


def package(folder: Path, *, is_old: bool) -> Path:
    written(folder / "package_completed.json", is_old=is_old)
    at = (LONG_AGO + dt.timedelta(days=-1 if is_old else 1)).timestamp()
    os.utime(folder, (at, at))
    return folder


def test_old_results_go_and_their_neighbours_stay(settings: Settings) -> None:
    dbt, dlt_state = settings.dbt_target_dir, settings.pipelines_dir / "bitrix24__main"
    goes = [
        written(dbt / "dbt.log.3", is_old=True),
        written(dbt / "compiled/callfunnel/models/gone.sql", is_old=True),
        written(dbt / "run/callfunnel/models/gone.sql", is_old=True),
        package(dlt_state / "load/loaded/1000.5", is_old=True),
    ]
    stays = [
        written(dbt / "dbt.log.1", is_old=False),
        written(dbt / "manifest.json", is_old=True),
        written(dbt / "partial_parse.msgpack", is_old=True),
        written(dbt / "run_results.json", is_old=True),
        written(dbt / "compiled/callfunnel/models/fct_calls.sql", is_old=False),
        package(dlt_state / "load/loaded/2000.5", is_old=False),
        # Waits to be loaded.
        package(dlt_state / "load/normalized/999.5", is_old=True),
        written(dlt_state / "state.json", is_old=True),
        # The only one of its connection.
        package(settings.pipelines_dir / "amocrm__none/load/loaded/1000.5", is_old=True),
        written(settings.archive_dir / "bitrix24/deals/main/1.parquet", is_old=True),
        written(settings.data_dir / "tokens/main.json", is_old=True),
        written(settings.published_dir / "gen-1/fct_calls.parquet", is_old=True),
    ]
    gone = forget_old_results(settings, LONG_AGO)
    assert gone == {"dbt files": 3, "dlt packages": 1, "pages of builds": 0}
    assert [path for path in goes if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    assert not any(forget_old_results(settings, LONG_AGO).values())


def test_pages_of_builds_beyond_the_bound_go_and_the_list_follows(settings: Settings) -> None:
    pages = settings.data_dir / "quality"
    for number in range(1, BUILDS_KEPT + 4):
        written(pages / f"build-{number}" / "index.html", is_old=True)
    written(pages / "build-99.part" / "index.html", is_old=True)
    assert forget_old_results(settings, LONG_AGO)["pages of builds"] == 4
    names = {path.name for path in pages.iterdir()}
    assert names == {f"build-{n}" for n in range(4, BUILDS_KEPT + 4)} | {"index.html"}
    listed = (pages / "index.html").read_text()
    assert "build-3/" not in listed
    assert "build-4/" in listed


def test_remains_of_killed_runs_go(settings: Settings) -> None:
    data = settings.data_dir
    goes = [
        written(settings.temp_dir / "duckdb_temp_storage-0.tmp", is_old=False),
        written(data / ".restore-x1/scratch.parquet", is_old=False).parent,
        written(data / "warehouse.duckdb.restoring.wal", is_old=False),
        written(data / "warehouse.duckdb.compacting", is_old=False),
        written(data / "portal.part", is_old=False),
        written(data / "state/manifest.new", is_old=False),
        written(data / "archive/bitrix24/deals/main/.20260101T000000Z.tmp", is_old=False),
    ]
    stays = [
        written(data / "warehouse.duckdb", is_old=True),
        written(data / "warehouse.duckdb.wal", is_old=True),
        # Set aside by a restore: somebody may want to look at it.
        written(data / "warehouse.duckdb.replaced", is_old=True),
        written(data / "state/manifest.json", is_old=True),
        written(data / "archive/bitrix24/deals/main/20260101T000000Z.parquet", is_old=True),
        written(data / "published/.gen-7.part/fct_calls.parquet", is_old=True),
        settings.temp_dir,
    ]
    assert remove_remains(settings) == len(goes)
    assert [path for path in goes if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []


# Compacting

CONTENTS = """
    create schema raw_derived;
    create table raw_derived.finding_events as
        select i as finding_key, 'Q' || i % 7 as rule_id, now() as seen_at from range(5000) as t(i);
    create table raw_derived.forecasts (
        made_on date not null, amount decimal(18, 2) default 0, primary key (made_on)
    );
    insert into raw_derived.forecasts
        select date '2026-01-01' + i::integer, i * 1.25 from range(400) as t(i);
    comment on table raw_derived.forecasts is 'kept';
    create sequence raw_derived.numbers start 7;
    create index findings_by_rule on raw_derived.finding_events (rule_id);
    create table padding as select i, random() as noise from range(2000000) as t(i);
    create schema marts;
    create view marts.findings as
        select rule_id, count(*) as findings from warehouse.raw_derived.finding_events group by 1;
"""


def make_warehouse(path: Path, *, bloated: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(CONTENTS)
        connection.execute("checkpoint")
        if bloated:
            connection.execute("drop table padding")
    path.chmod(0o600)


def everything_in(path: Path) -> dict[str, Any]:
    """By plain queries: rows of tables and views, and the structures beside them."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found: dict[str, Any] = {
            name: connection.execute(f"select * from {name} order by all").fetchall()
            for name in ("raw_derived.finding_events", "raw_derived.forecasts", "marts.findings")
        }
        found["tables"] = connection.execute(
            "select schema_name, table_name, comment from duckdb_tables() order by all"
        ).fetchall()
        found["columns"] = connection.execute(
            "select table_name, column_name, data_type, is_nullable, column_default "
            "from duckdb_columns() where not internal order by all"
        ).fetchall()
        found["constraints"] = connection.execute(
            "select table_name, constraint_text from duckdb_constraints() order by all"
        ).fetchall()
        found["indexes"] = connection.execute(
            "select index_name, is_unique from duckdb_indexes() order by all"
        ).fetchall()
        found["sequences"] = connection.execute(
            "select sequence_name, start_value from duckdb_sequences()"
        ).fetchall()
        return found


def compacted(settings: Settings, **options: Any) -> Compaction:
    return compact(
        settings.warehouse,
        note=settings.state_dir / "compacted_bytes",
        temp_dir=settings.temp_dir,
        memory_limit="500MB",
        **options,
    )


def test_a_compacted_warehouse_holds_the_same_and_takes_less(settings: Settings) -> None:
    make_warehouse(settings.warehouse)
    before, size = everything_in(settings.warehouse), settings.warehouse.stat().st_size
    done = compacted(settings)
    assert done.has_compacted
    assert (done.size_before, done.size_after) == (size, settings.warehouse.stat().st_size)
    assert done.size_after < size / 2
    assert everything_in(settings.warehouse) == before
    assert settings.warehouse.stat().st_mode & 0o777 == 0o600
    again = compacted(settings)
    assert not again.has_compacted
    assert again.sentence.startswith("Not compacted: ")
    assert settings.warehouse.stat().st_size == done.size_after
    assert sorted(path.name for path in settings.data_dir.glob("warehouse*")) == [
        "warehouse.duckdb"
    ]


def test_what_gains_little_or_does_not_fit_is_left_with_a_sentence(settings: Settings) -> None:
    assert compacted(settings).sentence == "There is no warehouse yet."
    make_warehouse(settings.warehouse, bloated=False)
    inode = settings.warehouse.stat().st_ino
    assert re.search(r"a copy of it would free -?\d%", compacted(settings).sentence)
    # The next time that is known without a copy.
    assert re.search(r"would free -?\d% at most", compacted(settings).sentence)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("drop table padding")
    sentence = compacted(settings, free_bytes=1_000_000).sentence
    assert "of disk, and 0.0 GB are free" in sentence
    assert settings.warehouse.stat().st_ino == inode


def test_a_file_that_has_outgrown_its_last_copy_is_tried_though_no_block_is_free(
    settings: Settings,
) -> None:
    make_warehouse(settings.warehouse, bloated=False)
    note = settings.state_dir / "compacted_bytes"
    note.parent.mkdir()
    note.write_text(f"{settings.warehouse.stat().st_size * 3 // 4}\n")
    assert "at most" not in compacted(settings).sentence
    # What the copy was like is what the next upkeep goes by.
    assert "at most" in compacted(settings).sentence


def test_a_copy_that_differs_is_not_put_in_place(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_warehouse(settings.warehouse)
    before = everything_in(settings.warehouse)
    copy = compaction._copy

    def lossy(warehouse: Path, aside: Path, *rest: Any) -> None:
        copy(warehouse, aside, *rest)
        with duckdb.connect(str(aside)) as connection:
            connection.execute("delete from raw_derived.forecasts where made_on = '2026-01-05'")

    monkeypatch.setattr(compaction, "_copy", lossy)
    with pytest.raises(CallfunnelError, match=r"differs in table raw_derived forecasts"):
        compacted(settings)
    assert everything_in(settings.warehouse) == before
    assert list(settings.data_dir.glob("*compacting*")) == []


def test_a_disk_that_runs_full_leaves_the_warehouse_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_warehouse(settings.warehouse)
    before = everything_in(settings.warehouse)

    def full(warehouse: Path, aside: Path, *_: Any) -> None:
        aside.write_bytes(b"half")
        raise duckdb.IOException("Could not write file: No space left on device")

    monkeypatch.setattr(compaction, "_copy", full)
    with pytest.raises(CallfunnelError, match=r"is as it was: .*No space left on device"):
        compacted(settings)
    assert everything_in(settings.warehouse) == before
    assert list(settings.data_dir.glob("*compacting*")) == []


_KILLED = """
    import os, signal, sys, threading, time
    from pathlib import Path
    from orchestration.upkeep import compaction

    warehouse, where = Path(sys.argv[1]), sys.argv[2]

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def die_when_begun():
        aside = warehouse.with_name("warehouse.duckdb.compacting")
        while not aside.exists():
            time.sleep(0.0005)
        die()

    name, _, when = where.partition(":")
    if name == "while_copying":
        threading.Thread(target=die_when_begun).start()
    elif when == "before":
        setattr(compaction, name, die)
    else:
        real = getattr(compaction, name)
        setattr(compaction, name, lambda *given: (real(*given), die()))
    compaction.compact(
        warehouse,
        note=warehouse.parent / "state" / "compacted_bytes",
        temp_dir=warehouse.parent / "tmp",
        memory_limit="500MB",
    )
"""


@pytest.mark.parametrize(
    "where",
    ["while_copying", "_copy:after", "_require_equal:after", "_put_in_place:before", "sync:after"],
)
def test_a_kill_leaves_one_whole_warehouse(settings: Settings, where: str) -> None:
    make_warehouse(settings.warehouse)
    before = everything_in(settings.warehouse)
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(settings.warehouse), where],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert everything_in(settings.warehouse) == before
    assert compacted(settings).has_compacted
    assert everything_in(settings.warehouse) == before
    assert list(settings.data_dir.glob("*compacting*")) == []


# The job


def execute(settings: Settings, instance: DagsterInstance) -> ExecuteInProcessResult:
    definitions = Definitions(
        jobs=[upkeep_job(settings, JOBS[:1])],
        resources={"warehouse": Warehouse.of(settings)},
    )
    upkeep = definitions.resolve_job_def("acme__upkeep")
    return upkeep.execute_in_process(instance=instance, raise_on_error=False)


def test_the_job_tells_what_went_and_what_is_free(
    settings: Settings, instance: DagsterInstance
) -> None:
    make_warehouse(settings.warehouse)
    written(settings.temp_dir / "spilled.tmp", is_old=False)
    result = execute(settings, instance)
    assert result.success
    handled = next(e for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
    metadata = {name: entry.value for name, entry in handled.step_output_data.metadata.items()}
    assert metadata["removed"]["remains of killed runs"] == 1
    assert metadata["warehouse"].startswith("Compacted: ")
    assert metadata["free_disk_gb"] > 0
    records = {record.data["what"]: record.data for record in metadata["sizes"].records}
    size = settings.warehouse.stat().st_size
    assert records["warehouse"]["after_mb"] == round(size / 1e6, 1)
    assert records["warehouse"]["before_mb"] > records["warehouse"]["after_mb"]
    assert {"archive", "published", "dbt", "dlt", "dagster"} <= records.keys()


def test_the_job_says_who_writes_the_warehouse_and_touches_nothing(
    settings: Settings, instance: DagsterInstance
) -> None:
    make_warehouse(settings.warehouse)
    spilled = written(settings.temp_dir / "spilled.tmp", is_old=False)
    size = settings.warehouse.stat().st_size
    with warehouse_lock(settings.lock_file, "make dbt by hand"):
        result = execute(settings, instance)
    assert not result.success
    told = str([event.event_specific_data for event in result.all_events])
    assert "is being written by make dbt by hand" in told
    assert spilled.exists()
    assert settings.warehouse.stat().st_size == size


@pytest.mark.parametrize(
    ("line", "problem"),
    [("keep_days = 3", "keep_days"), ('cron = "weekly"', "cron"), ("keep_weeks = 1", "keep_weeks")],
)
def test_settings_of_the_upkeep_are_checked(settings: Settings, line: str, problem: str) -> None:
    rules = settings.company_dir / "company.toml"
    rules.write_text(f"{rules.read_text()}\n[upkeep]\n{line}\n")
    with pytest.raises(InputError, match=problem):
        read_company(settings.company_dir)
