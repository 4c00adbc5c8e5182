"""A FreePBX's call records: its table, and conversations printed the way it prints them.

A record is written for every telephone that was rung and for what answers in a person's place;
records of one conversation share `linkedid`. Facts: Asterisk's `cdr.conf` and `cdr_adaptive_odbc`,
the table `asteriskcdrdb.cdr` as FreePBX makes it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

COLUMNS: Mapping[str, str] = {
    "calldate": "datetime not null",
    **dict.fromkeys(
        ("clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata"),
        "varchar(80) not null default ''",
    ),
    "duration": "int not null default 0",
    "billsec": "int not null default 0",
    "disposition": "varchar(45) not null default ''",
    "amaflags": "int not null default 0",
    "accountcode": "varchar(20) not null default ''",
    "uniqueid": "varchar(32) not null default ''",
    "userfield": "varchar(255) not null default ''",
    "did": "varchar(50) not null default ''",
    "recordingfile": "varchar(255) not null default ''",
    **dict.fromkeys(
        ("cnum", "cnam", "outbound_cnum", "outbound_cnam", "dst_cnam"),
        "varchar(80) not null default ''",
    ),
    "linkedid": "varchar(32) not null default ''",
    "peeraccount": "varchar(80) not null default ''",
    "sequence": "int not null default 0",
}
"""The table's columns as FreePBX makes them."""

ANSWERED, NO_ANSWER, BUSY, FAILED = "ANSWERED", "NO ANSWER", "BUSY", "FAILED"
UNKNOWN = "UNKNOWN"
"""What Asterisk prints of a state that its own list of dispositions lacks."""

Path_ = Literal["direct", "group", "queue"]
_DOCUMENTATION = 3
"""`amaflags` of every record that nobody has set otherwise."""
_GROUP, _QUEUE = "600", "700"
_TRUNK = "trunk-sip"


@dataclass(frozen=True)
class Phone:
    """An extension and the name that the PBX shows for it."""

    extension: str
    name: str = ""


@dataclass(frozen=True)
class Leg:
    """One telephone that was rung, or a machine that answered.

    Attributes:
        phone: the telephone; None: the queue or the mailbox itself.
        after: seconds since the conversation began.
        ring: seconds until the answer, or until it stopped.
        talk: seconds after the answer.
        disposition: as the record says it.
        from_phone: the colleague who rings it about the caller; None: the caller does.
        is_mailbox: whether a mailbox takes the call.
        is_transfer: whether it was handed over by whom it was answered before.
    """

    phone: Phone | None
    after: int = 0
    ring: int = 0
    talk: int = 0
    disposition: str = ANSWERED
    from_phone: Phone | None = None
    is_mailbox: bool = False
    is_transfer: bool = False


@dataclass(frozen=True)
class Conversation:
    """One call with all its legs.

    Attributes:
        at: when it began, by the PBX's clock; whole seconds since 1970.
        direction: as the company sees it.
        number: the outside's, as the trunk or the person who dials writes it; of internal calls
            what was dialled.
        legs: at least one; an outbound call has one, without a telephone.
        line: the company's number.
        caller: who calls, of outbound and internal calls.
        path: how an inbound call reaches telephones.
        is_masked: whether an outbound record shows the company's number as its source.
        call_id: the id that the CRM was told; None: the PBX's next.
    """

    at: int
    direction: Literal["in", "out", "internal"]
    number: str
    legs: tuple[Leg, ...]
    line: str = ""
    caller: Phone | None = None
    path: Path_ = "direct"
    is_masked: bool = False
    call_id: str | None = None

    @property
    def ends_at(self) -> int:
        """When its last leg is over."""
        return self.at + max(leg.after + leg.ring + leg.talk for leg in self.legs)

    @property
    def is_answered(self) -> bool:
        """Whether a person took it."""
        return any(
            leg.disposition == ANSWERED
            and not leg.is_mailbox
            and (self.direction != "in" or (leg.phone is not None and leg.from_phone is None))
            for leg in self.legs
        )


