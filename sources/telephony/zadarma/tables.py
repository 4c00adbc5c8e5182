"""Zadarma's statistics of the PBX: a row per leg."""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

# A call_id names a recording, a pbx_call_id a call: neither names a leg.
ROW_KEY = ("pbx_call_id", "call_id", "callstart", "sip", "destination")

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "zadarma_calls",
        "GET /v1/statistics/pbx/",
        (
            Column("row_key", "row_key", "text", is_required=True),
            Column("pbx_call_id", "pbx_call_id", "text"),
            Column("call_id", "call_id", "text"),
            Column("sip", "sip", "text"),
            Column("callstart", "callstart", "instant", is_required=True),
            Column("clid", "clid", "text"),
            Column("destination", "destination", "text"),
            Column("disposition", "disposition", "text"),
            Column("seconds", "seconds", "integer"),
            Column("is_recorded", "is_recorded", "flag"),
        ),
        primary_key=("source_key", "row_key"),
    ),
    started="callstart",
)

TABLES: tuple[PbxTable, ...] = (CALLS,)
