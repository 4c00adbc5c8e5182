"""Calls in a form that belongs to no provider; each stand-in prints them its own way."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Literal

Direction = Literal["in", "out", "internal"]
Outcome = Literal["answered", "missed", "busy", "cancelled", "failed"]

_OUTCOMES: tuple[Outcome, ...] = ("answered", "answered", "missed", "busy", "cancelled", "failed")


@dataclass(frozen=True)
class Leg:
    """One telephone that was rung.

    Attributes:
        extension: the employee's, of either side of the call.
        started_at: when it began to ring, aware, to the second.
        answered_at: None: nobody took it.
        ended_at: when it was over.
        outcome: of this leg.
    """

    extension: str
    started_at: dt.datetime
    answered_at: dt.datetime | None
    ended_at: dt.datetime
    outcome: Outcome

    @property
    def talk_seconds(self) -> int:
        """From the answer to the end."""
        return _seconds(self.ended_at - self.answered_at) if self.answered_at else 0

    @property
    def wait_seconds(self) -> int:
        """From the beginning to the answer, or to the end."""
        return _seconds((self.answered_at or self.ended_at) - self.started_at)


@dataclass(frozen=True)
class CallRecord:
    """One call.

    Attributes:
        number: unique among the calls.
        direction: as the company sees it.
        client: the other side, digits; of an internal call the extension that rings.
        line: the company's number, digits.
        legs: in their order, at least one.
        is_garbled: its beginning is printed as something that is no time.
    """

    number: int
    direction: Direction
    client: str
    line: str
    legs: tuple[Leg, ...]
    is_garbled: bool = False

    @property
    def started_at(self) -> dt.datetime:
        """The beginning of the first leg."""
        return self.legs[0].started_at

    @property
    def ended_at(self) -> dt.datetime:
        """The end of the last leg."""
        return max(leg.ended_at for leg in self.legs)

    @property
    def talker(self) -> Leg:
        """The leg that was answered, else the last one."""
        return next((leg for leg in self.legs if leg.answered_at), self.legs[-1])

    @property
    def outcome(self) -> Outcome:
        """Of the call: answered where any leg was."""
        return self.talker.outcome


def a_call(
    number: int,
    started_at: dt.datetime,
    *,
    direction: Direction = "in",
    outcome: Outcome = "answered",
    extensions: tuple[str, ...] = ("101",),
    client: str = "",
    wait_seconds: int = 7,
    talk_seconds: int = 60,
    is_garbled: bool = False,
) -> CallRecord:
    """A call whose extensions are rung one after the other, the last of them with this outcome."""
    legs = []
    at = started_at.astimezone(dt.UTC)
    for extension in extensions:
        rung = at + dt.timedelta(seconds=wait_seconds)
        is_taken = extension == extensions[-1] and outcome == "answered"
        ended = rung + dt.timedelta(seconds=talk_seconds if is_taken else 0)
        last: Outcome = outcome if extension == extensions[-1] else "missed"
        legs.append(Leg(extension, at, rung if is_taken else None, ended, last))
        at = ended
    number_of_client = client or f"380670{number:06d}"
    return CallRecord(number, direction, number_of_client, "380441112233", tuple(legs), is_garbled)


def invented_calls(
    start: dt.datetime, days: int, per_day: int, *, seed: int = 1, first_number: int = 1
) -> list[CallRecord]:
    """Calls at any hour of some days, of all kinds.

    Args:
        start: of the first day, aware.
        days: how many.
        per_day: calls of a day.
        seed: of chance; equal seeds give equal calls.
        first_number: of the first call.
    """
    chance = random.Random(seed)  # noqa: S311
    calls = []
    for place in range(days * per_day):
        day = dt.timedelta(days=place // per_day)
        at = start + day + dt.timedelta(seconds=chance.randrange(86_400))
        people = chance.sample(["101", "102", "103", "104"], k=chance.choice((1, 1, 1, 2, 3)))
        calls.append(
            a_call(
                first_number + place,
                at,
                direction=chance.choice(("in", "in", "out")),
                outcome=chance.choice(_OUTCOMES),
                extensions=tuple(people),
                wait_seconds=chance.randrange(1, 25),
                talk_seconds=chance.randrange(1, 600),
            )
        )
    return sorted(calls, key=lambda call: (call.started_at, call.number))


def _seconds(duration: dt.timedelta) -> int:
    return int(duration.total_seconds())
