"""Measures in DAX from the metrics of the semantic layer.

SQL has three truth values, DAX has none of null: BLANK equals 0, FALSE and the empty text, and is
smaller than 1. So comparisons are strict (`==`), and those for which a null would pass in DAX but
not in SQL ask first whether there is a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import expressions as sql

from orchestration.bi.model import DATES, EMPLOYEES, BiModel
from orchestration.catalogue import Entry

_DIMENSION = re.compile(r"\{\{\s*Dimension\('(\w+)__(\w+)'\)\s*\}\}")
_ROLE_PLAYING = ("dim_dates", "dim_employees", "dim_pipelines", "dim_stages")
_PERIODS = {"day": "DAY", "month": "MONTH", "quarter": "QUARTER", "year": "YEAR"}
_TO_DATE = {"month": "DATESMTD", "quarter": "DATESQTD", "year": "DATESYTD"}
_COMPARISONS: Mapping[type[sql.Expr], str] = {
    sql.EQ: "==",
    sql.NEQ: "<>",
    sql.LT: "<",
    sql.LTE: "<=",
    sql.GT: ">",
    sql.GTE: ">=",
}
_ARITHMETIC: Mapping[type[sql.Expr], str] = {sql.Add: "+", sql.Sub: "-", sql.Mul: "*"}


@dataclass(frozen=True)
class Measure:
    """A metric as Power BI computes it; `entries` by language."""

    name: str
    expression: str
    format_string: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True)
class LeftOut:
    """A metric that DAX can't say, and why."""

    name: str
    reason: str


class Untranslatable(Exception):
    """The reason stands in the message."""


def measures(model: BiModel) -> tuple[list[Measure], list[LeftOut]]:
    """All metrics as measures, and those that can't be one."""
    translator = _Translator(model)
    made: list[Measure] = []
    left: list[LeftOut] = []
    for metric in model.semantic["metrics"]:
        name = metric["name"]
        entries = model.metrics[name]
        try:
            expression = translator.metric(metric)
        except Untranslatable as reason:
            left.append(LeftOut(name, str(reason)))
        else:
            made.append(Measure(name, expression, format_of(name, entries["en"].unit), entries))
    names = {measure.name for measure in made}
    for measure in list(made):
        missing = set(re.findall(r"(?<!')\[(\w+)\]", _without_columns(measure.expression))) - names
        if missing:
            made.remove(measure)
            left.append(LeftOut(measure.name, f"needs {', '.join(sorted(missing))}"))
    return made, left


def format_of(name: str, unit: str | None) -> str:
    """A format string by unit: shares as per cent, counts whole, amounts with two digits."""
    unit = unit or ""
    if "100 %" in unit or name.endswith("_share"):
        return "0.0%"
    if "currency" in unit or (not unit and name.endswith("amount")):
        return "#,0.00"
    if unit in ("days", "minutes", "points") or " per " in unit:
        return "#,0.0"
    return "#,0"


def column(table: str, name: str) -> str:
    """A column in DAX."""
    return f"'{table}'[{name}]"


def text(value: str) -> str:
    """A text in DAX."""
    return '"' + value.replace('"', '""') + '"'


def _without_columns(expression: str) -> str:
    return re.sub(r"'\w+'\[\w+\]", "", expression)


