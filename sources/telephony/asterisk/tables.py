"""The raw table of call detail records, and the key that every record gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sources.raw_tables import Column, Kind, RawTable
from sources.telephony.reading import PbxTable
from sources.telephony.records import plain

UNREADABLE_LINE = "unreadable_line"
"""The field of a line of `Master.csv` that is no record."""
_KEY_WITHOUT_SEQUENCE = ("uniqueid", "calldate", "channel", "dstchannel", "dst")


def _same(name: str, kind: Kind = "text", *, is_required: bool = False) -> Column:
    return Column(name, name, kind, is_required)


CDR = PbxTable(
    entity="cdr",
    raw=RawTable(
        name="asterisk_cdr",
        method="cdr",
        columns=(
            _same("row_key", is_required=True),
            # Older Asterisks lack the first three or leave them empty.
            _same("uniqueid"),
            _same("linkedid"),
            _same("sequence", "integer"),
            _same("calldate", "instant", is_required=True),
            _same("clid"),
            _same("src"),
            _same("dst"),
            _same("dcontext"),
            _same("channel"),
            _same("dstchannel"),
            _same("lastapp"),
            _same("lastdata"),
            # With `hrtime` Asterisk writes fractions of seconds.
            _same("duration", "decimal"),
            _same("billsec", "decimal"),
            _same("disposition"),
            # A number in databases, a word in Master.csv.
            _same("amaflags"),
            _same("accountcode"),
            _same("userfield"),
            _same("peeraccount"),
            _same("did"),
            _same("cnum"),
            _same("cnam"),
            _same("outbound_cnum"),
            _same("outbound_cnam"),
            _same("dst_cnam"),
            _same("recordingfile"),
        ),
        primary_key=("source_key", "row_key"),
    ),
    started="calldate",
)


def prepare(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record with `calldate` and `row_key`; its other fields as they are, in lower case.

    The legs of one call may share `uniqueid`: `sequence` tells them apart, and in tables without
    it the beginning, both channels and the number dialled.
    """
    prepared = {name.lower(): plain(value) for name, value in row.items()}
    if "calldate" not in prepared and "start" in prepared:
        # Its name in Asterisk itself; databases call it calldate by custom.
        prepared["calldate"] = prepared.pop("start")
    prepared["row_key"] = prepared.get(UNREADABLE_LINE) or _row_key(prepared)
    return prepared


def _row_key(row: Mapping[str, Any]) -> str:
    unique_id, sequence = row.get("uniqueid"), row.get("sequence")
    if unique_id and sequence not in (None, ""):
        return f"{unique_id}/{sequence}"
    parts = [row.get(name) for name in _KEY_WITHOUT_SEQUENCE]
    if not unique_id:
        parts = parts[1:]
    return "/".join("" if part is None else str(part) for part in parts)
