"""One table from the published DuckDB file into PostgreSQL: rows, key, indexes, comments."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from orchestration.publishing.tables import PublishedTable

INDEXED_ROWS = 10_000
"""A smaller table is read whole in a millisecond: an index would cost more than it saves."""
_BATCH_ROWS = 10_000
_BATCHES_AHEAD = 4
_STAMPS = {
    "generation": "Number of the publication: the same in every table of one publication.",
    "as_of_at": "The moment the data describe, UTC.",
}


def load_table(
    postgres: psycopg.Connection,
    source: duckdb.DuckDBPyConnection,
    schema: str,
    table: PublishedTable,
    relation: str,
) -> int:
    """Create a table with its rows, key, indexes and comments, in one transaction.

    The rows are frozen (`COPY … FREEZE`): a transaction whose snapshot is older than they are would
    otherwise find the new tables empty after the swap.

    Args:
        postgres: in autocommit mode.
        source: DuckDB, in which `relation` can be read.
        schema: the one that is being built.
        table: its name, key, references and descriptions.
        relation: what to select from.

    Returns:
        Rows that stand in PostgreSQL, counted there.
    """
    name = sql.Identifier(schema, table.name)
    with postgres.transaction():
        types = write_rows(postgres, source, name, relation)
        counted = postgres.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
        rows = int(counted[0]) if counted else 0
        postgres.execute(
            sql.SQL("; ").join(
                [*_constraints(name, table, types, rows), *_comments(name, table, types)]
            )
        )
    postgres.execute(sql.SQL("analyze {}").format(name))
    return rows


def write_rows(
    postgres: psycopg.Connection,
    source: duckdb.DuckDBPyConnection,
    name: sql.Identifier,
    relation: str,
) -> dict[str, str]:
    """Create a table with its rows, in a transaction of the caller; gives DuckDB's types."""
    types = dict(
        source.execute(
            f"select column_name, column_type from (describe from {relation})"
        ).fetchall()
    )
    postgres.execute(
        sql.SQL("create table {} ({})").format(
            name,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(_type(kind)))
                for column, kind in types.items()
            ),
        )
    )
    with (
        postgres.cursor() as cursor,
        cursor.copy(sql.SQL("copy {} from stdin (format csv, freeze)").format(name)) as copy,
    ):
        for block in _blocks(source, relation, types):
            copy.write(block)
    return types


def _type(kind: str) -> str:
    return {"VARCHAR": "text", "DOUBLE": "double precision"}.get(kind, kind.lower())


def _blocks(
    source: duckdb.DuckDBPyConnection, relation: str, types: dict[str, str]
) -> Iterator[memoryview]:
    """The rows as csv, made in a thread of its own while PostgreSQL takes the last block."""
    columns = ", ".join(
        # The one character that PostgreSQL's text can't hold.
        f'replace("{column}", chr(0), \'\') as "{column}"' if kind == "VARCHAR" else f'"{column}"'
        for column, kind in types.items()
    )
    made: queue.Queue[memoryview | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
    is_abandoned = threading.Event()
    options = pa.csv.WriteOptions(include_header=False, batch_size=_BATCH_ROWS)

    def hand_over(block: memoryview | BaseException | None) -> None:
        while not is_abandoned.is_set():
            try:
                return made.put(block, timeout=0.1)
            except queue.Full:
                continue

    def write() -> None:
        try:
            with source.cursor() as cursor:
                reader = cursor.execute(f"select {columns} from {relation}").to_arrow_reader(
                    _BATCH_ROWS
                )
                for batch in reader:
                    buffer = pa.BufferOutputStream()
                    pa.csv.write_csv(batch, buffer, options)
                    hand_over(memoryview(buffer.getvalue()))
                    if is_abandoned.is_set():
                        return
            hand_over(None)
        except BaseException as problem:
            hand_over(problem)

    writer = threading.Thread(target=write, name=f"rows of {relation}")
    writer.start()
    try:
        while (block := made.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        is_abandoned.set()
        writer.join()


def _constraints(
    name: sql.Identifier, table: PublishedTable, types: dict[str, str], rows: int
) -> Iterator[sql.Composable]:
    if table.key in types:
        yield sql.SQL("alter table {} add primary key ({})").format(name, sql.Identifier(table.key))
    if rows < INDEXED_ROWS:
        return
    dates = [column for column, kind in types.items() if kind == "DATE"]
    for column in dict.fromkeys((*table.references, *dates)):
        if column in types and column != table.key:
            yield sql.SQL("create index on {} ({})").format(name, sql.Identifier(column))


def _comments(
    name: sql.Identifier, table: PublishedTable, types: dict[str, str]
) -> Iterator[sql.Composable]:
    yield sql.SQL("comment on table {} is {}").format(name, sql.Literal(table.description.strip()))
    for column in types:
        says = _STAMPS.get(column) or table.column_descriptions.get(column, "")
        yield sql.SQL("comment on column {}.{} is {}").format(
            name, sql.Identifier(column), sql.Literal(says.strip())
        )