class _Translator:
    def __init__(self, model: BiModel) -> None:
        self._model = model
        self._semantic_models = model.semantic["semantic_models"]
        self._measures = {
            measure["name"]: (semantic_model, measure)
            for semantic_model in self._semantic_models
            for measure in semantic_model["measures"]
        }
        self._homes = {
            entity["name"]: semantic_model
            for semantic_model in self._semantic_models
            for entity in semantic_model["entities"]
            if entity["type"] == "primary"
        }

    def metric(self, metric: Mapping[str, Any]) -> str:
        parameters = metric["type_params"]
        kind = metric["type"]
        if kind == "simple":
            return self._simple(metric)
        if kind == "ratio":
            top, bottom = parameters["numerator"], parameters["denominator"]
            if top["filter"] or bottom["filter"] or metric["filter"]:
                raise Untranslatable("a ratio with filters of its own")
            return f"DIVIDE([{top['name']}] + 0, [{bottom['name']}])"
        if kind == "derived":
            return self._derived(parameters)
        if kind == "cumulative":
            return self._cumulative(metric)
        raise Untranslatable(
            "it follows single cards from one fact to another within a window, which a measure "
            "over filtered tables can't do without a calculation per card; the same question is "
            "answered by metric_requests__by_request and the semantic layer"
        )

    def _simple(self, metric: Mapping[str, Any]) -> str:
        semantic_model, measure = self._measures[metric["type_params"]["measure"]["name"]]
        table = semantic_model["node_relation"]["alias"]
        conditions = [
            self._filter(semantic_model, one["where_sql_template"])
            for one in (metric["filter"] or {}).get("where_filters", [])
        ]
        value: sql.Expr = sqlglot.parse_one(measure["expr"], read="duckdb")
        if (
            isinstance(value, sql.Case)
            and len(value.args["ifs"]) == 1
            and not value.args["default"]
        ):
            branch = value.args["ifs"][0]
            conditions.append(self._condition(branch.this, self._own(semantic_model)))
            value = branch.args["true"]
        return self._in_roles(
            semantic_model, measure, self._aggregated(table, measure, value, conditions)
        )

    def _aggregated(
        self,
        table: str,
        measure: Mapping[str, Any],
        value: sql.Expr,
        conditions: list[str],
    ) -> str:
        semantic_model, _ = self._measures[measure["name"]]
        if measure["non_additive_dimension"]:
            day = column(table, measure["non_additive_dimension"]["name"])
            # The last day of the dates asked for, up to the report's. Not the last one with rows:
            # in a role that would be the viewer's own, long gone perhaps.
            days, day_of_dates = f"'{DATES[0]}'", column(*DATES)
            is_as_of = f"{column(DATES[0], 'is_as_of_day')} == TRUE()"
            as_of = f"MAXX(FILTER(ALL({days}), {is_as_of}), {day_of_dates})"
            last = f"MAXX(FILTER({days}, {day_of_dates} <= as_of_day), {day_of_dates})"
            inner = self._sum(table, value, [*conditions, f"{day} == last_day"], semantic_model)
            return f"VAR as_of_day = {as_of} VAR last_day = {last} RETURN {inner}"
        aggregation = measure["agg"]
        if aggregation == "sum":
            return self._sum(table, value, conditions, semantic_model)
        said = self._value(value, self._own(semantic_model))
        if aggregation == "count_distinct":
            counted = f"DISTINCTCOUNTNOBLANK({said})"
            rows = _rows(table, conditions)
            return f"CALCULATE({counted}, {rows})" if conditions else counted
        known = [*conditions, *(f"NOT(ISBLANK({name}))" for name in _columns(said))]
        if aggregation == "median":
            return f"MEDIANX({_rows(table, known)}, {said})"
        if aggregation == "percentile":
            share = measure["agg_params"]["percentile"]
            return f"PERCENTILEX.INC({_rows(table, known)}, {said}, {share})"
        raise Untranslatable(f"no rule for the aggregation {aggregation}")

    def _sum(
        self,
        table: str,
        value: sql.Expr,
        conditions: Sequence[str],
        semantic_model: Mapping[str, Any],
    ) -> str:
        rows = _rows(table, conditions)
        if isinstance(value, sql.Literal) and value.this == "1":
            return f"COUNTROWS({rows})"
        return f"SUMX({rows}, {self._value(value, self._own(semantic_model))})"

    def _in_roles(
        self, semantic_model: Mapping[str, Any], measure: Mapping[str, Any], inner: str
    ) -> str:
        """Count by the day, the person and the stage of this metric, not by the fact's usual ones.

        Not USERELATIONSHIP: Power BI refuses it where rows are limited by a role.
        """
        table = semantic_model["node_relation"]["alias"]
        wanted = [
            entity["expr"] or entity["name"]
            for entity in semantic_model["entities"]
            if entity["type"] == "foreign" and entity["name"] not in ("calendar_day", "department")
        ]
        day = measure["agg_time_dimension"] or (semantic_model["defaults"] or {}).get(
            "agg_time_dimension"
        )
        swaps: list[str] = []
        for name in [day, *wanted]:
            link = self._model.relationship(table, name) if name else None
            if link is None or link.is_active or link.to_table not in _ROLE_PLAYING:
                continue
            target = column(link.to_table, link.to_column)
            swaps += [
                f"TREATAS(VALUES({target}), {column(table, name)})",
                f"REMOVEFILTERS('{link.to_table}')",
            ]
        return f"CALCULATE({inner}, {', '.join(swaps)})" if swaps else inner

    def _derived(self, parameters: Mapping[str, Any]) -> str:
        said: dict[str, str] = {}
        for used in parameters["metrics"]:
            if used["filter"] or used["offset_to_grain"]:
                raise Untranslatable("a part with a filter or an offset to a grain of its own")
            reference = f"[{used['name']}]"
            window = used["offset_window"]
            if window:
                period = _PERIODS[window["granularity"]]
                reference = (
                    f"CALCULATE({reference}, "
                    f"DATEADD({column(*DATES)}, -{window['count']}, {period}))"
                )
            said[used["alias"] or used["name"]] = reference
        parsed = sqlglot.parse_one(parameters["expr"], read="duckdb")
        if isinstance(parsed, sql.Sub) and isinstance(parsed.this.unnest(), sql.Div):
            # BLANK less 1 is -1: growth over nothing would be a fall of 100 %.
            ratio = self._value(parsed.this, said.__getitem__)
            less = self._value(parsed.expression, said.__getitem__)
            return f"VAR ratio = {ratio} RETURN IF(NOT(ISBLANK(ratio)), ratio - {less})"
        return self._value(parsed, said.__getitem__)

    def _cumulative(self, metric: Mapping[str, Any]) -> str:
        inner = self._simple(metric)
        parameters = metric["type_params"]["cumulative_type_params"]
        days = column(*DATES)
        if parameters["grain_to_date"]:
            return f"CALCULATE({inner}, {_TO_DATE[parameters['grain_to_date']]}({days}))"
        window = parameters["window"]
        period = _PERIODS[window["granularity"]]
        return (
            f"CALCULATE({inner}, DATESINPERIOD({days}, MAX({days}), -{window['count']}, {period}))"
        )

    def _filter(self, semantic_model: Mapping[str, Any], template: str) -> str:
        named: dict[str, tuple[str, str]] = {}

        def place(found: re.Match[str]) -> str:
            name = f"{found.group(1)}__{found.group(2)}"
            named[name] = (found.group(1), found.group(2))
            return name

        parsed = sqlglot.parse_one(_DIMENSION.sub(place, template), read="duckdb")
        for one in list(parsed.find_all(sql.Column)):
            entity, dimension = named[one.name]
            home = self._homes[entity]
            expression = sqlglot.parse_one(self._expression(home, dimension), read="duckdb")
            for inner in expression.find_all(sql.Column):
                inner.set("table", sql.to_identifier(home["node_relation"]["alias"]))
            parsed = _replaced(parsed, one, expression)
        return self._condition(parsed, self._own(semantic_model))

    def _expression(self, semantic_model: Mapping[str, Any], dimension: str) -> str:
        for one in semantic_model["dimensions"]:
            if one["name"] == dimension:
                return str(one["expr"] or one["name"])
        raise Untranslatable(f"no dimension {dimension}")

    def _own(self, semantic_model: Mapping[str, Any]) -> Callable[[str], str]:
        own = semantic_model["node_relation"]["alias"]

        def say(name: str) -> str:
            table, _, bare = name.rpartition(".")
            table = table or own
            if bare not in self._model.tables[table].columns:
                raise Untranslatable(f"{table}.{bare} is not published")
            if table == own:
                return column(table, bare)
            if self._model.active_to(own, table) is None:
                raise Untranslatable(f"no active relationship from {own} to {table}")
            return f"RELATED({column(table, bare)})"

        return say

    def _condition(  # noqa: PLR0911 - a rule per kind of node
        self, node: sql.Expr, say: Callable[[str], str]
    ) -> str:
        if isinstance(node, sql.Paren):
            return self._condition(node.this, say)
        if isinstance(node, sql.And | sql.Or):
            joined = " && " if isinstance(node, sql.And) else " || "
            parts = [self._condition(part, say) for part in node.flatten()]
            return f"({joined.join(parts)})"
        if isinstance(node, sql.Not):
            return self._negated(node.this, say)
        if isinstance(node, sql.Is) and isinstance(node.expression, sql.Null):
            return f"ISBLANK({self._value(node.this, say)})"
        if isinstance(node, sql.In):
            values = ", ".join(self._value(one, say) for one in node.expressions)
            return f"{self._value(node.this, say)} IN {{{values}}}"
        if type(node) in _COMPARISONS:
            left, right = self._value(node.this, say), self._value(node.expression, say)
            compared = f"{left} {_COMPARISONS[type(node)]} {right}"
            # BLANK is smaller than every number and differs from every text; null is neither.
            known = [] if isinstance(node, sql.EQ) else _columns(f"{left} {right}")
            return _all([*(f"NOT(ISBLANK({name}))" for name in known), compared])
        if isinstance(node, sql.Column):
            return f"{self._value(node, say)} == TRUE()"
        return self._value(node, say)

    def _negated(self, node: sql.Expr, say: Callable[[str], str]) -> str:
        if isinstance(node, sql.Paren):
            return self._negated(node.this, say)
        if isinstance(node, sql.Is) and isinstance(node.expression, sql.Null):
            return f"NOT(ISBLANK({self._value(node.this, say)}))"
        if isinstance(node, sql.Column):
            return f"{self._value(node, say)} == FALSE()"
        raise Untranslatable(f"no rule for not {node.sql()}")

    def _value(  # noqa: PLR0911 - a rule per kind of node
        self, node: sql.Expr, say: Callable[[str], str]
    ) -> str:
        if isinstance(node, sql.Paren):
            return f"({self._value(node.this, say)})"
        if isinstance(node, sql.Cast):
            return self._value(node.this, say)
        if isinstance(node, sql.Column):
            return say(f"{node.table}.{node.name}" if node.table else node.name)
        if isinstance(node, sql.Literal):
            return text(node.this) if node.is_string else str(node.this)
        if isinstance(node, sql.Boolean):
            return "TRUE()" if node.this else "FALSE()"
        if isinstance(node, sql.Div):
            if isinstance(node.expression.unnest(), sql.Literal):
                return f"{self._value(node.this, say)} / {self._value(node.expression, say)}"
            return f"DIVIDE({self._value(node.this, say)} + 0, {self._value(node.expression, say)})"
        if isinstance(node, sql.Nullif):
            # DIVIDE is blank over 0 by itself.
            return self._value(node.this, say)
        if isinstance(node, sql.DPipe):
            return f"{self._value(node.this, say)} & {self._value(node.expression, say)}"
        if isinstance(node, sql.Contains):
            within, sought = self._value(node.this, say), self._value(node.expression, say)
            return f"CONTAINSSTRINGEXACT({within}, {sought})"
        if type(node) in _ARITHMETIC:
            sign = _ARITHMETIC[type(node)]
            return f"{self._value(node.this, say)} {sign} {self._value(node.expression, say)}"
        raise Untranslatable(f"no rule for {node.sql()}")


