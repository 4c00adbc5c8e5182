"""The exchange's records as calls, and which of them the CRM has too (SPEC §2 "Calls").

From docs/definitions.md, "Calls of the telephony", for one FreePBX tied to one portal; one record
after the other, one pair after the other.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import sqlite3
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from tests.reference.phones import e164
from tests.reference.records import CallRow
from tests.reference.rules import SECOND

Direction = Literal["inbound", "outbound", "internal"]

INTERNAL_DIGITS = 5
WINDOW_SECONDS = 90
DAY_SECONDS = 86_400
_KNOWN_WORDS = {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"}
_PEER = re.compile(r"/([0-9]+)[-@]")
_DIRECTIONS: Mapping[int, Direction] = {
    1: "outbound", 2: "inbound", 3: "inbound", 4: "outbound",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A leg: one call detail record; the time in whole seconds since 1970."""

    linked_id: str
    unique_id: str
    sequence: int
    start: int
    src: str
    dst: str
    channel: str
    dst_channel: str
    application: str
    duration: int
    billsec: int
    disposition: str
    did: str

    @property
    def direction(self) -> Direction:
        if self.did:
            return "inbound"
        if _is_outside(self.dst) and (_peer(self.channel) or not _is_outside(self.src)):
            return "outbound"
        return "inbound" if _is_outside(self.src) else "internal"

    @property
    def is_mailbox(self) -> bool:
        return self.application.lower().startswith("voicemail")

    @property
    def is_answered(self) -> bool:
        """Whether a person took it: a queue that answers is none, nor is a mailbox."""
        return self.disposition == "ANSWERED" and bool(self.dst_channel) and not self.is_mailbox

    @property
    def extension(self) -> str:
        """Of the employee in it: who is rung, or who calls."""
        if self.direction == "inbound":
            return _peer(self.dst_channel)
        return _peer(self.channel)

    @property
    def client(self) -> str:
        return {"inbound": self.src, "outbound": self.dst, "internal": ""}[self.direction]


@dataclass(frozen=True)
class Holding:
    """Whose an extension is, in days of the exchange: from the first, before the second."""

    extension: str
    employee_id: int
    from_on: dt.date | None
    until_on: dt.date | None


@dataclass(frozen=True)
class PbxCall:
    """One conversation."""

    call_id: str
    ids: frozenset[str]
    """By which the CRM may know it: its own and those of its legs."""
    start: int
    direction: Direction
    is_answered: bool
    is_known: bool
    """Whether the word for its result is known."""
    talk_seconds: int
    phone_number: str
    extension: str
    """Of the employee who spoke; empty where nobody can be named."""
    record_count: int


def read_cdr(path: Path, zone: str) -> list[Record]:
    """The table `cdr` of a SQLite file.

    Args:
        path: of the file.
        zone: of its local times.
    """
    of_zone = ZoneInfo(zone)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "select linkedid, uniqueid, sequence, calldate, src, dst, channel, dstchannel, "
            "lastapp, duration, billsec, disposition, did from cdr"
        ).fetchall()
    return [
        Record(
            *row[:3],
            int(dt.datetime.fromisoformat(row[3]).replace(tzinfo=of_zone).timestamp()),
            *row[4:],
        )
        for row in rows
    ]


