"""MegaFon's list of calls: its cells, and the raw table."""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

FIELDS = ("uid", "type", "client", "account", "via", "start", "wait", "duration", "record")
# What the uid names is not said: of two rows with one uid neither may be lost.
ROW_KEY = ("uid", "start", "account")

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "megafon_calls",
        "cmd=history",
        (
            Column("row_key", "row_key", "text", is_required=True),
            Column("uid", "uid", "text", is_required=True),
            Column("type", "type", "text"),
            Column("client", "client", "text"),
            Column("account", "account", "text"),
            Column("via", "via", "text"),
            Column("start", "start", "instant", is_required=True),
            Column("wait", "wait", "integer"),
            Column("duration", "duration", "integer"),
            Column("record", "record", "text"),
        ),
        primary_key=("source_key", "row_key"),
    ),
    started="start",
)

TABLES: tuple[PbxTable, ...] = (CALLS,)
