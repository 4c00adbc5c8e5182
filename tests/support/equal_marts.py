"""Comparing two warehouses table by table, whatever their keys and ids are.

Keys and ids of one company differ between systems; what they join does not. Each is coloured by
the rows it stands in, rows by their values and the colours of their keys, over and over
(Weisfeiler and Leman's refinement): two warehouses with the same facts get the same colours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from orchestration.settings import Settings
from tests.support.companies import warehouse

ROUNDS = 8
_SHOWN = 5
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


@dataclass
class _Table:
    """One table: a number for the values of each row, and its labels by column."""

    name: str
    base: np.ndarray[Any, Any]
    labels: dict[str, np.ndarray[Any, Any]]
    rows: np.ndarray[Any, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = self.base


class _Warehouse:
    """The tables of one warehouse and the colours of the labels in them."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Collection[str],
        ignored: Collection[str],
    ) -> None:
        self.tables = [_read(connection, name, ignored) for name in tables]
        self.colours: dict[str, np.ndarray[Any, Any]] = {}
        for name in {domain(column) for table in self.tables for column in table.labels}:
            held = [
                (table, column)
                for table in self.tables
                for column in table.labels
                if domain(column) == name
            ]
            codes, found = pd.factorize(np.concatenate([table.labels[c] for table, c in held]))
            start = 0
            for table, column in held:
                end = start + len(table.base)
                table.labels[column] = codes[start:end]
                start = end
            self.colours[name] = np.ones(len(found), np.uint64)

    def colour_rows(self) -> None:
        for table in self.tables:
            rows = table.base.copy()
            for place, (column, codes) in enumerate(table.labels.items()):
                # A missing key has a colour of its own.
                colours = np.append(self.colours[domain(column)], np.uint64(0))
                rows += _mixed(colours[codes], place + 1)
            table.rows = _mixed(rows, 0)

    def colour_labels(self) -> None:
        sums = {name: colours.copy() for name, colours in self.colours.items()}
        for number, table in enumerate(self.tables):
            for place, (column, codes) in enumerate(table.labels.items()):
                known = codes >= 0
                share = _mixed(table.rows[known], 1_000 * (number + 1) + place)
                np.add.at(sums[domain(column)], codes[known], share)
        self.colours = {name: _mixed(total, 0) for name, total in sums.items()}


def differences(
    left: Settings, right: Settings, ignored: Collection[str] = ()
) -> Mapping[str, list[Any]]:
    """Rows of marts and metrics that one warehouse has and the other has not.

    Args:
        left: a company that has been built.
        right: another one.
        ignored: columns that are not compared, as `table.column` or `*.column`, or whole tables as
            `table.*`.

    Returns:
        By table some of the rows, `<` the left's, `>` the right's; only tables that differ. Rows
        of one table at a time: a difference in one spreads to all that name its keys.
    """
    with warehouse(left) as one, warehouse(right) as other:
        names = tables_of(one)
        missing = set(names) ^ set(tables_of(other))
        assert not missing, missing
        names = [name for name in names if f"{name.rpartition('.')[2]}.*" not in ignored]
        both = [_Warehouse(connection, names, ignored) for connection in (one, other)]
        for _ in range(ROUNDS):
            for side in both:
                side.colour_rows()
            found = {
                mine.name: _odd_rows(one, other, mine, theirs)
                for mine, theirs in zip(both[0].tables, both[1].tables, strict=True)
                if not np.array_equal(np.sort(mine.rows), np.sort(theirs.rows))
            }
            if found:
                return found
            for side in both:
                side.colour_labels()
    return {}


def tables_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every mart and metric of a warehouse."""
    found = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where schema_name in ('marts', 'metrics') order by 1"
    ).fetchall()
    return [name for (name,) in found]


def is_label(column: str) -> bool:
    """Whether a column only says which row of another table is meant."""
    return column.endswith(("_key", "_id"))


def domain(column: str) -> str:
    """What a label names: `close_owner_employee_key` an employee, `deal_id` a deal."""
    if column.endswith("_id"):
        return column
    found = re.search(
        r"(employee|stage_visit|stage|pipeline|deal|lead|card|task|call|client|lead_source|source|department|product)"
        r"_key$",
        column,
    )
    return f"{found.group(1)}_key" if found else column


def _read(connection: duckdb.DuckDBPyConnection, name: str, ignored: Collection[str]) -> _Table:
    table = name.rpartition(".")[2]
    columns = [
        column
        for (column, *_) in connection.execute(f"describe {name}").fetchall()
        if not {f"{table}.{column}", f"*.{column}"} & set(ignored)
    ]
    values = [column for column in columns if not is_label(column)]
    labels = [column for column in columns if is_label(column)]
    told = ", ".join(f"coalesce({column}::varchar, '∅')" for column in values) or "'row'"
    asked = ", ".join(
        [f"hash([{told}]) as base", *(f"{label}::varchar as {label}" for label in labels)]
    )
    frame = connection.execute(f"select {asked} from {name} order by rowid").df()
    return _Table(
        name,
        frame["base"].to_numpy(np.uint64),
        {label: frame[label].to_numpy(object) for label in labels},
    )


def _mixed(values: np.ndarray[Any, Any], salt: int) -> np.ndarray[Any, Any]:
    """Well-mixed numbers (MurmurHash3's finaliser)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(33))) * factor
    return mixed ^ (mixed >> np.uint64(33))


def _odd_rows(
    one: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    mine: _Table,
    theirs: _Table,
) -> list[Any]:
    shown: list[Any] = [f"{len(mine.rows)} and {len(theirs.rows)} rows"]
    for mark, connection, table, against in (("<", one, mine, theirs), (">", other, theirs, mine)):
        odd = list(_surplus(table.rows, against.rows))
        frame = connection.execute(f"select * from {table.name} order by rowid").df()
        shown.append(f"{mark} {len(odd)} rows")
        shown += [(mark, frame.iloc[place].to_dict()) for place in odd[:_SHOWN]]
    return shown


def _surplus(rows: np.ndarray[Any, Any], against: np.ndarray[Any, Any]) -> Iterator[int]:
    left = pd.Series(against).value_counts().to_dict()
    for place, row in enumerate(rows):
        if left.get(row, 0):
            left[row] -= 1
        else:
            yield place
