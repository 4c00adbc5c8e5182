"""The telephone exchange of the invented company: a FreePBX behind its CRM.

Most calls of the CRM ran through it; some did not, because people call by mobile, and some that it
knows never reached the CRM. Since `LINKED_FROM` the integration tells the CRM the exchange's own id
of a call, before that only number, direction and time say that two records are one call. Every case
that a report must get right is planted with numbers and moments of its own, and recorded.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import sqlite3
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.company import TITLE
from sources.demo.generator.rhythm import DAY, HOUR, Rhythm, day_number, time_of_day
from sources.demo.generator.streams import stream
from sources.demo.store import PortalStore
from sources.demo.telephony.freepbx import (
    ANSWERED,
    BUSY,
    FAILED,
    NO_ANSWER,
    UNKNOWN,
    Conversation,
    Leg,
    Phone,
    Printer,
    write_table,
)
from sources.errors import InputError

ZONE = ZoneInfo("Asia/Yekaterinburg")
"""The exchange stands with the company's hoster, whose clocks are two hours ahead of Moscow's."""
LINKED_FROM = dt.date(2026, 4, 1)
MOVED_ON = dt.date(2026, 2, 1)
SHARED, WAREHOUSE, OLD = "190", "140", "119"
"""Extensions that no user of the CRM has: of a shared desk, of the warehouse, of the past."""

Planted = dict[str, list[dict[str, Any]]]

MINUTE = 60
_APART = 200
"""Seconds between calls of one number and direction that can't be taken for each other."""
_NUMBERS = names.PLANTED_NUMBERS + 5_000_000
_STRANGERS = names.PLANTED_NUMBERS + 6_000_000
_UNIQUE_ID = re.compile(r"\d{10}\.\d+", re.ASCII)
_INFORMATIONAL = 5
_INCOMING = (2, 3)
_REDIRECTED = 3
_ANSWERED_CODE = "200"
_DISPOSITIONS = {"486": BUSY, "404": FAILED, "484": FAILED}
_LINE_OF_QUEUE, _LINE_OF_DIRECT = names.LINES[2], names.LINES[1]


@dataclass(frozen=True)
class CrmCall:
    """A call as the CRM keeps it; times in whole seconds since 1970."""

    call_id: int
    start: int
    seconds: int
    talker: int
    kind: int
    is_answered: bool
    code: str
    number: int | None
    line: str
    registered_id: str | None
    is_bound: bool

    @property
    def direction(self) -> str:
        """As the exchange sees it."""
        return "in" if self.kind in _INCOMING else "out"


def write_office(store: PortalStore, path: Path) -> Planted:
    """Invent the call records of the company in a portal's store, into a new SQLite file.

    Beside the table `cdr` the file holds `planted`: what was planted, for tests. Its time is that
    of the portal's clock, since that is what a SQLite file has for a clock.

    Returns:
        What was planted, by name; `counts` says how many calls which of the two knows.

    Raises:
        FileExistsError: there is a file at the path.
        InputError: the store does not hold an invented company.
    """
    if store.meta("seed") is None:
        raise InputError(
            f"{store.path} holds no invented company: give a store that `generate` has written."
        )
    office = _Office(store)
    calls = office.calls()
    printer = Printer(ZONE, TITLE, office.first_channel)
    ids: dict[int, str] = {}
    records: list[dict[str, Any]] = []
    for call in sorted(calls, key=lambda one: one.at):
        ids[id(call)], printed = printer.records(call)
        records += printed
    write_table(path, records)
    planted = {
        name: [_resolved(entry, ids) for entry in entries]
        for name, entries in office.planted.items()
    }
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table planted (name text primary key, entries text)")
        connection.executemany(
            "insert into planted values (?, ?)",
            [(name, json.dumps(entries, ensure_ascii=False)) for name, entries in planted.items()],
        )
        connection.commit()
    # A file's clock is the full second after it was written.
    written = store.clock.timestamp() - 1
    os.utime(path, (written, written))
    return planted


