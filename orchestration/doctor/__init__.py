"""What stands in the way of a good run: looked at from outside, without writing anything."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.doctor.alerts import look_at_alerts
from orchestration.doctor.connections import look_at_connections
from orchestration.doctor.findings import Finding, Status
from orchestration.doctor.machine import look_at_data, look_at_versions
from orchestration.doctor.publishing import look_at_publishing
from orchestration.settings import Settings
from sources.company import read_company
from sources.errors import InputError

__all__ = ["Finding", "Status", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything a run of the company needs, one finding per item.

    No lock is taken and the warehouse is not opened for writing, so a run may be going on. The one
    thing that may be written is a refreshed token: an application's are good for one use.
    """
    yield from look_at_versions()
    yield from look_at_data(settings)
    yield from look_at_alerts(settings)
    try:
        rules = read_company(settings.company_dir).rules
    except InputError as error:
        yield Finding("company rules", "problem", str(error))
        return
    count = sum(1 for _ in rules.all_connections())
    yield Finding("company rules", "ok", f"companies/{settings.company}, connections: {count}")
    yield from look_at_publishing(settings, rules)
    yield from look_at_connections(settings, rules)
