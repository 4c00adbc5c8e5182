"""Marts out: a suite for every published table, made from what dbt's manifest promises of it.

A table that is added later has one at once. dbt's own tests of the same promises stop a build; here
they are judged once more on what stands in the warehouse, whoever has built it, and only warn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expectations.suites.boundary import Bound, Boundary

PUBLISHED_SCHEMAS = ("marts", "metrics")
NOT_NEGATIVE = ("_count", "_seconds", "_minutes", "_hours", "_days")
"""Endings of names whose values are never below 0."""
SIGNED = frozenset({"overdue_days", "due_days"})
"""Differences of days."""
BEYOND_ONE = frozenset({"growth_share", "year_growth_share", "drop_share", "reached_share"})
"""Shares of something else than a whole: growth may be below 0, a plan be exceeded."""
LATER_THAN_OWNED = frozenset({"metric_stage_durations__by_stage"})
"""A stay counts in the month in which it ended, for the owner of its beginning."""


@dataclass
class _Table:
    """What the manifest says of one table."""

    schema: str
    name: str
    types: Mapping[str, str]
    public: frozenset[str]
    unique: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    relationships: list[tuple[str, str, str]] = field(default_factory=list)
    """Column, the table it leads to, the key there."""


def published_boundaries(manifest: Mapping[str, Any]) -> tuple[Boundary, ...]:
    """The suites of all marts and metric tables."""
    tables = _tables(manifest)
    return tuple(_boundary(tables[name]) for name in sorted(tables))


def check_name(table: str) -> str:
    """The check of a published table."""
    return f"{table}_keeps_what_it_promises"


def _tables(manifest: Mapping[str, Any]) -> dict[str, _Table]:
    nodes: Mapping[str, Any] = manifest["nodes"]
    tables = {
        key: _Table(
            node["schema"],
            node["name"],
            {name: column["data_type"] for name, column in node["columns"].items()},
            frozenset(name for name, column in node["columns"].items() if _is_public(column)),
        )
        for key, node in nodes.items()
        if node["resource_type"] == "model" and node["schema"] in PUBLISHED_SCHEMAS
    }
    for node in nodes.values():
        table = tables.get(str(node.get("attached_node")))
        test = node.get("test_metadata")
        column = node.get("column_name")
        # A test with a condition of its own promises something else.
        if table is None or not test or not column or node["config"].get("where"):
            continue
        if test["name"] == "unique":
            table.unique.append(column)
        elif test["name"] == "not_null":
            table.required.append(column)
        elif test["name"] == "relationships":
            (other,) = {*node["depends_on"]["nodes"]} - {node["attached_node"]} or {
                node["attached_node"]
            }
            to = nodes[other]
            table.relationships.append(
                (column, f"{to['schema']}.{to['alias']}", test["kwargs"]["field"])
            )
    return {f"{table.schema}.{table.name}": table for table in tables.values()}


def _is_public(column: Mapping[str, Any]) -> bool:
    return not column.get("config", {}).get("meta", {}).get("is_hidden", False)


def _boundary(table: _Table) -> Boundary:
    figures = dict(_figures(table))
    selected = ", ".join(f"{sql} as {name}" for name, (sql, _) in figures.items())
    return Boundary(
        check_name(table.name),
        table.schema,
        table.name,
        f"select {selected} from {table.schema}.{table.name} as checked",
        tuple(Bound(name, says, maximum=0) for name, (_, says) in figures.items()),
        without_columns=f"select {_contract(table, _ANY_TABLE)} as wrong_columns_count",
    )


def _figures(table: _Table) -> Iterator[tuple[str, tuple[str, str]]]:
    """By name: SQL that counts what must not be, and what is expected, in words."""
    yield (
        "wrong_columns_count",
        (_contract(table, _OF_TABLE), "every column has the type of its contract"),
    )
    if table.unique:
        keys = " + ".join(f"count({one}) - count(distinct {one})" for one in table.unique)
        yield "duplicate_keys_count", (keys, f"{_listed(table.unique)} is unique")
    if table.required:
        nulls = " or ".join(f"{column} is null" for column in table.required)
        yield "missing_count", (_rows(nulls), f"{_listed(table.required)} is never empty")
    for name, columns, offends, says in (
        ("negative_count", _below_zero(table), "{0} < 0", "stays at 0 or above"),
        (
            "impossible_share_count",
            [c for c in table.types if c.endswith("_share") and c not in BEYOND_ONE],
            "{0} not between 0 and 1",
            "lies between 0 and 1",
        ),
    ):
        if columns:
            offence = " or ".join(offends.format(column) for column in columns)
            yield name, (_rows(offence), f"{_listed(columns)} {says}")
    if table.relationships:
        orphans = " + ".join(
            f"(select count(*) from {table.schema}.{table.name} as referring "
            f"anti join {to} as referred on referring.{column} = referred.{key} "
            f"where referring.{column} is not null)"
            for column, to, key in table.relationships
        )
        columns = [column for column, _, _ in table.relationships]
        yield "orphans_count", (orphans, f"{_listed(columns)} leads to a row")
    yield from _employees(table)


def _below_zero(table: _Table) -> list[str]:
    return [
        column
        for column, kind in table.types.items()
        if column.endswith(NOT_NEGATIVE) and column not in SIGNED and kind != "varchar"
    ]


_OF_TABLE = "pragma_table_info('{schema}.{name}')"
_ANY_TABLE = """(
    select column_name as name, data_type as type from duckdb_columns()
    where schema_name = '{schema}' and table_name = '{name}'
)"""
"""Of a table that is not there, nothing; it lists the columns of all tables each time, which is
half of what all profiles cost."""


def _contract(table: _Table, columns: str) -> str:
    promised = ", ".join(
        f"('{column}', '{_duckdb_type(kind)}')" for column, kind in table.types.items()
    )
    found = columns.format(schema=table.schema, name=table.name)
    return (
        f"(select count(*) from (values {promised}) as promised (name, type) "
        f"full join {found} as found using (name) "
        "where promised.type is distinct from found.type)"
    )


def _duckdb_type(kind: str) -> str:
    return (
        kind.upper().replace(" ", "").replace("TIMESTAMPWITHTIMEZONE", "TIMESTAMP WITH TIME ZONE")
    )


def _employees(table: _Table) -> Iterator[tuple[str, tuple[str, str]]]:
    """Nobody is named whom reports fold into "former employees": by the day, and as of now."""
    dates = [column for column, kind in table.types.items() if kind == "date"]
    if table.name == "dim_employees":
        return
    now = "current_reporting_employee_key"
    if now in table.public:
        yield (
            "former_named_now_count",
            (
                _naming(table, now, "employees.current_reporting_key <> employees.employee_key"),
                "columns about now name nobody who has left",
            ),
        )
    named = "reporting_employee_key"
    if named in table.public and dates and table.name not in LATER_THAN_OWNED:
        yield (
            "former_named_count",
            (
                _naming(table, named, f"employees.former_from_on <= naming.{dates[0]}"),
                "nobody is named for what came after they had left",
            ),
        )


def _naming(table: _Table, column: str, offends: str) -> str:
    return (
        f"(select count(*) from {table.schema}.{table.name} as naming "
        "inner join marts.dim_employees as employees "
        f"on naming.{column} = employees.employee_key where {offends})"
    )


def _rows(offends: str) -> str:
    return f"count(*) filter (where {offends})"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)
