"""What a package of rows does to the table it is loaded into."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa

from orchestration.settings import PROJECT_DIR
from sources.extraction import resource
from sources.pipelines import finish_pending, make_pipeline, run

SCHEMA = pa.schema(
    [
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("extra", pa.string()),
    ]
)


def load(folder: Path, *tables: pa.Table) -> None:
    pipeline = make_pipeline(
        "shop", "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
    )
    run(pipeline, source(*tables))


@dlt.source(name="shop", max_table_nesting=0)
def source(*tables: pa.Table) -> Any:
    return resource(lambda: iter(tables), "things", "things", ("source_key", "id"), ("extra",))


def things(*rows: tuple[str, int, str | None]) -> pa.Table:
    names = ("source_key", "id", "name")
    given = [{**dict(zip(names, row, strict=True)), "extra": '{"a": 1}'} for row in rows]
    return pa.Table.from_pylist(given, schema=SCHEMA)


def held(folder: Path, columns: str = "source_key, id, name") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        return connection.execute(
            f"select {columns} from raw_shop.things order by source_key, id"
        ).fetchall()


def test_rows_that_come_again_are_replaced_and_others_stay(tmp_path: Path) -> None:
    load(tmp_path, things(("a", 1, "one"), ("a", 2, "two"), ("b", 1, "other")))
    load(tmp_path, things(("a", 1, "new"), ("a", 3, "three")))
    assert held(tmp_path) == [
        ("a", 1, "new"),
        ("a", 2, "two"),
        ("a", 3, "three"),
        ("b", 1, "other"),
    ]


def test_a_key_that_comes_twice_at_once_counts_as_it_came_last(tmp_path: Path) -> None:
    load(tmp_path, things(("a", 1, "old")))
    load(
        tmp_path,
        things(("a", 1, "first"), ("a", 2, "first")),
        things(("a", 1, "last"), ("a", 2, None)),
    )
    assert held(tmp_path) == [("a", 1, "last"), ("a", 2, None)]


def test_a_field_that_is_no_longer_read_becomes_null(tmp_path: Path) -> None:
    load(tmp_path, things(("a", 1, "one"), ("a", 2, "two")))
    load(tmp_path, things(("a", 1, "one")).drop_columns(["name"]))
    assert held(tmp_path) == [("a", 1, None), ("a", 2, "two")]


def test_a_table_without_a_row_is_made_with_its_types(tmp_path: Path) -> None:
    load(tmp_path, SCHEMA.empty_table())
    assert held(tmp_path) == []
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        types = connection.execute("describe raw_shop.things").fetchall()
        schemas = connection.execute("select distinct schema_name from duckdb_tables()").fetchall()
    assert ("extra", "JSON") in {row[:2] for row in types}
    assert schemas == [("raw_shop",)], "no copy of rows stands elsewhere"


_KILLED = """
    import os, signal
    from pathlib import Path
    import dlt, pyarrow as pa
    import dlt.load.load as load_module
    from sources.pipelines import make_pipeline

    load_module.Load.complete_package = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    folder = Path({folder!r})

    @dlt.source(name="shop", max_table_nesting=0)
    def whole():
        rows = [pa.table({{"id": [1, 2]}})]
        return dlt.resource(
            rows, name="things", write_disposition="replace", file_format="parquet"
        )

    make_pipeline(
        "shop", "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
    ).run(whole())
"""


def test_a_table_loaded_whole_is_not_doubled_after_a_kill(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED).format(folder=str(tmp_path))],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    pipeline = make_pipeline(
        "shop", "main", warehouse=tmp_path / "w.duckdb", pipelines_dir=tmp_path / "dlt"
    )
    # The killed run was writing this file.
    (package,) = (tmp_path / "dlt" / "shop__main" / "load" / "normalized").iterdir()
    for path in (package / "completed_jobs").glob("things.*"):
        path.rename(package / "started_jobs" / path.name)
    finish_pending(pipeline)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert connection.execute("select id from raw_shop.things").fetchall() == [(1,), (2,)]
