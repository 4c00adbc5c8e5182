"""Small generations of published files, and what a whole publication looks like in PostgreSQL.

Run as a program it publishes one generation after another and tells each step, so that a test can
kill it at any: `python -m tests.support.publications ADDRESS FOLDER GENERATION…`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import psycopg

from orchestration.publishing.postgres import (
    PostgresPublication,
    connect,
    publish_postgres,
    read_generation,
)
from orchestration.publishing.tables import PublishedTable

TABLES_COUNT = 40
ROWS = 20
TABLES = tuple(
    PublishedTable(
        "marts",
        f"t{number:02}",
        ("id", "told_on"),
        (),
        description=f"One row per thing {number}; it's small.",
        column_descriptions={"id": "Key of the thing.", "told_on": "Day; it's local."},
        key="id",
        references=("told_on",),
    )
    for number in range(TABLES_COUNT)
)


def write_generation(folder: Path, number: int, company: str = "acme", build: int = 1) -> None:
    """Published files of a company with forty small tables."""
    place = folder / f"gen-{number}"
    place.mkdir(parents=True)
    with duckdb.connect(str(place / f"marts_{company}.duckdb")) as connection:
        connection.execute("create schema marts")
        for table in TABLES:
            connection.execute(
                f"create table marts.{table.name} as select range::bigint as id, "
                f"date '2026-01-01' + range::integer as told_on, {number} as generation, "
                f"timestamp '2026-06-30 15:00:00' as as_of_at from range({ROWS})"
            )
    (place / "manifest.json").write_text(
        json.dumps(
            {
                "generation": number,
                "company": company,
                "as_of_at": "2026-06-30T15:00:00Z",
                "build_number": build,
                "tables": [{"name": table.name, "rows": ROWS} for table in TABLES],
            }
        )
    )
    current = folder / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(place.name)


def publish(address: str, folder: Path, **options: object) -> PostgresPublication:
    return publish_postgres(
        address,
        read_generation(folder),
        TABLES,
        memory_limit="500MB",
        temp_dir=folder / "tmp",
        **options,  # type: ignore[arg-type]
    )


def whole_generation(address: str) -> int:
    """The one generation that all tables of the schema show, with all their rows and readers."""
    with connect(address) as postgres:
        return _whole_generation(postgres)


def _whole_generation(postgres: psycopg.Connection) -> int:
    union = " union all ".join(
        f"select '{table.name}' as name, generation from marts.{table.name}" for table in TABLES
    )
    found = postgres.execute(
        f"select generation, count(*), count(distinct name) from ({union}) as all_rows group by 1"
    ).fetchall()
    assert len(found) == 1, found
    ((generation, rows, tables),) = found
    assert (rows, tables) == (ROWS * TABLES_COUNT, TABLES_COUNT)
    readable = postgres.execute(
        "select count(*) from pg_class where relnamespace = 'marts'::regnamespace "
        "and relkind = 'r' and has_table_privilege('bi_ro', oid, 'select')"
    ).fetchone()
    assert readable == (TABLES_COUNT,)
    return int(generation)


def _main(address: str, folder: str, *generations: str) -> None:
    for generation in generations:
        print(f"ready {generation}", flush=True)
        publish(address, Path(folder), progress=lambda said: print(said, flush=True))
    print("through", flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
