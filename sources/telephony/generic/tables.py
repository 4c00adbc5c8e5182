"""The raw table of any telephony's calls, and how a row of theirs becomes one of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sources.company.rules import GenericColumns
from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable
from sources.telephony.records import moment, plain

_SECONDS = ("wait_seconds", "talk_seconds", "total_seconds")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        name="generic_calls",
        method="calls",
        columns=(
            Column("id", "id", "text", is_required=True),
            Column("started_at", "started_at", "instant", is_required=True),
            Column("link_id", "link_id", "text"),
            Column("direction", "direction", "text"),
            Column("result", "result", "text"),
            Column("client_phone", "client_phone", "text"),
            Column("line", "line", "text"),
            Column("extension", "extension", "text"),
            Column("talker_name", "talker_name", "text"),
            *(Column(name, name, "decimal") for name in _SECONDS),
            Column("recording_url", "recording_url", "text"),
        ),
    ),
    started="started_at",
)

_OURS = frozenset(column.name for column in CALLS.raw.columns)


@dataclass(frozen=True)
class CallMapping:
    """Which column of the company's table means what.

    Attributes:
        named: our column to theirs.
    """

    named: Mapping[str, str]

    @classmethod
    def of(cls, columns: GenericColumns) -> CallMapping:
        """The mapping of `company.toml`; `call_id` is the column `id` in raw."""
        given = columns.model_dump(exclude_none=True)
        return cls({"id": given.pop("call_id"), **given})

    def prepare(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with our columns by our names, the others by theirs.

        Theirs that bear a name of ours and mean something else end in `_`.
        """
        mapped = self.named.values()
        prepared = {
            f"{name}_" if name in _OURS else name: plain(value)
            for name, value in row.items()
            if name not in mapped
        }
        for ours_name, name in self.named.items():
            prepared[ours_name] = _stripped(plain(row.get(name)))
        prepared["id"] = None if prepared["id"] in (None, "") else str(prepared["id"])
        if at := moment(row.get(self.named["started_at"])):
            prepared["started_at"] = at.isoformat()
        for name in _SECONDS:
            if name in prepared:
                prepared[name] = _seconds(prepared[name])
        return prepared


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    """Seconds, also of `hh:mm:ss` and `mm:ss`; what is neither is left to be refused."""
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    hours, minutes, seconds = found.groups()
    return str(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)).removesuffix(".0")
