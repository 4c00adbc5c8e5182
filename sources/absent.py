"""The raw tables of a system that a company does not have: empty, so that every model builds."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.bookkeeping import open_books
from sources.connection import Tally
from sources.extraction import Extraction, Tables, resource
from sources.history import VersionedTable, observe
from sources.pipelines import finish_pending, run
from sources.raw_tables import RawTable

logger = logging.getLogger("callfunnel.load")


def make_raw_tables(
    pipeline: dlt.Pipeline,
    system: str,
    tables: Iterable[RawTable],
    versioned: Iterable[VersionedTable],
    others: Mapping[str, tuple[pa.Schema, Sequence[str]]] | None = None,
) -> bool:
    """Make the tables of `raw_<system>` where none are there.

    Args:
        pipeline: of a connection that no company has, e.g. `amocrm__none`.
        system: names the schema.
        tables: the raw tables.
        versioned: tables of which versions are kept.
        others: further tables by name: their schema and primary key.

    Returns:
        Whether they had to be made.
    """
    with open_books(pipeline, f"{system}:none") as books:
        wanted = [table.name for table in tables]
        if all(books.has(name) for name in [*wanted, *(others or {})]):
            return False
    finish_pending(pipeline)
    extraction = Extraction(f"{system}:none", Tally())

    @dlt.source(name=system, max_table_nesting=0)
    def nothing() -> list[DltResource]:
        empty = [extraction.resource(table, lambda: iter(())) for table in tables]
        empty += [
            resource(_only(schema.empty_table()), name, name, tuple(key), ())
            for name, (schema, key) in (others or {}).items()
        ]
        return [*empty, extraction.quarantine()]

    run(pipeline, nothing())
    with open_books(pipeline, f"{system}:none") as books, books.transaction():
        now = dt.datetime.now(dt.UTC)
        observe(books.connection, books.schema, books.source_key, now, versioned)
    logger.info("raw_%s: empty tables for what the company has no connection of", system)
    return True


def _only(table: pa.Table) -> Callable[[], Tables]:
    return lambda: iter([table])
