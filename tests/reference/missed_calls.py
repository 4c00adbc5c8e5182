"""Missed cases (SPEC §1 "missed case, contact, lost client", R7), read literally.

A party is a client with all their numbers, or a number that is no client's. Its calls are walked
through one by one: a missed call opens a case or joins the open one, a contact ends it. Of calls in
one second the missed come first, the contacts last: what was missed in the second of a contact was
followed by it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["in_time", "late", "pending", "lost", "anonymous"]


@dataclass(frozen=True)
class PhoneCall:
    """One external call, as far as cases depend on it."""

    key: int
    source: str
    started_at: dt.datetime
    is_inbound: bool
    is_answered: bool
    talk_seconds: int
    client: int | None
    number: str | None


@dataclass(frozen=True)
class Case:
    """One missed case."""

    first_call: int
    source: str
    first_missed_at: dt.datetime
    last_missed_at: dt.datetime
    missed: int
    attempts: int
    contact: int | None
    contacted_at: dt.datetime | None
    state: State


def missed_cases(
    calls: Iterable[PhoneCall],
    known_until: dt.datetime,
    callback: dt.timedelta = dt.timedelta(hours=24),
    contact_seconds: int = 10,
) -> list[Case]:
    """All cases of all parties, and one for each missed call without a number or client."""
    parties: dict[Hashable, list[PhoneCall]] = defaultdict(list)
    found = []
    for call in calls:
        if call.client is not None:
            parties[call.source, "client", call.client].append(call)
        elif call.number is not None:
            parties[call.source, "number", call.number].append(call)
        elif call.is_inbound and not call.is_answered:
            found.append(replace(_opened(call), state="anonymous"))
    for party in parties.values():
        found += _cases_of(party, known_until, callback, contact_seconds)
    return found


def _opened(call: PhoneCall) -> Case:
    at = call.started_at
    return Case(call.key, call.source, at, at, 1, 0, None, None, "lost")


def _cases_of(
    calls: list[PhoneCall], known_until: dt.datetime, callback: dt.timedelta, contact_seconds: int
) -> list[Case]:
    def is_missed(call: PhoneCall) -> bool:
        return call.is_inbound and not call.is_answered

    def is_contact(call: PhoneCall) -> bool:
        if call.is_inbound:
            return call.is_answered
        return call.is_answered and call.talk_seconds >= contact_seconds

    def place(call: PhoneCall) -> tuple[dt.datetime, int, int]:
        rank = 0 if is_missed(call) else 2 if is_contact(call) else 1
        return call.started_at, rank, call.key

    cases: list[Case] = []
    open_case: Case | None = None
    for call in sorted(calls, key=place):
        if is_missed(call):
            if open_case is None:
                open_case = _opened(call)
            else:
                open_case = replace(
                    open_case, last_missed_at=call.started_at, missed=open_case.missed + 1
                )
        elif open_case is None:
            continue
        elif is_contact(call):
            in_time = call.started_at <= open_case.first_missed_at + callback
            cases.append(
                replace(
                    open_case,
                    contact=call.key,
                    contacted_at=call.started_at,
                    state="in_time" if in_time else "late",
                )
            )
            open_case = None
        elif not call.is_inbound:
            open_case = replace(open_case, attempts=open_case.attempts + 1)
    if open_case is not None:
        is_over = known_until > open_case.first_missed_at + callback
        cases.append(replace(open_case, state="lost" if is_over else "pending"))
    return cases
