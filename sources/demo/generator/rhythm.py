"""Working days and hours of the invented company.

Times inside the generator are whole local seconds since 1970 ("local" = Moscow, UTC+3 without
changes since 2014), because the rhythm of a company is local; they become UTC microseconds when a
frame is built.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]

DAY = 86_400
HOUR = 3_600
UTC_OFFSET_MINUTES = 180
CLOCK = dt.datetime(2026, 6, 30, 15, 0, tzinfo=dt.UTC)
"""The portal's fixed now: 2026-06-30 18:00 in Moscow."""

OPENS = 8 * HOUR
CLOSES = 20 * HOUR
WEEKEND_SHARE = 0.06
"""What a day off keeps of a working day's events."""

_EPOCH_DAY = dt.date(1970, 1, 1)
_HOLIDAYS = frozenset(
    {(1, day) for day in range(1, 9)} | {(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)}
)
# Share of events by hour from OPENS on: a peak before lunch, a lower one after it.
_HOURS = np.array([2, 9, 13, 14, 11, 7, 9, 12, 11, 8, 3, 1], dtype=float)


def local_seconds(instant: dt.datetime) -> int:
    """Local seconds of an aware instant."""
    return int(instant.timestamp()) + UTC_OFFSET_MINUTES * 60


def to_microseconds(local: Seconds) -> Seconds:
    """UTC microseconds of local seconds, as the store keeps them."""
    return (local - UTC_OFFSET_MINUTES * 60) * 1_000_000


def instant_of(local: int) -> dt.datetime:
    """The aware UTC instant of local seconds."""
    return dt.datetime.fromtimestamp(local - UTC_OFFSET_MINUTES * 60, dt.UTC)


def day_number(day: dt.date) -> int:
    """Days since 1970."""
    return (day - _EPOCH_DAY).days


class Rhythm:
    """The calendar between two days, with the draws of times of day."""

    def __init__(self, first: dt.date, last: dt.date) -> None:
        self._first = day_number(first)
        days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
        self._working = np.array(
            [day.weekday() < 5 and (day.month, day.day) not in _HOLIDAYS for day in days]
        )
        numbers = np.arange(len(days))
        self._next = np.minimum.accumulate(np.where(self._working, numbers, len(days) - 1)[::-1])[
            ::-1
        ]
        self._previous = np.maximum.accumulate(np.where(self._working, numbers, 0))

    def is_working(self, days: Seconds) -> npt.NDArray[np.bool_]:
        """Whether days (numbers since 1970) are working days."""
        return np.asarray(self._working[days - self._first])

    def next_working(self, days: Seconds) -> Seconds:
        """The same day if it is a working one, else the next that is."""
        return np.asarray(self._next[days - self._first] + self._first)

    def previous_working(self, days: Seconds) -> Seconds:
        """The same day if it is a working one, else the last that was."""
        return np.asarray(self._previous[days - self._first] + self._first)

    def pick_days(self, rng: np.random.Generator, low: int, high: int, count: int) -> Seconds:
        """Days of `[low, high)`, days off rarely."""
        days = np.arange(low, high, dtype=np.int64)
        weights = np.where(self.is_working(days), 1.0, WEEKEND_SHARE)
        return rng.choice(days, size=count, p=weights / weights.sum())

    def off_to_working(
        self, rng: np.random.Generator, days: Seconds, stay: float = WEEKEND_SHARE
    ) -> Seconds:
        """Working days as they are; days off become one of the next working days.

        Not always the very next one: that would double every Monday.

        Args:
            rng: the stream to draw from.
            days: days as numbers since 1970.
            stay: share of days off that remain.
        """
        moves = ~self.is_working(days) & (rng.random(len(days)) >= stay)
        later = self.next_working(days + rng.integers(0, 6, size=len(days)) * moves)
        return np.where(moves, later, days)

    def snap_forward(self, rng: np.random.Generator, times: Seconds) -> Seconds:
        """The times, moved to the next working hour where they fall outside; never earlier."""
        days, seconds = np.divmod(times, DAY)
        target = self.off_to_working(rng, days + (seconds >= CLOSES), stay=0.0)
        redrawn = (target != days) | (seconds < OPENS)
        return np.where(redrawn, target * DAY + time_of_day(rng, len(times)), times)


def time_of_day(rng: np.random.Generator, count: int) -> Seconds:
    """Seconds after midnight in the rhythm of a working day, within `[OPENS, CLOSES)`."""
    hours = rng.choice(len(_HOURS), size=count, p=_HOURS / _HOURS.sum())
    return OPENS + hours.astype(np.int64) * HOUR + rng.integers(0, HOUR, size=count)
