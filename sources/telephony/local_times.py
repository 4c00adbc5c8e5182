"""Windows of time for providers that take local times without an offset, or too few rows."""

from __future__ import annotations

import datetime as dt

SHORTEST = dt.timedelta(minutes=1)

Window = tuple[dt.datetime, dt.datetime]


def local_window(start: dt.datetime, end: dt.datetime, zone: dt.tzinfo) -> Window:
    """A window as naive local times, to the second, none of it left out.

    An edge in the hour that comes twice may be read as either: the window grows by that hour.
    Shrunk to nothing, as from the first 3:30 to the second 3:10, it would bring no call at all.

    Args:
        start: aware.
        end: aware.
        zone: of the provider's times.
    """
    first, last = start.astimezone(zone), _whole_second(end).astimezone(zone)
    return (
        (first - _repeated(first)).replace(tzinfo=None, microsecond=0),
        (last + _repeated(last)).replace(tzinfo=None),
    )


def halves(start: dt.datetime, end: dt.datetime) -> tuple[Window, Window] | None:
    """Two windows in place of one that holds too many rows; None: it is too short for that."""
    # In UTC: between two times of one zone Python counts by the clock on the wall.
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    if end - start < 2 * SHORTEST:
        return None
    middle = (start + (end - start) // 2).replace(microsecond=0)
    return (start, middle), (middle, end)


def unix_window(start: dt.datetime, end: dt.datetime) -> tuple[int, int]:
    """A window in whole seconds since 1970, none of it left out."""
    return int(start.timestamp()), int(_whole_second(end).timestamp())


def _whole_second(at: dt.datetime) -> dt.datetime:
    at = at.astimezone(dt.UTC)
    return at.replace(microsecond=0) + dt.timedelta(seconds=1 if at.microsecond else 0)


def _repeated(at: dt.datetime) -> dt.timedelta:
    """How much of local time comes twice around this moment; nothing on other nights."""
    first, second = at.replace(fold=0).utcoffset(), at.replace(fold=1).utcoffset()
    if first is None or second is None:
        return dt.timedelta(0)
    return max(first - second, dt.timedelta(0))
