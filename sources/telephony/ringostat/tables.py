"""Ringostat's call log."""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "ringostat_calls",
        "GET /calls/list",
        (
            Column("uniqueid", "uniqueid", "text", is_required=True),
            Column("calldate", "calldate", "instant", is_required=True),
            Column("call_type", "call_type", "text"),
            Column("caller", "caller", "text"),
            Column("caller_number", "caller_number", "text"),
            Column("dst", "dst", "text"),
            Column("disposition", "disposition", "text"),
            Column("billsec", "billsec", "integer"),
            Column("duration", "duration", "integer"),
            Column("waittime", "waittime", "integer"),
            Column("employee_fio", "employee_fio", "text"),
            Column("employee_number", "employee_number", "text"),
            Column("department", "department", "text"),
            Column("additional_number", "additional_number", "text"),
            Column("scheme_name", "scheme_name", "text"),
            Column("has_recording", "has_recording", "flag"),
            Column("recording", "recording", "text"),
            Column("recording_wav", "recording_wav", "text"),
            Column("proper_flag", "proper_flag", "flag"),
            Column("repeated_flag", "repeated_flag", "flag"),
            Column("utm_source", "utm_source", "text"),
            Column("utm_medium", "utm_medium", "text"),
            Column("utm_campaign", "utm_campaign", "text"),
            Column("utm_content", "utm_content", "text"),
            Column("utm_term", "utm_term", "text"),
            Column("client_id", "client_id", "text"),
            Column("landing", "landing", "text"),
        ),
        primary_key=("source_key", "uniqueid"),
    ),
    started="calldate",
)

TABLES: tuple[PbxTable, ...] = (CALLS,)

NEEDED = ("uniqueid", "calldate", "call_type", "caller", "dst", "disposition", "billsec")
"""Without these fields a call log is of no use; of the others an old project may lack some."""
