"""What the suites of raw tables have in common, whatever the system."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from expectations.suites.boundary import Bound, Boundary
from sources import amocrm, bitrix24
from sources.raw_tables import RawTable
from sources.telephony.providers import TABLES as TELEPHONY_TABLES

_MOSTLY = 0.01
"""Vocabularies grow: so large a share of unknown codes means that we read the field wrongly."""
_KEY_BOUNDS = (
    Bound("duplicate_keys_count", "no id stands twice", maximum=0),
    Bound("missing_count", "no required field is empty", maximum=0),
)
KNOWN_TYPE = "unknown_type_share"

DECLARED: Mapping[tuple[str, str], RawTable] = {
    **{("raw_bitrix24", name): table for name, table in bitrix24.TABLES.items()},
    **{("raw_amocrm", name): table for name, table in amocrm.TABLES.items()},
    **{
        ("raw_telephony", table.raw.name): table.raw
        for tables in TELEPHONY_TABLES.values()
        for table in tables
    },
}
"""The received tables with the types that their sources declare, by schema and name."""

_STALE_DAYS = 3
_SILENT_LOADS = 7
"""So many loads must have brought rows, each of them, before one without is a surprise: with a load
a day a list that rests at weekends is never among them."""

Figures = Mapping[str, tuple[str, str]]
"""By figure, the condition of an offending row and what is expected, in words."""


def raw_boundary(
    schema: str,
    name: str,
    table: str,
    *required: str,
    key: tuple[str, ...] = ("id",),
    shares: Figures | None = None,
    counts: Figures | None = None,
    queries: Figures | None = None,
    is_blocking: bool = False,
) -> Boundary:
    """Key and required fields, shares of rows of which few may offend, rows that must not.

    A condition that is null offends nobody; shares are of the rows on which it is not null.

    Args:
        schema: `raw_<system>`.
        name: the check's name, the truth it asserts.
        table: the table.
        required: columns that no row leaves empty, beside the key.
        key: what identifies a record, beside `source_key`; empty where another suite of the same
            table judges keys and required columns.
        shares: up to 1 % of the rows may offend.
        counts: no row may offend.
        queries: by figure, SQL that counts what must not be, of the table as a whole.
        is_blocking: a wrong report is worse than a late one.
    """
    figures: list[str] = []
    bounds: list[Bound] = []
    if key:
        nulls = " or ".join(f"{column} is null" for column in (*key, *required))
        figures += [
            f"count(*) - count(distinct (source_key, {', '.join(key)})) as duplicate_keys_count",
            f"count(*) filter (where {nulls}) as missing_count",
        ]
        bounds += _KEY_BOUNDS
    for figure, (offends, says) in (shares or {}).items():
        figures.append(f"avg(({offends})::integer) as {figure}")
        bounds.append(Bound(figure, says, maximum=_MOSTLY))
    for figure, (offends, says) in (counts or {}).items():
        figures.append(f"count(*) filter (where {offends}) as {figure}")
        bounds.append(Bound(figure, says, maximum=0))
    whole = dict(queries or {})
    if key and (schema, table) in DECLARED:
        whole["wrong_types_count"] = _types(DECLARED[schema, table], schema)
    for figure, (sql, says) in whole.items():
        figures.append(f"({sql}) as {figure}")
        bounds.append(Bound(figure, says, maximum=0))
    profile = f"select {', '.join(figures)} from {schema}.{table}"
    return Boundary(name, schema, table, profile, tuple(bounds), is_blocking)


def _types(table: RawTable, schema: str) -> tuple[str, str]:
    json = set(table.json_columns)
    declared = ", ".join(
        f"('{field.name}', '{'JSON' if field.name in json else _duckdb_type(field.type)}')"
        for field in table.schema
    )
    return (
        f"select count(*) from (values {declared}) as declared (name, type) "
        f"inner join pragma_table_info('{schema}.{table.name}') as found using (name) "
        "where declared.type <> found.type",
        "every column has the type that its source declares",
    )


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE"
    return {"int64": "BIGINT", "string": "VARCHAR", "bool": "BOOLEAN"}[str(kind)]


def _of_last_loads(schema: str, offends: str) -> str:
    """Counts entities of each connection's last load, beside the loads before it."""
    return (
        "select count(*) from (select *, "
        "lag(rows_raw) over entity_loads as rows_raw_before, "
        f"min(rows_received) over (entity_loads rows between {_SILENT_LOADS} preceding "
        "and 1 preceding) as fewest_received_before, "
        f"count(*) over (entity_loads rows between {_SILENT_LOADS} preceding "
        "and 1 preceding) as loads_before_count, "
        "max(cut_at) over (partition by source_key) as newest_cut_at "
        f"from {schema}.load_log "
        "window entity_loads as (partition by source_key, entity order by cut_at)) "
        f"where cut_at = newest_cut_at and ({offends})"
    )


def version_boundary(schema: str, prefix: str, table: str, *key: str) -> Boundary:
    """Of a table of versions: `<prefix>_<table>_have_keys_and_an_order`."""
    return raw_boundary(
        schema,
        f"{prefix}_{table}_have_keys_and_an_order",
        table,
        "last_seen_at",
        key=(*key, "first_seen_at"),
        counts={
            "backward_count": (
                "last_seen_at < first_seen_at",
                "no version was seen last before it was seen first",
            )
        },
    )


def bookkeeping_boundaries(schema: str, prefix: str) -> tuple[Boundary, ...]:
    """Of what the loads of every system keep beside what they receive."""
    return (
        raw_boundary(
            schema,
            f"{prefix}_load_log_has_keys_and_possible_counts",
            "load_log",
            key=("entity", "cut_at"),
            counts={
                "impossible_count": (
                    "least(rows_reported, rows_received, rows_quarantined, rows_raw, rows_deleted) "
                    "< 0 or rows_deleted > rows_raw or complete_up_to > cut_at",
                    "no count is below 0, no more rows are deleted than held, and nothing is "
                    "complete beyond the cut",
                )
            },
            queries={
                "shrunk_count": (
                    _of_last_loads(schema, "rows_raw < rows_raw_before"),
                    "raw holds no fewer rows than at the load before: none is ever removed",
                ),
                "silent_count": (
                    _of_last_loads(
                        schema,
                        f"rows_received = 0 and loads_before_count = {_SILENT_LOADS} "
                        "and fewest_received_before > 0",
                    ),
                    f"what brought rows at each of {_SILENT_LOADS} loads brings some at the next",
                ),
                "stale_count": (
                    _of_last_loads(
                        schema,
                        f"complete_up_to < newest_cut_at - interval {_STALE_DAYS} day",
                    ),
                    f"no entity is complete only up to more than {_STALE_DAYS} days before the "
                    "last load",
                ),
            },
        ),
        raw_boundary(
            schema,
            f"{prefix}_deleted_records_have_keys",
            "deleted_records",
            key=("entity", "id"),
        ),
        raw_boundary(
            schema,
            f"{prefix}_quarantine_has_keys_and_reasons",
            "quarantine",
            "reason",
            "payload",
            key=("entity", "payload_hash"),
        ),
    )
