"""Readers of telephony providers in front of their stand-ins, and what they should bring."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sources.company.rules import PbxSection
from sources.credentials import SecretsOf
from sources.demo.telephony.calls import CallRecord, Leg
from sources.demo.telephony.stand_in import PbxStandIn
from sources.parsing import parse_rows
from sources.telephony.providers import open_reader
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable
from sources.telephony.windows import slices

# Those that print local times without an offset.
NAIVE = ("ringostat", "uis", "zadarma")


@dataclass(frozen=True)
class GivenSecrets(SecretsOf):
    """Secrets that a test names."""

    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.values.get(name, "")


def access_to(
    system: str, secrets: Mapping[str, str], zone: dt.tzinfo = dt.UTC, connection: str = "main"
) -> PbxAccess:
    given = GivenSecrets(system, "shop", connection, secrets)
    return PbxAccess(connection, PbxSection(), zone, given, Path())


def reader_of(
    system: str, stand_in: PbxStandIn, address: str, changed: Mapping[str, str] | None = None
) -> PbxReader:
    secrets = {**stand_in.keys, "base_url": address, **(changed or {})}
    return open_reader(system, access_to(system, secrets, stand_in.zone))


def rows_of(
    reader: PbxReader,
    table: PbxTable,
    start: dt.datetime,
    end: dt.datetime,
    days: int | None = None,
) -> list[dict[str, Any]]:
    """Raw rows of a window, read in slices; fails on one that would go to the quarantine."""
    found = []
    for first, last in slices(start, end, days or reader.slice_days):
        for answer in reader.read(table, first, last):
            parsed, refused = parse_rows(table.raw, answer.rows, "x:y", answer.received_at)
            assert refused == []
            found += parsed.to_pylist()
    return found


def keys_of(table: PbxTable, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    (key,) = table.raw.primary_key[1:]
    return [row[key] for row in rows]


# By raw table, what each call should become: its id and beginning, once per row. In the words of
# the providers' documentation, not of the stand-ins.
Made = list[tuple[str, dt.datetime]]


def _by_call(identity: Callable[[CallRecord], str]) -> Callable[[CallRecord], Made]:
    return lambda call: [(identity(call), call.started_at)]


def _by_leg(identity: Callable[[CallRecord, Leg], str]) -> Callable[[CallRecord], Made]:
    return lambda call: [(identity(call, leg), leg.started_at) for leg in call.legs]


def _digest(call: CallRecord) -> str:
    digest = hashlib.sha1(str(call.number).encode()).hexdigest()
    return f"{call.direction}_{digest}"


EXPECTED: Mapping[str, tuple[str, str, Callable[[CallRecord], Made]]] = {
    "binotel_calls": (
        "general_call_id",
        "start_time",
        _by_call(lambda call: str(800_000 + call.number)),
    ),
    "mango_calls": (
        "entry_id",
        "start",
        _by_leg(lambda call, _: base64.b64encode(f"1:10000:{call.number}".encode()).decode()),
    ),
    "megafon_calls": ("uid", "start", _by_call(lambda call: f"uid{call.number}")),
    "ringostat_calls": (
        "uniqueid",
        "calldate",
        _by_call(lambda call: f"ua1-{call.number}.{call.number % 7}"),
    ),
    "uis_calls": ("id", "start_time", _by_call(lambda call: str(7_000_000 + call.number))),
    "uis_call_legs": (
        "call_session_id",
        "start_time",
        _by_leg(lambda call, _: str(7_000_000 + call.number)),
    ),
    "zadarma_calls": ("pbx_call_id", "callstart", _by_leg(lambda call, _: _digest(call))),
}


def expected(table: str, calls: Iterable[CallRecord]) -> list[tuple[str, dt.datetime]]:
    """The rows that calls should become, sorted."""
    _, _, made = EXPECTED[table]
    return sorted(row for call in calls for row in made(call))


def received(table: str, rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, dt.datetime]]:
    """The same of raw rows, each key once."""
    identity, began, _ = EXPECTED[table]
    return sorted((str(row[identity]), row[began]) for row in rows)


def once(table: PbxTable, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose key came before, as at the edge of a window, left out."""
    return list(dict(zip(keys_of(table, rows), rows, strict=True)).values())
