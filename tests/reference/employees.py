"""Who is employed until when, and whom reports name (SPEC §2, "Former employees")."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from tests.reference.records import Past, Portal, UserSight
from tests.reference.rules import DAY, Rules, local_date

Reported = int | Literal["former", "nobody"]
DismissedOnBasis = Literal["file", "snapshot", "last_own_action", "unknown"]
_ALWAYS = dt.date(1900, 1, 1)


@dataclass(frozen=True)
class Employee:
    """An account that the portal lists or once listed."""

    id: int
    name: str
    """As last known."""
    is_active: bool
    """Listed as active by the last load."""
    dismissed_on: dt.date | None
    dismissed_on_basis: DismissedOnBasis | None

    @property
    def former_from(self) -> dt.date | None:
        """The first day on which reports don't name them; None while employed."""
        return _ALWAYS if self.dismissed_on_basis == "unknown" else self.dismissed_on

    def is_former_on(self, day: dt.date) -> bool:
        return self.former_from is not None and day >= self.former_from


@dataclass(frozen=True)
class Staff:
    """The accounts of a portal, and the day on which "now" lies."""

    employees: dict[int, Employee]
    today: dt.date
    rules: Rules

    def reported(self, account: int | None, instant: int) -> Reported:
        """Whom reports name for an event of that account."""
        return self._reported(account, local_date(instant, self.rules))

    def reported_now(self, account: int | None) -> Reported:
        """Whom columns that describe now name."""
        return self._reported(account, self.today)

    def is_person_on(self, account: int | None, instant: int) -> bool:
        """Whether it is a person who had not left by the day of that instant."""
        # An account that no list has ever had is a robot's or an integration's.
        employee = self.employees.get(account or 0)
        return employee is not None and not employee.is_former_on(local_date(instant, self.rules))

    def _reported(self, account: int | None, day: dt.date) -> Reported:
        if not account:
            return "nobody"
        employee = self.employees.get(account)
        return "former" if employee is not None and employee.is_former_on(day) else account


def staff(portal: Portal, past: Past, rules: Rules) -> Staff:
    """Everybody whom the portal lists or once listed."""
    sights: dict[int, list[UserSight]] = defaultdict(list)
    for sight in sorted(past.users, key=lambda sight: sight.first_seen_at):
        sights[sight.user_id].append(sight)
    listed = {user.id for user in portal.users}
    employees: dict[int, Employee] = {}
    for user_id, versions in sights.items():
        is_active = user_id in listed and versions[-1].is_active
        found: tuple[dt.date | None, DismissedOnBasis | None] = (None, None)
        if user_id in past.dismissals:
            found = past.dismissals[user_id], "file"
        elif not is_active:
            found = _left(versions, past, rules)
        employees[user_id] = Employee(user_id, versions[-1].name, is_active, *found)
    return Staff(employees, local_date(rules.cut_of(portal), rules), rules)


def _left(
    versions: list[UserSight], past: Past, rules: Rules
) -> tuple[dt.date | None, DismissedOnBasis]:
    seen_active = [sight.last_seen_at for sight in versions if sight.is_active]
    if seen_active:
        last = max(seen_active)
        # The load that showed it first: by the log, or by what it saw if it died before its log.
        noticed = [cut for cut in past.loads if cut > last]
        noticed += [s.first_seen_at for s in versions if s.first_seen_at > last]
        return local_date(min(noticed), rules), "snapshot"
    actions = [at for s in versions for at in (s.last_login, s.last_activity) if at is not None]
    if actions:
        return local_date(max(actions), rules) + dt.timedelta(microseconds=DAY), "last_own_action"
    return None, "unknown"