def _replaced(tree: sql.Expr, old: sql.Expr, new: sql.Expr) -> sql.Expr:
    """The tree with a node replaced; a bare column is the whole tree."""
    if tree is old:
        return new
    old.replace(sql.paren(new) if isinstance(new, sql.And | sql.Or) else new)
    return tree


def _columns(said: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"RELATED\('\w+'\[\w+\]\)|'\w+'\[\w+\]", said)))


def _all(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' && '.join(conditions)})"


def _rows(table: str, conditions: Sequence[str]) -> str:
    if not conditions:
        return f"'{table}'"
    return f"FILTER('{table}', {' && '.join(dict.fromkeys(conditions))})"


def row_filter(viewers: str) -> str:
    """Which employee a viewer is: blank ids are rows that stand for nobody in particular."""
    table = EMPLOYEES[0]
    return (
        f"NOT(ISBLANK({column(table, 'employee_id')})) && "
        f"{column(table, 'employee_id')} == LOOKUPVALUE("
        f"{column(viewers, 'employee_id')}, "
        f"{column(viewers, 'email')}, USERPRINCIPALNAME(), "
        f"{column(viewers, 'source_key')}, {column(table, 'source_key')}, "
        f"{column(viewers, 'employee_id')}, {column(table, 'employee_id')})"
    )
