"""Whether somebody hears of a failed run."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.alerts.delivery import addresses_of, problem_of
from orchestration.doctor.findings import Finding
from orchestration.settings import Settings


def look_at_alerts(settings: Settings) -> Iterator[Finding]:
    """Addresses that Apprise can use; nothing is sent."""
    addresses = addresses_of(settings.alert_text)
    if not addresses:
        yield Finding(
            "alerts",
            "warning",
            "no address: nobody hears of a failed run. Set CALLFUNNEL_ALERT_URLS (docs/alerts.md).",
        )
    for address in addresses:
        problem = problem_of(address)
        if problem:
            told = f"{address.label}: {problem}. Correct it in the environment (docs/alerts.md)."
            yield Finding("alerts", "problem", told)
        else:
            yield Finding("alerts", "ok", f"{address.label}; make alert-test sends a message")
