"""Filters and orders of the list methods, from PHP brackets to SQL.

A filter that a method does not know is ignored, as the API does with `filter[only_deleted]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from sources.demo.amocrm.problems import Problem, invalid

MICROSECONDS = 1_000_000
Condition = tuple[str, list[Any]]
Filter = Callable[[str, Any], Condition]
"""From where a filter stands in the request and its value to SQL with values."""
Part = Literal["value_after", "value_before"]


def one_of(column: str, *, most: int | None = None) -> Filter:
    """Equal to a value, or to one of a list, or of a comma-separated text.

    Args:
        column: compared as it is stored.
        most: how many values may be given.
    """
    return partial(_one_of, column, most)


def number_of(column: str, *, most: int | None = None) -> Filter:
    """As `one_of`, of whole numbers."""
    return partial(_number_of, column, most)


def instant_in(column: str) -> Filter:
    """Within `[from]` and `[to]`, both inclusive and optional, or `from,to`; Unix seconds."""
    return partial(_instant_in, column)


def number_in(column: str) -> Filter:
    """Within `[from]` and `[to]`, or equal to a number or to one of them."""
    return partial(_number_in, column)


def stage_in(path: str, value: Any) -> Condition:
    """`filter[statuses][0][pipeline_id]` and `[status_id]`."""
    return _stages(path, value, '"pipeline_id"', '"status_id"')


def event_value(part: Part) -> Filter:
    """`filter[value_after][leads_statuses][0][pipeline_id]`, `[responsible_user_id]`."""
    return partial(_event_value, part)


def text_in(*columns: str) -> Filter:
    """The parameter `query`: a text that occurs in one of the columns."""
    return partial(_text_in, columns)


def conditions(filters: Mapping[str, Filter], given: Any) -> list[Condition]:
    """The conditions of a request's `filter`.

    Raises:
        Problem: 400, a value is of the wrong form.
    """
    if given in (None, "", []):
        return []
    if not isinstance(given, Mapping):
        raise invalid("filter", "InvalidType", "This value should be of type array.")
    return [
        filters[name](f"filter.{name}", value)
        for name, value in given.items()
        if name in filters and value not in ("", [], {})
    ]


def order_by(columns: tuple[str, ...], given: Any, default: str, key: str) -> str:
    """SQL of a request's `order`, with the key to break ties.

    Raises:
        Problem: 400, a direction is neither asc nor desc.
    """
    terms = []
    for name, direction in given.items() if isinstance(given, Mapping) else ():
        if str(direction).lower() not in ("asc", "desc"):
            raise invalid(
                f"order.{name}",
                "NotSupportedChoice",
                "The value you selected is not a valid choice.",
            )
        if name in columns:
            terms.append(f'"{name}" {str(direction).lower()}')
    return ", ".join([*terms, key] if terms else [default])


def _values(path: str, value: Any, most: int | None) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    given = value if isinstance(value, list) else str(value).split(",")
    texts = [str(text).strip() for text in given if str(text).strip()]
    if most is not None and len(texts) > most:
        raise invalid(path, "TooMany", f"This collection should contain {most} elements or less.")
    return texts


def _numbers(path: str, value: Any, most: int | None = None) -> list[int]:
    try:
        return [int(text) for text in _values(path, value, most)]
    except ValueError:
        raise invalid(path, "InvalidType", "This value should be of type integer.") from None


def _in(column: str, values: list[Any]) -> Condition:
    return f"{column} in ({', '.join('?' * len(values))})", values


def _one_of(column: str, most: int | None, path: str, value: Any) -> Condition:
    return _in(f'"{column}"', list(_values(path, value, most)))


def _number_of(column: str, most: int | None, path: str, value: Any) -> Condition:
    return _in(f'"{column}"', list(_numbers(path, value, most)))


def _bounds(path: str, value: Any) -> tuple[int | None, int | None]:
    if isinstance(value, Mapping):
        first, last = (
            _numbers(f"{path}.{name}", value[name])[0] if value.get(name) else None
            for name in ("from", "to")
        )
        return first, last
    numbers = _numbers(path, value, 2)
    return numbers[0], numbers[-1]


def _instant_in(column: str, path: str, value: Any) -> Condition:
    first, last = _bounds(path, value)
    terms, values = ["1 = 1"], []
    if first is not None:
        terms.append(f'"{column}" >= ?')
        values.append(first * MICROSECONDS)
    if last is not None:
        # Stored to the microsecond, told to the second: the whole last second belongs to it.
        terms.append(f'"{column}" < ?')
        values.append((last + 1) * MICROSECONDS)
    return " and ".join(terms), values


def _number_in(column: str, path: str, value: Any) -> Condition:
    if not isinstance(value, Mapping):
        return _number_of(column, None, path, value)
    first, last = _bounds(path, value)
    return f'"{column}" between coalesce(?, "{column}") and coalesce(?, "{column}")', [first, last]


def _stages(path: str, value: Any, pipeline: str, status: str) -> Condition:
    entries = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise invalid(path, "InvalidType", "This value should be of type array.")
    terms: list[str] = []
    values: list[Any] = []
    for position, entry in enumerate(entries):
        wanted = [
            (column, _numbers(f"{path}.{position}.{name}", entry[name])[0])
            for name, column in (("pipeline_id", pipeline), ("status_id", status))
            if entry.get(name)
        ]
        if wanted:
            terms.append("(" + " and ".join(f"{column} = ?" for column, _ in wanted) + ")")
            values += [number for _, number in wanted]
    return (f"({' or '.join(terms)})" if terms else "1 = 1"), values


def _event_value(part: Part, path: str, value: Any) -> Condition:
    if not isinstance(value, Mapping):
        raise invalid(path, "InvalidType", "This value should be of type array.")
    found = [("1 = 1", list[Any]())]
    if "leads_statuses" in value:
        stage = f"json_extract(\"{part}\", '$[0].lead_status.{{}}')"
        found.append(
            _stages(
                f"{path}.leads_statuses",
                value["leads_statuses"],
                stage.format("pipeline_id"),
                stage.format("id"),
            )
        )
    if "responsible_user_id" in value:
        user = f"json_extract(\"{part}\", '$[0].responsible_user.id')"
        found.append(
            _in(user, list(_numbers(f"{path}.responsible_user_id", value["responsible_user_id"])))
        )
    return " and ".join(sql for sql, _ in found), [bound for _, more in found for bound in more]


def _text_in(columns: tuple[str, ...], path: str, value: Any) -> Condition:
    if not isinstance(value, str):
        raise Problem(400, f"{path} must be a text")
    terms = [f'instr(lower("{column}"), lower(?)) > 0' for column in columns]
    return f"({' or '.join(terms)})", [value] * len(columns)
