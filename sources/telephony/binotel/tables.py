"""Binotel's lists of calls, incoming and outgoing in one raw table."""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "binotel_calls",
        "POST /api/4.0/stats/incoming-calls-for-period.json",
        (
            Column("general_call_id", "generalCallID", "text", is_required=True),
            Column("call_id", "callID", "text"),
            Column("call_type", "callType", "integer"),
            Column("start_time", "startTime", "seconds", is_required=True),
            Column("internal_number", "internalNumber", "text"),
            Column("external_number", "externalNumber", "text"),
            Column("waitsec", "waitsec", "integer"),
            Column("billsec", "billsec", "integer"),
            Column("disposition", "disposition", "text"),
            Column("is_new_call", "isNewCall", "flag"),
            Column("pbx_number_data", "pbxNumberData", "json"),
            Column("employee_data", "employeeData", "json"),
            Column("customer_data", "customerData", "json"),
            Column("history_data", "historyData", "json"),
            Column("call_tracking_data", "callTrackingData", "json"),
        ),
        primary_key=("source_key", "general_call_id"),
    ),
    started="startTime",
)

TABLES: tuple[PbxTable, ...] = (CALLS,)