class Printer:
    """Prints conversations as records, in the order in which they begin.

    Args:
        zone: of the PBX, in which it prints local times.
        company: the name that it shows outside.
        first_channel: where its counter of channels stands.
    """

    def __init__(self, zone: dt.tzinfo, company: str, first_channel: int = 1) -> None:
        self._zone = zone
        self._company = company
        self._channel = first_channel
        self._sequence = 0

    def records(self, call: Conversation) -> tuple[str, list[dict[str, Any]]]:
        """The conversation's `linkedid` and its records."""
        call_id = call.call_id or self._unique_id(call.at)
        if call.direction == "in":
            records = list(self._inbound(call, call_id))
        else:
            records = [self._dialled(call, leg, call_id) for leg in call.legs]
        return call_id, [{"linkedid": call_id, **record} for record in records]

    def _dialled(self, call: Conversation, leg: Leg, unique_id: str) -> dict[str, Any]:
        caller = call.caller
        assert caller is not None
        is_out = call.direction == "out"
        called = self._trunk() if is_out else self._peer(leg.phone)
        record = self._record(call, leg, unique_id) | {
            "clid": f'"{caller.name}" <{caller.extension}>',
            "src": call.line if call.is_masked else caller.extension,
            "dst": call.number,
            "dcontext": "from-internal",
            "channel": self._peer(caller),
            "dstchannel": called,
            "cnum": caller.extension,
            "cnam": caller.name,
        }
        if leg.is_mailbox:
            # *97: somebody listens to their mailbox.
            return record | {"lastapp": "VoiceMailMain", "lastdata": caller.extension}
        if not is_out:
            assert leg.phone is not None
            return record | {
                "dcontext": "ext-local",
                "lastapp": "Dial",
                "lastdata": f"PJSIP/{leg.phone.extension},,HhTtr",
                "dst_cnam": leg.phone.name,
            }
        file = f"out-{call.number}-{caller.extension}-{self._stamp(call.at)}-{unique_id}.wav"
        return record | {
            "lastapp": "Dial",
            "lastdata": f"PJSIP/{call.number}@{_TRUNK},300,Tb(func-apply-sipheaders^s^1)",
            "outbound_cnum": call.line,
            "outbound_cnam": self._company,
            "recordingfile": file if leg.talk else "",
        }

    def _inbound(self, call: Conversation, call_id: str) -> Iterator[dict[str, Any]]:
        trunk = self._trunk()
        name = "Anonymous" if not call.number else call.number
        for number, leg in enumerate(call.legs):
            if leg.from_phone is not None:
                # The colleague is asked first, on a line of its own.
                yield self._asked(call, leg)
                continue
            unique_id = self._unique_id(call.at + leg.after) if leg.is_transfer else call_id
            record = self._record(call, leg, unique_id) | {
                "clid": f'"{name}" <{call.number or "anonymous"}>',
                "src": call.number,
                "channel": trunk,
                "did": call.line,
                "cnum": call.number,
                "cnam": name,
            }
            if leg.is_transfer:
                yield record | self._rings(leg, "from-internal-xfer")
            elif leg.is_mailbox:
                owner = call.legs[max(number - 1, 0)].phone
                box = owner.extension if owner else _GROUP
                yield record | {
                    "dst": f"vmu{box}",
                    "dcontext": "ext-local",
                    "lastapp": "VoiceMail",
                    "lastdata": f"{box}@default,u",
                }
            elif leg.phone is None:
                yield record | self._in_queue("")
            elif call.path == "queue":
                local = f"Local/{leg.phone.extension}@from-queue-{self._next():08x}"
                yield record | self._in_queue(f"{local};1")
                yield self._record(call, leg, self._unique_id(call.at)) | {
                    **{key: record[key] for key in ("clid", "src", "did", "cnum", "cnam")},
                    **self._rings(leg, "ext-local"),
                    "channel": f"{local};2",
                }
            elif call.path == "group":
                yield record | self._rings(leg, "ext-group") | {"dst": _GROUP}
            else:
                yield record | self._rings(leg, "from-did-direct")

    def _asked(self, call: Conversation, leg: Leg) -> dict[str, Any]:
        asking = leg.from_phone
        assert asking is not None
        assert leg.phone is not None
        return self._record(call, leg, self._unique_id(call.at + leg.after)) | {
            "clid": f'"{asking.name}" <{asking.extension}>',
            "src": asking.extension,
            "channel": self._peer(asking),
            "cnum": asking.extension,
            "cnam": asking.name,
            **self._rings(leg, "from-internal"),
            "recordingfile": "",
        }

    def _rings(self, leg: Leg, context: str) -> dict[str, Any]:
        assert leg.phone is not None
        extension = leg.phone.extension
        return {
            "dst": extension,
            "dcontext": context,
            "dstchannel": self._peer(leg.phone),
            "lastapp": "Dial",
            "lastdata": f"PJSIP/{extension},20,HhTtrM(auto-blkvm)",
            "dst_cnam": leg.phone.name,
        }

    def _in_queue(self, dstchannel: str) -> dict[str, Any]:
        return {
            "dst": _QUEUE,
            "dcontext": "ext-queues",
            "dstchannel": dstchannel,
            "lastapp": "Queue",
            "lastdata": f"{_QUEUE},t,,,60,,,,,",
        }

    def _record(self, call: Conversation, leg: Leg, unique_id: str) -> dict[str, Any]:
        began = call.at + leg.after
        is_recorded = call.direction == "in" and leg.disposition == ANSWERED and leg.talk > 0
        file = f"in-{call.line}-{call.number}-{self._stamp(began)}-{unique_id}.wav"
        self._sequence += 1
        return {
            "calldate": f"{dt.datetime.fromtimestamp(began, self._zone):%Y-%m-%d %H:%M:%S}",
            "duration": leg.ring + leg.talk,
            "billsec": leg.talk if leg.disposition == ANSWERED else 0,
            "disposition": leg.disposition,
            "amaflags": _DOCUMENTATION,
            "uniqueid": unique_id,
            "recordingfile": file if is_recorded else "",
            "sequence": self._sequence,
        }

    def _unique_id(self, at: int) -> str:
        return f"{at}.{self._next()}"

    def _peer(self, phone: Phone | None) -> str:
        return f"PJSIP/{phone.extension}-{self._next():08x}" if phone else ""

    def _trunk(self) -> str:
        return f"PJSIP/{_TRUNK}-{self._next():08x}"

    def _next(self) -> int:
        self._channel += 1
        return self._channel

    def _stamp(self, at: int) -> str:
        return f"{dt.datetime.fromtimestamp(at, self._zone):%Y%m%d-%H%M%S}"


def write_table(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write the records into table `cdr` of a new SQLite file.

    Raises:
        FileExistsError: there is a file at the path.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: remove it or give another path")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    marks = ", ".join("?" * len(COLUMNS))
    empty = {name: 0 if kind.startswith("int") else "" for name, kind in COLUMNS.items()}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"create table cdr ({columns})")
        connection.executemany(
            f"insert into cdr values ({marks})",
            (tuple({**empty, **record}.values()) for record in records),
        )
        connection.execute("create index calldate_of_cdr on cdr (calldate)")
        connection.commit()