def read_holdings(path: Path) -> list[Holding]:
    """A company's `extensions.csv`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Holding(
                row["extension"],
                int(row["employee_id"]),
                _day(row["from_on"]),
                _day(row["until_on"]),
            )
            for row in csv.DictReader(file)
        ]


def pbx_calls(records: Iterable[Record]) -> list[PbxCall]:
    """The conversations of the records, by their id."""
    of_call: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_call[record.linked_id].append(record)
    return [_call(call_id, legs) for call_id, legs in sorted(of_call.items())]


def _call(call_id: str, legs: list[Record]) -> PbxCall:
    legs.sort(key=lambda leg: (leg.start, leg.sequence))
    outside = [leg for leg in legs if leg.direction != "internal"]
    own = outside or legs
    answered = [leg for leg in own if leg.is_answered]
    talk = sum(leg.billsec for leg in answered)
    extension = ""
    if answered:
        first_answer = min(leg.start + leg.duration - leg.billsec for leg in answered)
        end = max(leg.start + leg.duration for leg in legs)
        talk = min(talk, end - first_answer)
        extension = max(answered, key=lambda leg: leg.billsec).extension
    elif own[0].direction != "inbound":
        extension = own[0].extension
    else:
        rung = {leg.extension for leg in own if leg.extension}
        extension = rung.pop() if len(rung) == 1 else ""
    is_mailbox = any(leg.is_mailbox for leg in own)
    return PbxCall(
        call_id=call_id,
        ids=frozenset({call_id, *(leg.unique_id for leg in legs)}),
        start=legs[0].start,
        direction=own[0].direction,
        is_answered=bool(answered),
        is_known=bool(answered) or is_mailbox or own[-1].disposition in _KNOWN_WORDS,
        talk_seconds=talk,
        phone_number=next((leg.client for leg in own if leg.client), ""),
        extension=extension,
        record_count=len(legs),
    )


def talker_of(
    call: PbxCall, holdings: Sequence[Holding], of_crm: Mapping[str, Sequence[int]], zone: str
) -> int | None:
    """Whoever held the extension on the day of the call; of several nobody.

    Args:
        call: of the exchange.
        holdings: by the company's file, which alone decides on the extensions that it names.
        of_crm: users of the CRM by extension.
        zone: of the exchange, in which the days of the file are.
    """
    named = [one for one in holdings if one.extension == call.extension]
    if not named:
        users = of_crm.get(call.extension, ())
    else:
        day = dt.datetime.fromtimestamp(call.start, ZoneInfo(zone)).date()
        users = [
            one.employee_id
            for one in named
            if (one.from_on is None or one.from_on <= day)
            and (one.until_on is None or day < one.until_on)
        ]
    return users[0] if len(users) == 1 else None


@dataclass(frozen=True)
class Pair:
    """One call in both."""

    crm_id: int
    pbx_id: str
    basis: Literal["id", "phone"]


def pairs(calls: Sequence[Sequence[CallRow]], exchange: Iterable[PbxCall]) -> list[Pair]:
    """Which calls of the CRM (their rows; the first stands for them) the exchange has too."""
    found = _pairs_by_id(calls, list(exchange := list(exchange)))
    of_crm = {pair.crm_id for pair in found}
    of_pbx = {pair.pbx_id for pair in found}
    rest = [rows[0] for rows in calls if rows[0].id not in of_crm]
    return found + _pairs_by_phone(rest, [call for call in exchange if call.call_id not in of_pbx])


def _pairs_by_id(calls: Sequence[Sequence[CallRow]], exchange: Sequence[PbxCall]) -> list[Pair]:
    known = {name: call for call in exchange for name in call.ids}
    nearest_of_pbx: dict[str, tuple[int, int]] = {}
    nearest_of_crm: dict[int, tuple[int, str]] = {}
    for rows in calls:
        names = {name for row in rows for name in (row.call_id, row.external_call_id) if name}
        for call in {known[name].call_id: known[name] for name in names & known.keys()}.values():
            apart = abs(call.start - rows[0].call_start_date // SECOND)
            if apart > DAY_SECONDS:
                continue
            of_pbx, of_crm = (apart, rows[0].id), (apart, call.call_id)
            nearest_of_pbx[call.call_id] = min(of_pbx, nearest_of_pbx.get(call.call_id, of_pbx))
            nearest_of_crm[rows[0].id] = min(of_crm, nearest_of_crm.get(rows[0].id, of_crm))
    return [
        Pair(crm_id, pbx_id, "id")
        for crm_id, (_, pbx_id) in nearest_of_crm.items()
        if nearest_of_pbx[pbx_id][1] == crm_id
    ]


def _pairs_by_phone(calls: Iterable[CallRow], exchange: Iterable[PbxCall]) -> list[Pair]:
    groups: dict[tuple[str, Direction], list[PbxCall]] = defaultdict(list)
    for call in sorted(exchange, key=lambda call: call.start):
        number = e164(call.phone_number, "RU")
        if number is not None and call.direction != "internal":
            groups[number, call.direction].append(call)
    candidates = []
    for row in calls:
        direction = _DIRECTIONS.get(row.call_type)
        number = e164(row.phone_number or "", "RU")
        if direction is None or number is None:
            continue
        group, start = groups.get((number, direction), []), row.call_start_date // SECOND
        first = bisect_left(group, start - WINDOW_SECONDS, key=lambda call: call.start)
        last = bisect_right(group, start + WINDOW_SECONDS, key=lambda call: call.start)
        for call in group[first:last]:
            apart = call.start - start
            candidates.append((abs(apart), apart < 0, start, row.id, call.call_id))
    found: list[Pair] = []
    taken: set[int | str] = set()
    for *_, crm_id, pbx_id in sorted(candidates):
        if not taken & {crm_id, pbx_id}:
            taken |= {crm_id, pbx_id}
            found.append(Pair(crm_id, pbx_id, "phone"))
    return found


def _is_outside(number: str) -> bool:
    return sum(character.isdigit() for character in number) > INTERNAL_DIGITS


def _peer(channel: str) -> str:
    """The extension behind a channel; a trunk has none."""
    found = _PEER.search(channel)
    return found.group(1) if found and len(found.group(1)) <= INTERNAL_DIGITS else ""


def _day(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
