"""From a client's filter and order to SQL."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sources.demo.methods.answers import MethodError
from sources.demo.methods.views import View
from sources.demo.store import Kind, to_microseconds

_OPERATOR = re.compile(r"^(!><|!=%|!%=|>=|<=|!@|!%|!=|=%|%=|><|>|<|@|=|!|%)?(.+)$", re.DOTALL)

BY_ID = 'order by "ID" asc'

Conditions = tuple[list[str], list[Any]]
"""Conditions that all must hold, and the values of their question marks."""


@dataclass(frozen=True)
class Rules:
    """What a method's filter and order take.

    Attributes:
        is_strict: an unknown field is an error; the classic lists ignore it.
        has_groups: conditions may be nested, with `logic` OR or AND.
        filterable: keys of the view's fields; None is all.
        sortable: as `filterable`; the rest is ignored.
        order_error: the answer to an unknown field in the order; None ignores it.
    """

    is_strict: bool = False
    has_groups: bool = False
    filterable: frozenset[str] | None = None
    sortable: frozenset[str] | None = None
    order_error: MethodError | None = None


def split(key: str) -> tuple[str, str]:
    """`>=DATE_MODIFY` as `>=` and `DATE_MODIFY`; no prefix is `=`."""
    match = _OPERATOR.match(key)
    return (match.group(1) or "=", match.group(2)) if match else ("=", key)


def conditions(laid_out: View, rules: Rules, given: Any, utc_offset: int) -> Conditions:
    """A filter as SQL.

    Args:
        laid_out: the view whose fields the filter names.
        rules: what the method's filter takes.
        given: the parameter as the client sent it.
        utc_offset: minutes, for bounds without an offset.

    Raises:
        MethodError: the filter is no array, or names what a strict method does not know.
    """
    if given in (None, "", [], {}):
        return [], []
    if isinstance(given, list | tuple):
        given = {str(position): item for position, item in enumerate(given)}
    if not isinstance(given, Mapping):
        raise MethodError(400, "", "Parameter 'filter' must be array.")
    clauses: list[str] = []
    values: list[Any] = []
    for key, value in given.items():
        name = str(key)
        if rules.has_groups and name.lower() == "logic":
            continue
        if rules.has_groups and name.isdigit() and isinstance(value, Mapping | list):
            group, bound = conditions(laid_out, rules, value, utc_offset)
            if group:
                clauses.append(f"({' and '.join(group)})")
                values += bound
            continue
        condition = _condition(laid_out, rules, name, value, utc_offset)
        if condition is not None:
            clauses.append(condition[0])
            values += condition[1]
    if rules.has_groups and len(clauses) > 1 and _is_alternative(given):
        clauses = [f"({' or '.join(clauses)})"]
    return clauses, values


def order_by(laid_out: View, rules: Rules, given: Any, sort: Any, default: str) -> str:
    """An order as SQL; the id breaks ties.

    Args:
        laid_out: the view whose fields the order names.
        rules: what the method's order takes.
        given: a map of field to direction, or the direction of `sort`.
        sort: a field's name: user.get and voximplant.statistic.get take SORT and ORDER.
        default: SQL terms where nothing is asked for.

    Raises:
        MethodError: a strict method does not know the field or the direction.
    """
    if not isinstance(given, Mapping):
        given = {sort: given or "ASC"} if isinstance(sort, str) and sort else {}
    terms = []
    for name, direction in given.items():
        field = laid_out.field(str(name))
        if field is None or not field.column or not _is_in(rules.sortable, field.column):
            if rules.is_strict:
                raise _invalid(f"Invalid order: field '{name}' is not allowed in order")
            if rules.order_error is not None:
                raise rules.order_error
            continue
        word = str(direction).upper()
        if rules.is_strict and word not in ("ASC", "DESC"):
            raise _invalid(
                "Invalid order: allowed sort directions are ASC, DESC. "
                f"But got '{direction}' for field '{name}'"
            )
        terms.append(f'"{field.column}" {"desc" if word == "DESC" else "asc"}')
    terms = terms or [default]
    if not any(term.startswith('"ID"') for term in terms):
        terms.append('"ID" asc')
    return "order by " + ", ".join(terms)


def _condition(
    laid_out: View, rules: Rules, key: str, value: Any, utc_offset: int
) -> tuple[str, list[Any]] | None:
    operator, name = split(key)
    field = laid_out.field(name)
    if field is not None and field.column and _is_in(rules.filterable, field.column):
        if field.kind == "json":
            return _member(f'json_each("{field.column}")', operator, value)
        column = f'"{field.column}"'
        if field.kind == "decimal" and "%" not in operator and value not in (None, ""):
            column = f"cast({column} as real)"  # stored as text
        return _clause(column, field.kind, operator, value, utc_offset)
    custom = laid_out.custom_field(name)
    if custom is not None and field is None:
        return _member(f"""json_each("CUSTOM", '$."{custom}"')""", operator, value)
    if rules.is_strict:
        raise _invalid(f"Invalid filter: field '{name}' is not allowed in filter")
    return None


def _member(members: str, operator: str, value: Any) -> tuple[str, list[Any]]:
    """A list meets a condition where one of its members does; a single value is its own member."""
    is_negated = operator.startswith("!")
    operator = operator.removeprefix("!") or "="
    if value in (None, "") and operator == "=":
        exists, bound = f"exists (select 1 from {members} where value <> '')", list[Any]()
        return (exists if is_negated else f"not {exists}"), bound
    clause, bound = _clause("cast(value as text)", "text", operator, value, 0)
    exists = f"exists (select 1 from {members} where {clause})"
    return (f"not {exists}" if is_negated else exists), bound


def _clause(
    column: str, kind: Kind, operator: str, value: Any, utc_offset: int
) -> tuple[str, list[Any]]:
    negated = "not " if operator.startswith("!") else ""
    if operator in ("><", "!><"):
        bounds = list(value.values()) if isinstance(value, Mapping) else list(value)
        low, high = (_bound(kind, item, utc_offset) for item in bounds[:2])
        return f"{column} {negated}between ? and ?", [low, high]
    if isinstance(value, list | tuple | Mapping) or operator in ("@", "!@"):
        items = list(value.values()) if isinstance(value, Mapping) else value
        items = items if isinstance(items, list | tuple) else [items]
        marks = ", ".join("?" * len(items))
        return f"{column} {negated}in ({marks})", [_bound(kind, item, utc_offset) for item in items]
    if "%" in operator:
        pattern = f"%{value}%" if operator in ("%", "!%") else str(value)
        return f"{column} {negated}like ?", [pattern]
    # `>ID=` compares with what PHP casts nothing to: a chain of pages whose last reference is
    # empty begins anew.
    if value in (None, "") and operator in ("=", "!", "!="):
        empty = f"({column} is null or {column} = '')"
        return (f"not {empty}" if negated else empty), []
    symbol = {"!": "<>", "!=": "<>"}.get(operator, operator)
    return f"{column} {symbol} ?", [_bound(kind, value, utc_offset)]


def _bound(kind: Kind, value: Any, utc_offset: int) -> Any:
    if kind == "flag":
        return int(value in (True, 1, "1", "Y", "y", "true"))
    try:
        if kind == "integer":
            return int(value)
        if kind == "decimal":
            return float(value)
        if kind == "instant":
            return _instant(str(value), utc_offset)
    except (TypeError, ValueError):
        return 0  # PHP casts rubbish to 0
    return str(value)


def _instant(text: str, utc_offset: int) -> int:
    instant = dt.datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=dt.timezone(dt.timedelta(minutes=utc_offset)))
    return to_microseconds(instant)


def _is_alternative(group: Mapping[Any, Any]) -> bool:
    return any(
        str(key).lower() == "logic" and str(value).upper() == "OR" for key, value in group.items()
    )


def _is_in(allowed: frozenset[str] | None, column: str) -> bool:
    return allowed is None or column in allowed


def _invalid(description: str) -> MethodError:
    return MethodError(400, "INVALID_ARG_VALUE", description)
