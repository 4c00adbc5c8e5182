"""A little of DAX computed over published tables, with its own idea of blanks.

Enough for the measures of the Power BI project: rows are counted by DuckDB, whose SQL is written
from DAX's rules (a blank is 0, FALSE and "" unless compared with `==`), not from the metrics'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from orchestration.bi.model import Relationship

_TOKEN = re.compile(
    r"\s*(?:(?P<column>'\w+'\[\w+\])|(?P<table>'\w+')|(?P<measure>\[\w+\])|(?P<text>\"[^\"]*\")|"
    r"(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>&&|\|\||==|<>|<=|>=|[-+*/&<>=(){},]))"
)
_LEVELS = (("||",), ("&&",), ("==", "<>", "<=", ">=", "<", ">"), ("&",), ("+", "-"), ("*", "/"))

Node = tuple[Any, ...]


def parse(expression: str) -> Node:
    tokens = [
        (found.lastgroup, found.group(found.lastgroup or ""))
        for found in _TOKEN.finditer(expression)
    ]
    assert "".join(text for _, text in tokens) == re.sub(
        r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", expression
    ), expression
    parser = _Parser(tokens)
    node = parser.expression()
    assert parser.position == len(tokens), expression
    return node


class _Parser:
    def __init__(self, tokens: Sequence[tuple[str | None, str]]) -> None:
        self.tokens, self.position = tokens, 0

    def peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take(self, wanted: str = "") -> tuple[str | None, str]:
        token = self.tokens[self.position]
        assert not wanted or token[1] == wanted, (wanted, token)
        self.position += 1
        return token

    def expression(self) -> Node:
        if self.peek() == "VAR":
            self.take()
            name = self.take()[1]
            self.take("=")
            value = self.expression()
            if self.peek() == "RETURN":
                self.take()
            return ("var", name, value, self.expression())
        return self.level(0)

    def level(self, number: int) -> Node:
        if number == len(_LEVELS):
            return self.primary()
        node = self.level(number + 1)
        while self.peek() in _LEVELS[number] or (number == 2 and self.peek() == "IN"):
            sign = self.take()[1]
            if sign == "IN":
                self.take("{")
                node = ("in", node, self.listed("}"))
            else:
                node = ("sign", sign, node, self.level(number + 1))
        return node

    def primary(self) -> Node:
        kind, text = self.take()
        if text == "(":
            node = self.expression()
            self.take(")")
            return node
        if kind == "column":
            table, column = re.findall(r"\w+", text)
            return ("column", table, column)
        if kind in ("table", "measure", "text"):
            return (kind, text[1:-1])
        if kind == "number":
            return ("number", float(text) if "." in text else int(text))
        if self.peek() == "(":
            self.take()
            return ("call", text, self.listed(")"))
        return ("name", text)

    def listed(self, end: str) -> list[Node]:
        found: list[Node] = []
        while self.peek() != end:
            found.append(self.expression())
            if self.peek() == ",":
                self.take()
        self.take(end)
        return found


@dataclass
class Dax:
    """Measures over tables, as somebody sees them.

    Attributes:
        chosen: what a report filters: a dimension's key to its value.
        role: by table the condition on a row that the viewer may see.
        viewer: what USERPRINCIPALNAME() gives.
    """

    connection: duckdb.DuckDBPyConnection
    measures: Mapping[str, str]
    relationships: Sequence[Relationship]
    chosen: Mapping[str, int] = field(default_factory=dict)
    role: Mapping[str, str] = field(default_factory=dict)
    viewer: str = ""

    def value(self, name: str) -> Any:
        filters = {table: [f"{self._key(table)} = {key}"] for table, key in self.chosen.items()}
        return self._scalar(parse(self.measures[name]), filters, {})

    def seen(self, table: str, column: str) -> list[Any]:
        """The values of a column in the rows that the viewer may see."""
        where = " and ".join(self._allowed(table)) or "true"
        rows = self.connection.execute(f"select {column} from marts.{table} where {where}")
        return [value for (value,) in rows.fetchall()]

    def _allowed(self, table: str) -> list[str]:
        """What the role says of the table, and of those that filter it."""
        said = [self._row(parse(self.role[table]), table, {})] if table in self.role else []
        for one in self.relationships:
            if one.is_active and one.from_table == table:
                above = " and ".join(f"({told})" for told in self._allowed(one.to_table))
                if above:
                    said.append(
                        f"{table}.{one.from_column} in (select {one.to_column} "
                        f"from marts.{one.to_table} where {above})"
                    )
        return said

    def _key(self, table: str) -> str:
        return next(one.to_column for one in self.relationships if one.to_table == table)

    def _scalar(self, node: Node, filters: dict[str, list[str]], names: dict[str, Any]) -> Any:
        match node:
            case ("measure", name):
                return self._scalar(parse(self.measures[name]), filters, {})
            case ("number", value):
                return value
            case ("name", name):
                return names[name]
            case ("var", name, value, body):
                known = {**names, name: self._scalar(value, filters, names)}
                return self._scalar(body, filters, known)
            case ("sign", sign, left, right):
                one, other = (self._scalar(part, filters, names) for part in (left, right))
                if sign in "+-":
                    if one is None and other is None:
                        return None
                    return (one or 0) + (other or 0) * (1 if sign == "+" else -1)
                if one is None or other is None:
                    return None
                return one * other if sign == "*" else one / other
            case ("call", "DIVIDE", [top, bottom]):
                one, other = (self._scalar(part, filters, names) for part in (top, bottom))
                return one / other if other and one is not None else None
            case ("call", "IF", [condition, then]):
                return (
                    self._scalar(then, filters, names)
                    if self._scalar(condition, filters, names)
                    else None
                )
            case ("call", "NOT", [inner]):
                return not self._scalar(inner, filters, names)
            case ("call", "ISBLANK", [inner]):
                return self._scalar(inner, filters, names) is None
            case ("call", "CALCULATE", [inner, *changes]):
                return self._scalar(inner, self._changed(filters, changes, names), names)
            case ("call", "COUNTROWS", [rows]):
                return self._ask("nullif(count(*), 0)", *self._rows(rows, filters, names))
            case ("call", "MAX", [("column", table, column)]):
                return self._ask(f"max({column})", *self._rows(("table", table), filters, names))
            case ("call", "DISTINCTCOUNTNOBLANK", [("column", table, column)]):
                counted = f"nullif(count(distinct {column}), 0)"
                return self._ask(counted, *self._rows(("table", table), filters, names))
            case (
                "call",
                "SUMX" | "MAXX" | "MEDIANX" | "PERCENTILEX.INC" as name,
                [rows, said, *more],
            ):
                table, where = self._rows(rows, filters, names)
                over = self._row(said, table, names)
                how = {
                    "SUMX": f"sum({over})",
                    "MAXX": f"max({over})",
                    "MEDIANX": f"median({over})",
                    "PERCENTILEX.INC": f"quantile_cont({over}, {more[0][1] if more else 0})",
                }[name]
                return self._ask(how, table, where)
        raise AssertionError(f"no rule for {node}")

    def _ask(self, what: str, table: str, where: list[str]) -> Any:
        condition = " and ".join(f"({one})" for one in where) or "true"
        sql = f"select {what} from marts.{table} as {table} where {condition}"
        [(found,)] = self.connection.execute(sql).fetchall()
        return found if found is None or isinstance(found, bool | str) else _number(found)

    def _rows(
        self, node: Node, filters: dict[str, list[str]], names: dict[str, Any]
    ) -> tuple[str, list[str]]:
        if node[0] == "table":
            table = node[1]
            where = [*filters.get(table, []), *self._allowed(table)]
            for one in self.relationships:
                if one.is_active and one.from_table == table:
                    where += [
                        f"{table}.{one.from_column} in (select {one.to_column} "
                        f"from marts.{one.to_table} as {one.to_table} where {said})"
                        for said in filters.get(one.to_table, [])
                    ]
            return table, where
        if node[:2] == ("call", "ALL"):
            # It lifts the filters of a report, never those of a role.
            [(_, table)] = node[2]
            return table, self._allowed(table)
        _, name, [rows, condition] = node
        assert name == "FILTER", node
        table, where = self._rows(rows, filters, names)
        return table, [*where, self._row(condition, table, names)]

    def _changed(
        self, filters: dict[str, list[str]], changes: Sequence[Node], names: dict[str, Any]
    ) -> dict[str, list[str]]:
        changed = {table: list(said) for table, said in filters.items()}
        for _, name, arguments in changes:
            if name == "REMOVEFILTERS":
                changed.pop(arguments[0][1], None)
        for change in changes:
            _, name, arguments = change
            if name == "TREATAS":
                # What is chosen of the dimension outside, laid on a column inside.
                (_, _, [(_, home, key)]), (_, table, column) = arguments
                said = " and ".join(filters.get(home, [])) or "true"
                changed.setdefault(table, []).append(
                    f"{table}.{column} in (select {key} from marts.{home} as {home} where {said})"
                )
            elif name == "FILTER":
                table, where = self._rows(change, filters, names)
                changed[table] = [*changed.get(table, []), *where]
            elif name == "VALUES":
                home = arguments[0][1]
                changed[home] = list(filters.get(home, []))
            else:
                assert name == "REMOVEFILTERS", change
        return changed

    def _row(self, node: Node, table: str, names: dict[str, Any]) -> str:
        match node:
            case ("column", of_table, column):
                assert of_table == table, f"{of_table} in a row of {table}"
                return f"{table}.{column}"
            case ("call", "RELATED", [("column", home, column)]):
                link = next(
                    one
                    for one in self.relationships
                    if one.is_active and (one.from_table, one.to_table) == (table, home)
                )
                return (
                    f"(select {home}.{column} from marts.{home} as {home} "
                    f"where {home}.{link.to_column} = {table}.{link.from_column})"
                )
            case ("number", value):
                return str(value)
            case ("text", value):
                return f"'{value}'"
            case ("name", name):
                return f"'{names[name]}'"
            case ("call", "TRUE" | "FALSE" as name, []):
                return name.lower()
            case ("call", "ISBLANK", [inner]):
                return f"({self._row(inner, table, names)} is null)"
            case ("call", "USERPRINCIPALNAME", []):
                return f"'{self.viewer}'"
            case ("call", "LOOKUPVALUE", [("column", home, column), *searched]):
                # Of the whole table, whatever the role hides; texts are compared without case.
                pairs = zip(searched[::2], searched[1::2], strict=True)
                where = " and ".join(
                    f"lower({name}::varchar) = lower({self._row(value, table, names)}::varchar)"
                    for (_, _, name), value in pairs
                )
                return f"(select distinct {column} from marts.{home} where {where})"
            case ("call", "NOT", [inner]):
                return f"(not coalesce({self._row(inner, table, names)}, false))"
            case ("call", "CONTAINSSTRINGEXACT", [within, sought]):
                one, other = (self._row(part, table, names) for part in (within, sought))
                return f"contains({one}, {other})"
            case ("in", value, listed):
                said = ", ".join(self._row(one, table, names) for one in listed)
                return f"coalesce({self._row(value, table, names)} in ({said}), false)"
            case ("sign", sign, left, right):
                one, other = (self._row(part, table, names) for part in (left, right))
                return _in_sql(sign, one, other, right)
        raise AssertionError(f"no rule for {node} in a row")


def _in_sql(sign: str, one: str, other: str, right: Node) -> str:
    if sign in ("&&", "||"):
        word = {"&&": "and", "||": "or"}[sign]
        return f"(coalesce({one}, false) {word} coalesce({other}, false))"
    if sign == "==":
        return f"({one} is not distinct from {other})"
    if sign == "&":
        return f"(coalesce({one}, '') || coalesce({other}, ''))"
    if sign in ("<", "<=", ">", ">=", "<>"):
        # A blank takes part in comparisons as 0 or "".
        blank = {"text": "''", "name": "date '1899-12-30'"}.get(right[0], "0")
        return f"(coalesce({one}, {blank}) {sign} coalesce({other}, {blank}))"
    return f"({one} {sign} {other})"


def _number(found: Any) -> Any:
    return found if hasattr(found, "year") else float(found)
