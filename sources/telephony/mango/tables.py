"""Mango Office's list of calls: its fields, and the raw table."""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

# In the order in which cells are asked for and come. `start` is the last of them so that an answer
# that is cut within its last cell is found out: half a Unix time lies far outside of the window.
FIELDS = (
    "records",
    "finish",
    "answer",
    "from_extension",
    "from_number",
    "to_extension",
    "to_number",
    "disconnect_reason",
    "line_number",
    "location",
    "create",
    "entry_id",
    "start",
)
ROW_KEY = (
    "entry_id",
    "create",
    "start",
    "from_extension",
    "from_number",
    "to_extension",
    "to_number",
)

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "mango_calls",
        "POST /vpbx/stats/request",
        (
            # An entry is a call, and has a row per leg.
            Column("row_key", "row_key", "text", is_required=True),
            Column("entry_id", "entry_id", "text", is_required=True),
            Column("records", "records", "json"),
            Column("create", "create", "seconds"),
            Column("start", "start", "seconds", is_required=True),
            # 0, and null in raw: nobody answered.
            Column("answer", "answer", "seconds"),
            Column("finish", "finish", "seconds"),
            Column("from_extension", "from_extension", "text"),
            Column("from_number", "from_number", "text"),
            Column("to_extension", "to_extension", "text"),
            Column("to_number", "to_number", "text"),
            Column("disconnect_reason", "disconnect_reason", "text"),
            Column("line_number", "line_number", "text"),
            Column("location", "location", "text"),
        ),
        primary_key=("source_key", "row_key"),
    ),
    started="start",
)

TABLES: tuple[PbxTable, ...] = (CALLS,)
