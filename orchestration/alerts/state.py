"""What a sensor remembers between two ticks: which troubles it has told, what is not yet sent.

It stands in Dagster's cursor of the sensor, as JSON; nothing else is kept anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ValidationError

Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class Trouble:
    """Something that failed.

    Attributes:
        key: the same trouble has the same key in every run.
        name: what failed, for people.
        at: when, in seconds since 1970.
        run_id: of the run that found it; empty where no run did.
        sentence: what it says.
        records_count: how many records offend, where that is known.
        people: names of those concerned.
        link: to a card in the CRM.
    """

    key: str
    name: str
    at: float
    run_id: str
    severity: Severity = "error"
    sentence: str = ""
    records_count: int | None = None
    people: tuple[str, ...] = ()
    link: str | None = None


@dataclass(frozen=True)
class Passed:
    """Something that may have failed before, and has now passed (or is no longer looked at)."""

    key: str
    run_id: str
    is_told: bool = True


@dataclass(frozen=True)
class Over:
    """A trouble that was told and is over."""

    name: str
    since: float
    run_id: str


@dataclass
class News:
    """What the newest findings change: new troubles, and told ones that are over."""

    failed: list[Trouble] = field(default_factory=list)
    over: list[Over] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.failed or self.over)

    @property
    def run_id(self) -> str:
        """The last run that any of it comes from."""
        runs = [one.run_id for one in self.over] + [one.run_id for one in self.failed]
        return runs[-1] if runs else ""


class Told(BaseModel):
    """A trouble that was told and is not over."""

    name: str
    since: float
    severity: Severity


class Waiting(BaseModel):
    """A message that some addresses have not taken yet."""

    title: str
    body: str
    addresses: list[str]


class AlertState(BaseModel):
    """The cursor of a sensor.

    Attributes:
        after: storage id of the last run status change that was looked at.
        told: by key.
        waiting: messages to be tried again, oldest first.
    """

    after: int
    told: dict[str, Told] = {}
    waiting: list[Waiting] = []

    def take(self, findings: Iterable[Trouble | Passed]) -> News:
        """Remember findings, in their order; what comes and goes among them is no news."""
        before = dict(self.told)
        newest: dict[str, Trouble] = {}
        passed: dict[str, Passed] = {}
        for finding in findings:
            known = self.told.get(finding.key)
            if isinstance(finding, Passed):
                self.told.pop(finding.key, None)
                newest.pop(finding.key, None)
                passed[finding.key] = finding
                continue
            newest[finding.key] = finding
            since = known.since if known else finding.at
            self.told[finding.key] = Told(name=finding.name, since=since, severity=finding.severity)
        return News(
            failed=list(self._worse_than(before, newest)),
            over=[
                Over(was.name, was.since, passed[key].run_id)
                for key, was in before.items()
                if key not in self.told and passed[key].is_told
            ],
        )

    def _worse_than(self, before: dict[str, Told], newest: dict[str, Trouble]) -> Iterator[Trouble]:
        for key, trouble in newest.items():
            was = before.get(key)
            if was is None or (was.severity, trouble.severity) == ("warn", "error"):
                yield replace(trouble, at=self.told[key].since)


def read_state(cursor: str | None) -> AlertState | None:
    """The state in a cursor; None where there is none that can be read."""
    try:
        return AlertState.model_validate_json(cursor) if cursor else None
    except ValidationError:
        return None
