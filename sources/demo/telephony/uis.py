"""UIS: JSON-RPC at one address; sessions of calls, and their legs.

After the vendor's pages (comagic.github.io/data_api): what can be asked for and sorted by, errors,
limits.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from sources.demo.telephony.calls import CallRecord, Leg
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document

_SORTED_BY = {"start_time", "finish_reason", "direction", "source", "is_lost"}
# Fields of the vendor's pages beside those that the calls have values for.
_MORE_OF_CALLS = frozenset(
    [
        "source",
        "is_transfer",
        "communication_number",
        "communication_type",
        "contact_id",
        "contact_full_name",
        "lost_call_processing_duration",
        "postprocess_duration",
        "wav_call_records",
        "full_record_file_link",
        "voice_mail_records",
        "sale_date",
        "sale_cost",
        "search_query",
        "search_engine",
        "referrer",
        "referrer_domain",
        "entrance_page",
        "channel",
        "site_id",
        "site_domain_name",
        "campaign_id",
        "campaign_name",
        "visitor_id",
        "person_id",
        "visitor_type",
        "visitor_session_id",
        "visits_count",
        "scenario_id",
        "scenario_name",
        "call_api_external_id",
        "call_api_request_id",
        "utm_source",
        "utm_medium",
        "utm_term",
        "utm_content",
        "utm_campaign",
        "attributes",
        "tags",
        "segments",
        "source_id",
        "source_name",
        "ext_id",
        "properties",
        "last_answered_employee_full_name",
        "first_answered_employee_full_name",
        "cpn_region_id",
        "cpn_region_name",
    ]
)
_MORE_OF_LEGS = frozenset(
    [
        "wav_call_records",
        "finish_reason_description",
        "employee_rating",
        "scenario_id",
        "scenario_name",
        "release_cause_code",
        "release_cause_description",
        "contact_id",
        "contact_full_name",
        "action_id",
        "action_name",
        "group_id",
        "group_name",
        "is_coach",
        "is_transfered",
    ]
)
_REASONS = {
    "answered": "operator_disconnects",
    "missed": "operator_not_responsible",
    "busy": "subscriber_busy",
    "cancelled": "subscriber_disconnects",
    "failed": "no_success_subscriber_call",
}


@dataclass
class UisStandIn(PbxStandIn):
    """An account of UIS.

    Attributes:
        most_rows: of one page.
        last_offset: pages begin here at the latest.
    """

    keys: ClassVar[Mapping[str, str]] = {"access_token": "uis-token-5512"}
    most_rows: int = 10_000
    last_offset: int = 100_000

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """One address for all methods."""
        return {"/v2.0": ("POST", self._rpc)}

    def limited(self) -> Response:
        """Points of the minute are used up."""
        return self._error(
            -32029,
            "limit_exceeded",
            "Limit per minute has been exceeded. Value of current limit per minute is 30",
            {"limits": {**self._limits(), "minute_remaining": 0, "minute_reset": 1}},
        )

    async def _rpc(self, request: Request) -> Response:
        body = json.loads(await request.body())
        params = body["params"]

        async def answer() -> Response:
            if params.get("access_token") != self.keys["access_token"]:
                return self._error(-32001, "access_token_invalid", "Access token is invalid")
            rows = {"get.calls_report": self._calls, "get.call_legs_report": self._legs}
            if body["method"] not in rows:
                return self._error(-32601, "method_not_found", "The method does not exist")
            known = {
                "get.calls_report": {*_call_row(self, _SAMPLE), *_MORE_OF_CALLS},
                "get.call_legs_report": {*_leg_row(self, _SAMPLE, 0), *_MORE_OF_LEGS},
            }[body["method"]]
            if problem := self._problem(params, known):
                return problem
            found = [
                row
                for row in rows[body["method"]]()
                # Times have no zone in its database: what counts is how they are written.
                if params["date_from"] <= row["began"] <= params["date_till"]
            ]
            offset, limit = int(params.get("offset", 0)), int(params.get("limit", 1000))
            page = found[offset : offset + min(limit, self.most_rows)]
            fields = params.get("fields") or list(known)
            return document(
                {
                    "jsonrpc": "2.0",
                    "id": body["id"],
                    "result": {
                        "data": [{name: row.get(name) for name in fields} for row in page],
                        "metadata": {"limits": self._limits(), "total_items": len(found)},
                    },
                }
            )

        return await self.answered(str(body["method"]), params, answer)

    def _problem(self, params: Mapping[str, Any], known: set[str]) -> Response | None:
        unknown = [name for name in params.get("fields", []) if name not in known]
        if unknown:
            return self._error(-32602, "unexpected_parameters", f"Unexpected: {unknown}")
        if any(order["field"] not in _SORTED_BY for order in params.get("sort", [])):
            return self._error(-32602, "sort_prohibited", "Sort by parameter is prohibited")
        first, last = (
            dt.datetime.strptime(params[name], "%Y-%m-%d %H:%M:%S")
            for name in ("date_from", "date_till")
        )
        if last - first > dt.timedelta(days=92):
            message = "Max value of requested date interval is 3 months"
            return self._error(-32602, "date_interval_limit_reached", message)
        if int(params.get("limit", 0)) > 10_000 or int(params.get("offset", 0)) > self.last_offset:
            return self._error(-32602, "invalid_parameter_value", "Invalid parameter value")
        return None

    def _error(
        self, code: int, mnemonic: str, message: str, metadata: Mapping[str, Any] | None = None
    ) -> Response:
        data = {"mnemonic": mnemonic, "metadata": metadata or {"limits": self._limits()}}
        error = {"code": code, "message": message, "data": data}
        return document({"jsonrpc": "2.0", "id": None, "error": error})

    def _limits(self) -> dict[str, int]:
        return {
            "day_limit": 10_000,
            "day_remaining": 9_000,
            "day_reset": 3_600,
            "minute_limit": 30,
            "minute_remaining": 20,
            "minute_reset": 30,
        }

    def _calls(self) -> list[dict[str, Any]]:
        rows = [_call_row(self, call) for call in self.external()]
        return sorted(rows, key=lambda row: str(row["began"]))

    def _legs(self) -> list[dict[str, Any]]:
        rows = [
            _leg_row(self, call, place)
            for call in self.external()
            for place in range(len(call.legs))
        ]
        return sorted(rows, key=lambda row: str(row["began"]))


def _call_row(stand_in: UisStandIn, call: CallRecord) -> dict[str, Any]:
    talker = call.talker
    answered = talker.extension if talker.answered_at else None
    return {
        "began": stand_in.local(call.started_at),
        "id": 7_000_000 + call.number,
        "start_time": GARBLED if call.is_garbled else stand_in.local(call.started_at),
        "finish_time": stand_in.local(call.ended_at),
        "finish_reason": _REASONS[call.outcome],
        "direction": call.direction,
        "is_lost": call.outcome != "answered",
        "communication_id": 7_000_000 + call.number,
        "contact_phone_number": call.client,
        "virtual_phone_number": call.line,
        "wait_duration": talker.wait_seconds,
        "total_wait_duration": sum(leg.wait_seconds for leg in call.legs),
        "talk_duration": talker.talk_seconds,
        "clean_talk_duration": talker.talk_seconds,
        "total_duration": int((call.ended_at - call.started_at).total_seconds()),
        "call_records": [f"rec{call.number}"] if answered else [],
        "employees": [
            {
                "employee_id": int(leg.extension),
                "employee_full_name": _person(leg),
                "is_answered": leg.answered_at is not None,
                "is_talked": leg.answered_at is not None,
            }
            for leg in call.legs
        ],
        "first_answered_employee_id": int(answered) if answered else None,
        "last_answered_employee_id": int(answered) if answered else None,
    }


def _leg_row(stand_in: UisStandIn, call: CallRecord, place: int) -> dict[str, Any]:
    leg = call.legs[place]
    employee, client = leg.extension, call.client
    calling, called = (client, employee) if call.direction == "in" else (employee, client)
    return {
        "began": stand_in.local(leg.started_at),
        "id": (7_000_000 + call.number) * 10 + place,
        "call_session_id": 7_000_000 + call.number,
        "start_time": GARBLED if call.is_garbled else stand_in.local(leg.started_at),
        "connect_time": stand_in.local(leg.answered_at) if leg.answered_at else None,
        "duration": leg.talk_seconds,
        "total_duration": leg.wait_seconds + leg.talk_seconds,
        "finish_reason": _REASONS[leg.outcome],
        "direction": call.direction,
        "virtual_phone_number": call.line,
        "calling_phone_number": calling,
        "called_phone_number": called,
        "contact_phone_number": client,
        "employee_id": int(leg.extension),
        "employee_full_name": _person(leg),
        "employee_phone_number": leg.extension,
        "is_operator": True,
        "is_failed": leg.answered_at is None,
        "is_talked": leg.answered_at is not None,
        "call_records": [f"rec{call.number}"] if leg.answered_at else [],
    }


def _person(leg: Leg) -> str:
    return f"Сотрудник {leg.extension}"


_MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_SAMPLE = CallRecord(0, "in", "", "", (Leg("1", _MOMENT, None, _MOMENT, "missed"),))
