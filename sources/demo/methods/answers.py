"""What every method needs: its answer, its errors, its parameters, the portal's zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sources.demo.store import PortalStore, from_microseconds

PAGE_SIZE = 50
MICROSECONDS = 1_000_000

Restrict = Callable[[str], tuple[list[str], list[Any]]]
"""SQL conditions and their values by entity, for the rows that a caller may not see."""


class MethodError(Exception):
    """An answer with an error body, as documented for the method."""

    def __init__(self, status: int, code: str | int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description


@dataclass(frozen=True)
class Page:
    """The answer of a method before it is wrapped in the envelope."""

    result: Any
    total: int
    next: int | None
    counted: bool = False
    """Whether the rows were counted for `total`, which costs the portal work of its own."""


def portal_time(store: PortalStore, microseconds: int) -> str:
    """An instant in the portal's own zone, `2026-06-30T18:00:00+03:00`."""
    return from_microseconds(microseconds).astimezone(portal_zone(store)).isoformat()


def portal_zone(store: PortalStore) -> dt.timezone:
    """The portal's own zone."""
    return dt.timezone(dt.timedelta(minutes=store.utc_offset))


def parameter(parameters: Mapping[str, Any], name: str) -> Any:
    """A parameter whatever the case of its name; None where it was not sent."""
    if name in parameters:
        return parameters[name]
    name = name.lower()
    return next((value for key, value in parameters.items() if key.lower() == name), None)


def number(value: Any) -> int | None:
    """A parameter that must be a whole number; None where it is not."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
