"""The lists of UIS: sessions of calls and their legs.

Fields as on the vendor's pages get_calls_report and get_call_legs_report (comagic.github.io); those
that are declared here are asked for by name, since some of them are not in the default answer.
"""

from __future__ import annotations

from sources.raw_tables import Column, RawTable
from sources.telephony.reading import PbxTable

CALLS = PbxTable(
    entity="calls",
    raw=RawTable(
        "uis_calls",
        "get.calls_report",
        (
            Column("id", "id", "integer", is_required=True),
            Column("start_time", "start_time", "instant", is_required=True),
            Column("finish_time", "finish_time", "instant"),
            Column("finish_reason", "finish_reason", "text"),
            Column("direction", "direction", "text"),
            Column("source", "source", "text"),
            Column("is_lost", "is_lost", "flag"),
            Column("is_transfer", "is_transfer", "flag"),
            Column("communication_id", "communication_id", "integer"),
            Column("contact_phone_number", "contact_phone_number", "text"),
            Column("contact_id", "contact_id", "integer"),
            Column("contact_full_name", "contact_full_name", "text"),
            Column("virtual_phone_number", "virtual_phone_number", "text"),
            Column("wait_duration", "wait_duration", "integer"),
            Column("total_wait_duration", "total_wait_duration", "integer"),
            Column("talk_duration", "talk_duration", "integer"),
            Column("clean_talk_duration", "clean_talk_duration", "integer"),
            Column("total_duration", "total_duration", "integer"),
            Column("lost_call_processing_duration", "lost_call_processing_duration", "integer"),
            Column("postprocess_duration", "postprocess_duration", "integer"),
            Column("call_records", "call_records", "json"),
            Column("voice_mail_records", "voice_mail_records", "json"),
            Column("employees", "employees", "json"),
            Column("first_answered_employee_id", "first_answered_employee_id", "integer"),
            Column("last_answered_employee_id", "last_answered_employee_id", "integer"),
            Column("scenario_id", "scenario_id", "integer"),
            Column("scenario_name", "scenario_name", "text"),
            Column("tags", "tags", "json"),
            Column("site_id", "site_id", "integer"),
            Column("campaign_id", "campaign_id", "integer"),
            Column("campaign_name", "campaign_name", "text"),
            Column("visitor_id", "visitor_id", "integer"),
            Column("utm_source", "utm_source", "text"),
            Column("utm_medium", "utm_medium", "text"),
            Column("utm_campaign", "utm_campaign", "text"),
            Column("utm_content", "utm_content", "text"),
            Column("utm_term", "utm_term", "text"),
            Column("call_api_external_id", "call_api_external_id", "text"),
            Column("ext_id", "ext_id", "text"),
        ),
    ),
    started="start_time",
)

CALL_LEGS = PbxTable(
    entity="call_legs",
    raw=RawTable(
        "uis_call_legs",
        "get.call_legs_report",
        (
            Column("id", "id", "integer", is_required=True),
            Column("call_session_id", "call_session_id", "integer", is_required=True),
            Column("start_time", "start_time", "instant", is_required=True),
            Column("connect_time", "connect_time", "instant"),
            Column("duration", "duration", "integer"),
            Column("total_duration", "total_duration", "integer"),
            Column("finish_reason", "finish_reason", "text"),
            Column("finish_reason_description", "finish_reason_description", "text"),
            Column("direction", "direction", "text"),
            Column("virtual_phone_number", "virtual_phone_number", "text"),
            Column("calling_phone_number", "calling_phone_number", "text"),
            Column("called_phone_number", "called_phone_number", "text"),
            Column("contact_phone_number", "contact_phone_number", "text"),
            Column("contact_id", "contact_id", "integer"),
            Column("employee_id", "employee_id", "integer"),
            Column("employee_full_name", "employee_full_name", "text"),
            Column("employee_phone_number", "employee_phone_number", "text"),
            Column("is_operator", "is_operator", "flag"),
            Column("is_transfered", "is_transfered", "flag"),
            Column("is_coach", "is_coach", "flag"),
            Column("is_failed", "is_failed", "flag"),
            Column("is_talked", "is_talked", "flag"),
            Column("call_records", "call_records", "json"),
            Column("scenario_id", "scenario_id", "integer"),
            Column("scenario_name", "scenario_name", "text"),
            Column("group_id", "group_id", "integer"),
            Column("group_name", "group_name", "text"),
        ),
    ),
    started="start_time",
)

TABLES: tuple[PbxTable, ...] = (CALLS, CALL_LEGS)
