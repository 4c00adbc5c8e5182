"""`make bench-publish`: writing the widest fact into PostgreSQL beside psql's `\\copy`.

Both write the same rows of published files into a new table of a private server, each in one
transaction, turn by turn in one run. Key, indexes, comments and the count of rows, which only a
publication has, come on top: told, and not held against the bound. A bound that is broken makes the
exit code 1.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from psycopg import sql

from orchestration.publishing.postgres import connect
from orchestration.publishing.postgres_tables import load_table, write_rows
from orchestration.publishing.tables import PublishedTable
from orchestration.settings import Settings
from tests.benchmarks.measuring import Bound, console, print_bounds
from tests.support import servers
from tests.support.install_servers import find_program

TIMES_BOUND = 1 / 0.7
"""Of `\\copy`'s time: at least 0.7 of its rows a second."""

app = typer.Typer(help=__doc__, add_completion=False)


@app.command()
def main(
    company: Annotated[str, typer.Option(help="Whose published files")] = "demo",
    database: Annotated[Path | None, typer.Option(help="marts_<company>.duckdb instead")] = None,
    runs: Annotated[int, typer.Option(help="Turns of both")] = 7,
) -> None:
    """Measure and print; see the module's first lines."""
    published = Settings(company=company).published_dir / "current" / f"marts_{company}.duckdb"
    with (
        servers.postgresql() as server,
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect() as source,
    ):
        source.execute(f"attach '{database or published}' as published (read_only)")
        row = source.execute(
            "select table_name, count(*) from duckdb_columns() where schema_name = 'marts' "
            "and starts_with(table_name, 'fct_') group by 1 order by 2 desc limit 1"
        ).fetchone()
        assert row is not None
        name, width = row
        relation = f"published.marts.{name}"
        file = Path(folder) / "rows.csv"
        source.execute(f"copy (from {relation}) to '{file}' (format csv, header false)")
        server.execute("create database bench", database="postgres")
        address = server.url("bench").render_as_string(hide_password=False)
        ours, whole, theirs = [], [], []
        for turn in range(runs):
            ours.append(_ours(address, source, relation, f"ours_{turn}"))
            theirs.append(_psql(address, file, f"ours_{turn}", f"theirs_{turn}"))
            whole.append(_whole(address, source, relation, f"whole_{turn}"))
        rows = source.execute(f"select count(*) from {relation}").fetchone()
    assert rows is not None
    console.print(
        f"{name}, {width} columns, {rows[0]:,} rows; medians of {runs}: "
        f"rows {statistics.median(ours):.2f} s, with count, indexes, comments "
        f"{statistics.median(whole):.2f} s, psql {statistics.median(theirs):.2f} s"
    )
    times = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
    if not print_bounds([Bound("writing rows ÷ psql's \\copy, seconds", TIMES_BOUND, times)]):
        raise typer.Exit(1)


def _ours(address: str, source: duckdb.DuckDBPyConnection, relation: str, table: str) -> float:
    with connect(address) as postgres:
        began = time.monotonic()
        with postgres.transaction():
            write_rows(postgres, source, sql.Identifier("public", table), relation)
        return time.monotonic() - began


def _whole(address: str, source: duckdb.DuckDBPyConnection, relation: str, table: str) -> float:
    with connect(address) as postgres:
        began = time.monotonic()
        load_table(postgres, source, "public", PublishedTable("marts", table, (), ()), relation)
        return time.monotonic() - began


def _psql(address: str, file: Path, like: str, table: str) -> float:
    program = find_program("psql")
    assert program is not None
    told = (
        "begin;",
        f"create table {table} (like {like});",
        f"\\copy {table} from '{file}' (format csv)",
        "commit;",
    )
    plain = re.sub(r"^postgresql\+\w+", "postgresql", address)
    began = time.monotonic()
    subprocess.run(
        [program, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", plain],
        input="\n".join(told) + "\n",
        text=True,
        check=True,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    app()
