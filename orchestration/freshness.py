"""When an asset counts as late: Dagster's freshness policies, from the company's schedule."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

from croniter import croniter
from dagster import FreshnessPolicy

from sources.company.rules import ScheduleSection

_FIRINGS = 400
"""More than a daily schedule has in a year: the longest pause is among them."""


def freshness_policy(schedule: ScheduleSection) -> FreshnessPolicy:
    """Assets warn when they are half of `late_hours` overdue, and fail when they are all of it."""
    hours = fail_hours(schedule)
    return FreshnessPolicy.time_window(
        fail_window=dt.timedelta(hours=hours),
        warn_window=dt.timedelta(hours=hours - schedule.late_hours / 2),
    )


def fail_hours(schedule: ScheduleSection) -> float:
    """The longest pause of the schedule and `late_hours` on top."""
    return longest_pause(schedule.cron).total_seconds() / 3600 + schedule.late_hours


def longest_pause(cron: str) -> dt.timedelta:
    """The longest time between two firings: from Friday to Monday for a schedule of workdays.

    Read without a zone: an hour more on the day that winter time begins is within any lateness.
    """
    firing = croniter(cron, dt.datetime(2024, 1, 1))
    times: list[dt.datetime] = [firing.get_next(dt.datetime) for _ in range(_FIRINGS)]
    return max(later - earlier for earlier, later in pairwise(times))
