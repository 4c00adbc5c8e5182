"""The company's rules, as far as the definitions of this package depend on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from tests.reference.records import Portal

PipelineRole = Literal["sales", "setter", "service", "ignore"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
"""Microseconds; a day as a duration is 24 hours, whatever the time zone does."""


@dataclass(frozen=True)
class Rules:
    time_zone: str = "Europe/Moscow"
    successful_call_seconds: int = 40
    call_starts_card_minutes: int = 60
    after_close_days: int = 30
    default_region: str = "RU"
    pipeline_roles: Mapping[int, PipelineRole] = field(default_factory=dict)
    cut: int | None = None
    """Microseconds; None: the portal's clock. Deals, history rows and calls later than it wait."""

    def role_of(self, category_id: int) -> PipelineRole:
        return self.pipeline_roles.get(category_id, "sales")

    def cut_of(self, portal: Portal) -> int:
        return portal.clock if self.cut is None else self.cut


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def local_date(instant: int, rules: Rules) -> dt.date:
    """The company's day that contains an instant."""
    return (
        (_EPOCH + dt.timedelta(microseconds=instant)).astimezone(ZoneInfo(rules.time_zone)).date()
    )


def day_start(day: dt.date, rules: Rules) -> int:
    """The first instant of a company's day; of one whose midnight clocks skip, the skip."""
    # An hour that clocks show twice before midnight belongs to the day before, so that the day
    # begins once; fold does not matter then.
    midnight = dt.datetime.combine(day, dt.time(), ZoneInfo(rules.time_zone))
    found = (midnight.astimezone(dt.UTC) - _EPOCH) // dt.timedelta(microseconds=1)
    assert local_date(found, rules) == day > local_date(found - 1, rules)
    return found