def read_planted(path: Path) -> Planted:
    """What was planted into a file of `write_office`."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("select name, entries from planted").fetchall()
    return {name: json.loads(entries) for name, entries in rows}


def _resolved(value: Any, ids: Mapping[int, str]) -> Any:
    """Plain JSON, with ids in place of conversations."""
    if isinstance(value, Conversation):
        return ids[id(value)]
    if isinstance(value, Mapping):
        return {key: _resolved(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, ids) for item in value]
    return value


class _Office:
    def __init__(self, store: PortalStore) -> None:
        self._seed = int(store.meta("seed"))
        self._offset = store.utc_offset * MINUTE
        self._clock = int(store.clock.timestamp())
        self._crm = _crm_calls(store)
        planted = store.meta("planted", {})
        self._dismissed = [entry["user_id"] for entry in planted.get("works_after_dismissal", [])]
        users = store.query("select ID, NAME, LAST_NAME, UF_PHONE_INNER from user order by ID")
        self._names = {row["ID"]: f"{row['NAME']} {row['LAST_NAME']}" for row in users}
        self._extensions = {
            row["ID"]: str(row["UF_PHONE_INNER"]) for row in users if row["UF_PHONE_INNER"]
        }
        self._staff = [user for user in self._extensions if user < 1_000]
        # By place, not by name: ids are the same for every seed, so the company's files fit all.
        self._director, self._head = self._staff[0], self._staff[1]
        self._mobile = (self._staff[4], self._staff[8])
        self._sharers = (self._staff[7], self._staff[8])
        self._giver, self._taker = self._staff[-2:]
        first = dt.date.fromtimestamp(min(call.start for call in self._crm))
        last = dt.date.fromtimestamp(self._clock)
        self._days = (day_number(first), day_number(last))
        self._rhythm = Rhythm(first - dt.timedelta(days=40), last + dt.timedelta(days=40))
        self._busy: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._starts: dict[tuple[int, str], list[int]] = defaultdict(list)
        for call in self._crm:
            self._book(call.talker, call.start, call.seconds)
            if call.number is not None:
                insort(self._starts[call.number, call.direction], call.start)
        self._fresh = 0
        self.first_channel = 10 ** len(str(max(call.call_id for call in self._crm)))
        self.planted: Planted = {}

    def calls(self) -> list[Conversation]:
        """All conversations that are over by the clock."""
        found = self._twins()
        found += self._planted_calls()
        only = [
            *self._of_director(),
            *self._missed(),
            *self._lost(),
            *self._of_warehouse(),
        ]
        found += only
        found += self._internal()
        (counts,) = self.planted["counts"]
        outside = sum(call.direction != "internal" for call in found)
        paired = counts["paired_by_id"] + counts["paired_by_phone"]
        counts |= {
            "crm_only": len(self._crm) - paired,
            "pbx_only": outside - paired,
            "internal": len(found) - outside,
        }
        return found

    # Who, when, with which number

    def _phone(self, user: int, at: int) -> Phone:
        """The telephone that an employee has at the moment."""
        extension = self._extensions[user]
        if at < self._moved_at:
            extension = {
                self._giver: self._extensions[self._taker],
                self._taker: OLD,
            }.get(user, extension)
        return Phone(extension, self._names[user])

    @property
    def _moved_at(self) -> int:
        return day_number(MOVED_ON) * DAY - self._offset

    def _book(self, user: int, start: int, seconds: int) -> None:
        insort(self._busy[user], (start - MINUTE, start + seconds + MINUTE))

    def _is_free(self, user: int, start: int, seconds: int) -> bool:
        busy = self._busy[user]
        place = bisect_left(busy, (start + seconds, 0))
        # Nobody speaks for longer than an hour: what began before that is over.
        return all(
            end <= start
            for begun, end in busy[max(0, place - 60) : place]
            if begun > start - 2 * HOUR
        )

    def _is_apart(self, number: int | None, direction: str, at: int) -> bool:
        if number is None:
            return True
        starts = self._starts[number, direction]
        place = bisect_left(starts, at - _APART)
        return place == len(starts) or starts[place] > at + _APART

    def _at(self, days_ago: int, clock: float) -> int:
        """A moment of a working day so many days ago; the clock in local hours."""
        today = (self._clock + self._offset) // DAY
        day = int(self._rhythm.previous_working(np.array([today - days_ago]))[0])
        return int(day * DAY + clock * HOUR) - self._offset

    def _moments(self, rng: np.random.Generator, count: int) -> list[int]:
        days = self._rhythm.pick_days(rng, *self._days, count)
        moments = days * DAY + time_of_day(rng, count) - self._offset
        return [int(at) for at in moments if at < self._clock - HOUR]

    def _new_number(self) -> int:
        self._fresh += 1
        return _NUMBERS + self._fresh

    def _rung(self, user: int, at: int, rng: np.random.Generator, count: int) -> list[Phone]:
        """Colleagues who are rung before or beside an employee."""
        others = [other for other in self._staff[1:] if other != user]
        chosen = rng.choice(len(others), size=min(count, len(others)), replace=False)
        return [self._phone(others[int(place)], at) for place in chosen]

    # Calls that the CRM has too

    def _twins(self) -> list[Conversation]:
        rng = stream(self._seed, "exchange")
        count = len(self._crm)
        lot, late, path = rng.random(count), rng.random(count), rng.random(count)
        jitter, delta = rng.integers(0, 4, size=count), rng.integers(-3, 3, size=count)
        ring, seconds_late = rng.integers(2, 16, size=count), rng.integers(10, 61, size=count)
        spelling = rng.integers(0, 10, size=count)
        nexts, ends = self._next_starts(), self._previous_ends()
        found: list[Conversation] = []
        counts = {"paired_by_id": 0, "paired_by_phone": 0}
        mobile = {user: {"calls": 0, "calls_without_pbx": 0} for user in self._mobile}
        unknown: list[Conversation] = []
        for place, call in enumerate(self._crm):
            if call.kind == _INFORMATIONAL or call.talker not in self._extensions:
                continue
            is_crowded = not self._is_alone(call)
            is_out = call.direction == "out"
            share = 0.015
            if call.talker in mobile:
                share = 0.75 if is_out else 0.1
                mobile[call.talker]["calls"] += 1
            is_linked = self._is_linked(call)
            has_twin = (lot[place] >= share or is_crowded) and (
                call.number is not None or is_linked
            )
            # The exchange's clock runs ahead and is set every month; where the CRM's row is
            # written late, it begins later than the call.
            local = dt.datetime.fromtimestamp(call.start + self._offset, dt.UTC)
            shift = local.day // 8 + int(jitter[place])
            if is_crowded:
                shift = 0
            elif late[place] < 0.08 and call.is_bound:
                shift = -int(seconds_late[place])
                if is_linked and late[place] < 0.02:
                    shift *= 10
                if call.start + shift < ends[place] + _APART:
                    shift = 0
            talk = max(1, call.seconds + int(delta[place])) if call.is_answered else 0
            # Nobody is made to speak in two calls at once.
            room = nexts[place] - call.start - talk - max(shift, 0) - 2
            rings = (
                max(1, min(int(ring[place]), room)) if call.is_answered else 8 + int(ring[place])
            )
            at = call.start + shift
            made = replace(
                self._twin(call, at, talk, rings, float(path[place]), rng),
                number=_spelt(call.number, int(spelling[place]), is_out=is_out),
                call_id=call.registered_id if is_linked else None,
            )
            if not has_twin or made.ends_at > self._clock - 5:
                if call.talker in mobile:
                    mobile[call.talker]["calls_without_pbx"] += 1
                continue
            is_odd = (
                is_out and call.is_answered and call.is_bound and len(unknown) < 2
                and call.start > self._at(120, 0) and call.start < self._at(100, 0)
            )  # fmt: skip
            if is_odd:
                made = replace(made, legs=(replace(made.legs[0], disposition=UNKNOWN),))
                unknown.append(made)
            counts["paired_by_id" if is_linked else "paired_by_phone"] += 1
            found.append(made)
        self.planted["counts"] = [counts]
        self.planted["calls_by_mobile"] = [
            {"user_id": user, **told} for user, told in mobile.items()
        ]
        self.planted["unknown_disposition"] = [
            {"disposition": UNKNOWN, "pbx_call_ids": unknown, "is_known_to_crm": True}
        ]
        return found

    def _is_linked(self, call: CrmCall) -> bool:
        since = day_number(LINKED_FROM) * DAY - self._offset
        return (
            call.start >= since
            and call.registered_id is not None
            and _UNIQUE_ID.fullmatch(call.registered_id) is not None
        )

    def _is_alone(self, call: CrmCall) -> bool:
        """Whether the CRM has no other call of the number and direction around it."""
        if call.number is None:
            return True
        starts = self._starts[call.number, call.direction]
        first = bisect_left(starts, call.start - _APART)
        return bisect_left(starts, call.start + _APART + 1) - first == 1

    def _next_starts(self) -> list[int]:
        """When the talker's next call begins, by call."""
        nexts = [self._clock] * len(self._crm)
        last: dict[int, int] = {}
        for place in range(len(self._crm) - 1, -1, -1):
            talker = self._crm[place].talker
            nexts[place] = last.get(talker, self._clock)
            last[talker] = self._crm[place].start
        return nexts

    def _previous_ends(self) -> list[int]:
        """When the talker's earlier calls are over, by call."""
        ends: list[int] = []
        last: dict[int, int] = defaultdict(int)
        for call in self._crm:
            ends.append(last[call.talker])
            last[call.talker] = max(last[call.talker], call.start + call.seconds)
        return ends

    def _twin(
        self, call: CrmCall, at: int, talk: int, ring: int, path: float, rng: np.random.Generator
    ) -> Conversation:
        phone = self._phone(call.talker, at)
        if call.direction == "out":
            disposition = _DISPOSITIONS.get(call.code, NO_ANSWER)
            leg = Leg(None, 0, ring, talk, ANSWERED if call.is_answered else disposition)
            is_masked = call.line == _LINE_OF_DIRECT
            return Conversation(at, "out", "", (leg,), call.line, caller=phone, is_masked=is_masked)
        if not call.is_answered:
            legs, how = self._unanswered(phone, at, ring, path, rng)
            return Conversation(at, "in", "", legs, call.line, path=how)
        if call.kind == _REDIRECTED and talk > 12:
            legs = self._handed_over(call.talker, at, talk, ring, path, rng)
            return Conversation(at, "in", "", legs, call.line)
        if call.line == _LINE_OF_QUEUE:
            # Some are rung in vain before.
            legs = (Leg(phone, 0, ring, talk),)
            if ring >= 8 and path < 0.5:
                first = Leg(self._rung(call.talker, at, rng, 1)[0], 0, 5, 0, NO_ANSWER)
                legs = (first, Leg(phone, 5, ring - 5, talk))
            return Conversation(at, "in", "", legs, call.line, path="queue")
        if call.line == _LINE_OF_DIRECT or path < 0.3:
            return Conversation(at, "in", "", (Leg(phone, 0, ring, talk),), call.line)
        others = self._rung(call.talker, at, rng, 2 + (path > 0.8))
        in_vain = [Leg(other, 0, ring, 0, NO_ANSWER) for other in others]
        legs = (*in_vain[:1], Leg(phone, 0, ring, talk), *in_vain[1:])
        return Conversation(at, "in", "", legs, call.line, path="group")

    def _unanswered(
        self, phone: Phone, at: int, ring: int, path: float, rng: np.random.Generator
    ) -> tuple[tuple[Leg, ...], Any]:
        if path < 0.12:
            mailbox = Leg(None, ring, 0, 9 + ring, is_mailbox=True)
            return (Leg(phone, 0, ring, 0, NO_ANSWER), mailbox), "direct"
        if path < 0.2:
            return (Leg(phone, 0, 1, 0, BUSY),), "direct"
        if path < 0.35:
            # The queue has taken the call, and nobody the caller.
            return (Leg(None, 0, 0, ring),), "queue"
        if path < 0.45:
            return (Leg(phone, 0, ring, 0, NO_ANSWER),), "direct"
        others = self._rung(0, at, rng, 2)
        rung = [phone, *(other for other in others if other.extension != phone.extension)]
        return tuple(Leg(one, 0, ring, 0, NO_ANSWER) for one in rung), "group"

    def _handed_over(
        self, talker: int, at: int, talk: int, ring: int, path: float, rng: np.random.Generator
    ) -> tuple[Leg, ...]:
        """A colleague answers and hands over; half of them ask first, while the caller waits.

        Where all colleagues are on the phone themselves, the talker answers.
        """
        phone, first = self._phone(talker, at), max(3, talk // 4)
        others = [user for user in self._staff[1:] if user != talker]
        free = (
            others[int(place)]
            for place in rng.permutation(len(others))
            if self._is_free(others[int(place)], at, first + 2)
        )
        user = next(free, None)
        if user is None:
            return (Leg(phone, 0, ring, talk),)
        self._book(user, at, first + 2)
        colleague = self._phone(user, at)
        taken = Leg(colleague, 0, 1, first)
        handed = Leg(phone, 1 + first, max(1, ring - 1), talk - first, is_transfer=True)
        if path < 0.5:
            return (taken, handed)
        asked = Leg(phone, 1, 1, max(1, first - 2), from_phone=colleague)
        return (taken, asked, replace(handed, ring=1))

    # Calls that only the exchange has

    def _of_director(self) -> list[Conversation]:
        """The director has no licence of the integration."""
        rng = stream(self._seed, "exchange director")
        found = []
        for at in self._moments(rng, self._share(0.008)):
            number = self._number_of_client(rng, at) or self._stranger(rng)
            found += self._talked(rng, self._director, at, number, is_out=bool(rng.random() < 0.7))
        return found

    def _lost(self) -> list[Conversation]:
        """Calls that the integration has lost, of everybody."""
        rng = stream(self._seed, "exchange lost")
        found = []
        for at in self._moments(rng, self._share(0.02)):
            user = self._staff[1 + int(rng.integers(0, len(self._staff) - 1))]
            number = self._number_of_client(rng, at) if rng.random() < 0.6 else self._stranger(rng)
            is_out = bool(rng.random() < 0.5)
            found += self._talked(rng, user, at, number, is_out=is_out)
        return found

    def _missed(self) -> list[Conversation]:
        """Missed calls that the integration has lost; some callers hide their number."""
        rng = stream(self._seed, "exchange missed")
        found = []
        for at in self._moments(rng, self._share(0.02)):
            draw, ring = rng.random(), int(rng.integers(6, 40))
            number = None
            if draw < 0.25:
                number = self._number_of_client(rng, at)
            elif draw < 0.85:
                number = self._stranger(rng)
            user = self._staff[1 + int(rng.integers(0, len(self._staff) - 1))]
            legs, path = self._unanswered(self._phone(user, at), at, ring, rng.random(), rng)
            line = names.LINES[int(rng.integers(0, len(names.LINES)))]
            found += self._only(Conversation(at, "in", "", legs, line, path=path), number, rng)
        return found

    def _of_warehouse(self) -> list[Conversation]:
        """A telephone that is nobody's."""
        rng = stream(self._seed, "exchange warehouse")
        found = []
        for at in self._moments(rng, self._share(0.003)):
            leg = Leg(None, 0, 6, int(rng.integers(15, 200)))
            call = Conversation(at, "out", "", (leg,), names.LINES[0], Phone(WAREHOUSE, "Склад"))
            found += self._only(call, self._stranger(rng), rng)
        return found

    def _internal(self) -> list[Conversation]:
        rng = stream(self._seed, "exchange internal")
        found = []
        for at in self._moments(rng, self._share(0.03)):
            one, other = rng.choice(len(self._staff), size=2, replace=False)
            caller, called = self._staff[int(one)], self._staff[int(other)]
            phone, draw = self._phone(called, at), rng.random()
            talk = int(rng.integers(5, 240))
            if draw < 0.06:
                leg, dialled = Leg(None, 0, 0, talk // 4 + 1, is_mailbox=True), "*97"
            elif draw < 0.8:
                leg, dialled = Leg(phone, 0, 4, talk), phone.extension
            else:
                leg, dialled = Leg(phone, 0, 20, 0, NO_ANSWER), phone.extension
            found.append(
                Conversation(at, "internal", dialled, (leg,), caller=self._phone(caller, at))
            )
        return found

    def _share(self, of_crm: float) -> int:
        return round(len(self._crm) * of_crm)

    def _stranger(self, rng: np.random.Generator) -> int:
        return _STRANGERS + int(rng.integers(0, 1_000_000))

    def _number_of_client(self, rng: np.random.Generator, at: int) -> int | None:
        """The number of somebody with whom the company has spoken some days before."""
        place = bisect_left(self._crm, at, key=lambda call: call.start)
        for _ in range(8):
            call = self._crm[max(0, place - 1 - int(rng.integers(0, 400)))]
            number = call.number
            is_client = number is not None and number < names.PLANTED_NUMBERS
            if call.is_bound and is_client and call.start < at:
                return number
        return None

    def _talked(
        self, rng: np.random.Generator, user: int, at: int, number: int | None, *, is_out: bool
    ) -> list[Conversation]:
        """A call of one employee, where they have time for it."""
        ring, talk = int(rng.integers(3, 18)), int(rng.lognormal(4.3, 0.9)) + 2
        if not self._is_free(user, at, ring + talk):
            return []
        self._book(user, at, ring + talk)
        phone, line = self._phone(user, at), names.LINES[0]
        is_answered = not is_out or rng.random() < 0.75
        if is_out:
            leg = Leg(None, 0, ring, talk if is_answered else 0,
                      ANSWERED if is_answered else NO_ANSWER)  # fmt: skip
            call = Conversation(at, "out", "", (leg,), line, phone)
        else:
            call = Conversation(at, "in", "", (Leg(phone, 0, ring, talk),), line)
        return self._only(call, number, rng)

    def _only(
        self, call: Conversation, number: int | None, rng: np.random.Generator
    ) -> list[Conversation]:
        """The call with its number, unless it could be taken for another one."""
        if not self._is_apart(number, call.direction, call.at):
            return []
        if number is not None:
            insort(self._starts[number, call.direction], call.at)
        elif call.direction == "out":
            return []
        spelt = _spelt(number, int(rng.integers(0, 10)), is_out=call.direction == "out")
        return [replace(call, number=spelt)]

    # Planted, with numbers and moments of their own

    def _planted_calls(self) -> list[Conversation]:
        makers = (
            self._shared_extension,
            self._moved_extension,
            self._overlapping_calls,
            self._extension_of_dismissed,
            self._unknown_dispositions,
            self._missed_cases,
        )
        return [call for maker in makers for call in maker()]

    def _out(self, phone: Phone, at: int, number: int, talk: int, ring: int = 6) -> Conversation:
        disposition = ANSWERED if talk else NO_ANSWER
        leg = Leg(None, 0, ring, talk, disposition)
        spelt = _spelt(number, 0, is_out=True)
        return Conversation(at, "out", spelt, (leg,), names.LINES[0], caller=phone)

    def _in(self, legs: Sequence[Leg], at: int, number: int, path: Any = "group") -> Conversation:
        spelt = _spelt(number, 0, is_out=False)
        return Conversation(at, "in", spelt, tuple(legs), names.LINES[0], path=path)

    def _when_free(self, user: int, at: int, seconds: int) -> int:
        while not self._is_free(user, at, seconds):
            at += 2 * MINUTE
        self._book(user, at, seconds)
        return at

    def _shared_extension(self) -> list[Conversation]:
        calls = [
            self._out(Phone(SHARED, "Переговорная"), self._at(80 - 9 * n, 11.2), self._new_number(),
                      50 + n)
            for n in range(4)
        ]  # fmt: skip
        self.planted["shared_extension"] = [
            {"extension": SHARED, "user_ids": list(self._sharers), "pbx_call_ids": calls}
        ]
        return calls

    def _moved_extension(self) -> list[Conversation]:
        """The same extension before and since the day of the move; on the very day too."""
        extension = self._extensions[self._taker]
        midnight = self._moved_at
        told = []
        for user, at in (
            (self._giver, midnight - 20 * DAY + 11 * HOUR),
            (self._giver, midnight - 3 * HOUR),
            (self._taker, midnight + 9 * HOUR),
            (self._taker, midnight + 30 * DAY + 12 * HOUR),
        ):
            begins = self._when_free(user, at, 100)
            call = self._out(Phone(extension), begins, self._new_number(), 80)
            told.append({"pbx_call_id": call, "user_id": user})
        self.planted["moved_extension"] = [
            {
                "extension": extension,
                "moved_on": MOVED_ON.isoformat(),
                "from_user_id": self._giver,
                "to_user_id": self._taker,
                "calls": told,
            }
        ]
        return [entry["pbx_call_id"] for entry in told]

    def _overlapping_calls(self) -> list[Conversation]:
        user = self._head
        at = self._when_free(user, self._at(41, 12.5), 400)
        phone = self._phone(user, at)
        calls = [
            self._out(phone, at, self._new_number(), 240),
            self._out(phone, at + 90, self._new_number(), 200),
        ]
        self.planted["overlapping_calls"] = [
            {"extension": phone.extension, "user_id": user, "pbx_call_ids": calls}
        ]
        return calls

    def _extension_of_dismissed(self) -> list[Conversation]:
        found: list[Conversation] = []
        entries = []
        for user in self._dismissed:
            phone = self._phone(user, self._clock)
            calls = [
                self._out(phone, self._at(days, 15.4), self._new_number(), 65)
                for days in (90, 61, 33)
            ]
            entries.append({"extension": phone.extension, "user_id": user, "pbx_call_ids": calls})
            found += calls
        self.planted["extension_of_dismissed"] = entries
        return found

    def _unknown_dispositions(self) -> list[Conversation]:
        calls = []
        for number in range(3):
            call = self._out(self._phone(self._head, self._clock), self._at(50 - 4 * number, 18.1),
                             self._new_number(), 0, 12)  # fmt: skip
            calls.append(replace(call, legs=(replace(call.legs[0], disposition=UNKNOWN),)))
        self.planted["unknown_disposition"].append(
            {"disposition": UNKNOWN, "pbx_call_ids": calls, "is_known_to_crm": False}
        )
        return calls

    def _missed_cases(self) -> list[Conversation]:
        """Callers of their own who were missed: what became of each, by the clock of the portal."""
        user = self._head
        found: list[Conversation] = []
        entries: list[dict[str, Any]] = []

        def missed(at: int, number: int) -> Conversation:
            rung = [self._phone(one, at) for one in (user, *self._sharers)]
            return self._in([Leg(one, 0, 18, 0, NO_ANSWER) for one in rung], at, number)

        def case(
            state: str,
            reason: str,
            first: int,
            further: Iterable[int] = (),
            contact: Conversation | None = None,
            attempts: Iterable[Conversation] = (),
            number: int = 0,
        ) -> None:
            calls = [missed(first + seconds, number) for seconds in (0, *further)]
            entries.append(
                {
                    "state": state,
                    "reason": reason,
                    "phone": f"+{names.COUNTRY + number}",
                    "first_missed_at": dt.datetime.fromtimestamp(calls[0].at, dt.UTC).isoformat(),
                    "pbx_call_ids": calls,
                    "contact_call_id": contact,
                    "attempt_call_ids": list(attempts),
                }
            )
            found.extend([*calls, *([contact] if contact else []), *attempts])

        def back(after: int, first: int, number: int, talk: int) -> Conversation:
            begins = self._when_free(user, first + after, talk + 20)
            return self._out(self._phone(user, begins), begins, number, talk)

        first, number = self._at(30, 11.0), self._new_number()
        contact = back(2 * HOUR, first, number, 45)
        case("in_time", "called back", first, (300,), contact, number=number)

        first, number = self._at(29, 12.0), self._new_number()
        begins = self._when_free(user, first + 20 * HOUR, 60)
        contact = self._in([Leg(self._phone(user, begins), 0, 5, 30)], begins, number, "direct")
        case("in_time", "rang again and was answered", first, (), contact, number=number)

        first, number = self._at(28, 13.0), self._new_number()
        contact = back(30 * HOUR, first, number, 90)
        case("late", "called back after 30 hours", first, (3 * HOUR,), contact, number=number)

        first, number = self._at(27, 10.0), self._new_number()
        case("lost", "never called back", first, (DAY,), number=number)

        first, number = self._at(26, 10.0), self._new_number()
        tries = [back(HOUR, first, number, 0), back(5 * HOUR, first, number, 6)]
        case("lost", "called back too short", first, (), attempts=tries, number=number)

        first, number = self._clock - 3 * HOUR, self._new_number()
        case("pending", "today", first, (), number=number)

        first, number = self._clock - 23 * HOUR, self._new_number()
        tries = [back(HOUR, first, number, 0)]
        case("pending", "since yesterday", first, (), attempts=tries, number=number)
        self.planted["missed_cases"] = entries
        return found


def _crm_calls(store: PortalStore) -> list[CrmCall]:
    """The CRM's calls in the order of their beginning."""
    rows = store.query(
        "select ID, CALL_START_DATE, CALL_DURATION, PORTAL_USER_ID, CALL_TYPE, CALL_FAILED_CODE, "
        "PHONE_NUMBER, PORTAL_NUMBER, EXTERNAL_CALL_ID, CRM_ENTITY_ID from call "
        "order by CALL_START_DATE, ID"
    )
    return [
        CrmCall(
            call_id=row["ID"],
            start=row["CALL_START_DATE"] // 1_000_000,
            seconds=row["CALL_DURATION"] or 0,
            talker=row["PORTAL_USER_ID"],
            kind=row["CALL_TYPE"],
            is_answered=row["CALL_FAILED_CODE"] == _ANSWERED_CODE,
            code=row["CALL_FAILED_CODE"],
            number=int(row["PHONE_NUMBER"][-10:]) if row["PHONE_NUMBER"] else None,
            line=row["PORTAL_NUMBER"],
            registered_id=row["EXTERNAL_CALL_ID"],
            is_bound=row["CRM_ENTITY_ID"] is not None,
        )
        for row in rows
    ]


def _spelt(number: int | None, form: int, *, is_out: bool) -> str:
    """A national number as people dial it or trunks show it."""
    if number is None:
        return ""
    prefixes = ("8", "8", "8", "8", "8", "8", "+7", "+7", "7", "") if is_out else (
        "+7", "+7", "+7", "7", "7", "7", "8", "8", "8", "",
    )  # fmt: skip
    return f"{prefixes[form]}{number}"
