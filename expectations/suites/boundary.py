"""A boundary: one small profile of a table, and what Great Expectations demands of it.

DuckDB profiles the whole table in one query; Great Expectations judges the one row that comes
back. Pulling the table into pandas instead would cost memory in proportion to the company.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """One figure of the profile and the range it must lie in; null passes (nothing to judge)."""

    column: str
    says: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Boundary:
    """A suite for one table.

    Attributes:
        name: the check's name, the truth it asserts.
        schema: DuckDB schema of the table, e.g. `raw_bitrix24`.
        table: the table.
        profile: a query that returns one row with the columns the bounds name.
        bounds: what must hold.
        is_blocking: a wrong report is worse than a late one.
        without_columns: a query for the first bound alone, where the table lacks columns that the
            profile names; empty where that would be an error of ours.
    """

    name: str
    schema: str
    table: str
    profile: str
    bounds: tuple[Bound, ...]
    is_blocking: bool = False
    without_columns: str = ""
