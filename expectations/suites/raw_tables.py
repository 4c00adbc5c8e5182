"""What the suites of raw tables have in common, whatever the system."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.suites.boundary import Bound, Boundary

_MOSTLY = 0.01
"""Vocabularies grow: so large a share of unknown codes means that we read the field wrongly."""
_KEY_BOUNDS = (
    Bound("duplicate_keys_count", "no id stands twice", maximum=0),
    Bound("missing_count", "no required field is empty", maximum=0),
)
KNOWN_TYPE = "unknown_type_share"

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
    profile = f"select {', '.join(figures)} from {schema}.{table}"
    return Boundary(name, schema, table, profile, tuple(bounds), is_blocking)


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
