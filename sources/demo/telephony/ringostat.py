"""Ringostat: a call log with the fields that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sources.demo.telephony.calls import CallRecord
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document

_DISPOSITIONS = {
    "answered": "ANSWERED",
    "missed": "NO ANSWER",
    "busy": "BUSY",
    "cancelled": "CLIENT NO ANSWER",
    "failed": "FAILED",
}


@dataclass
class RingostatStandIn(PbxStandIn):
    """A project of Ringostat.

    Attributes:
        lacks: fields that this project does not know.
        envelope: the list stands in it; empty: the list alone.
    """

    keys: ClassVar[Mapping[str, str]] = {"auth_key": "ringostat-key-66ef"}
    lacks: frozenset[str] = frozenset()
    envelope: str = ""

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """The call log."""
        return {"/calls/list": ("GET", self._list)}

    async def _list(self, request: Request) -> Response:
        params = dict(request.query_params)

        async def answer() -> Response:
            if request.headers.get("auth-key") != self.keys["auth_key"]:
                return document({"error": "Access denied"}, 403)
            fields = params["fields"].split(",")
            if unknown := [name for name in fields if name in self.lacks]:
                return PlainTextResponse(f"incorrect field: {unknown[0]}", 400)
            rows = [
                {name: row.get(name, "") for name in fields}
                for row in map(self._row, self.external())
                # Local times are compared as they are written.
                if params["from"] <= row["began"] <= params["to"]
            ]
            if params.get("order") == "calldate desc":
                rows.reverse()
            return document({self.envelope: rows} if self.envelope else rows)

        return await self.answered("/calls/list", params, answer)

    def _row(self, call: CallRecord) -> dict[str, Any]:
        talker = call.talker
        inward = call.direction == "in"
        employee = f"shop_{talker.extension}"
        record = f"https://app.ringostat.com/recordings/{call.number}.mp3"
        return {
            "began": self.local(call.started_at),
            "uniqueid": f"ua1-{call.number}.{call.number % 7}",
            "calldate": GARBLED if call.is_garbled else self.local(call.started_at),
            "call_type": "in" if inward else "out",
            "caller": call.client if inward else employee,
            "caller_number": call.client if inward else talker.extension,
            "dst": call.line if inward else call.client,
            "disposition": _DISPOSITIONS[call.outcome],
            "billsec": str(talker.talk_seconds),
            "duration": str(int((call.ended_at - call.started_at).total_seconds())),
            "waittime": str(talker.wait_seconds),
            "employee_fio": f"Співробітник {talker.extension}",
            "employee_number": talker.extension,
            "has_recording": "1" if talker.answered_at else "0",
            "recording": record if talker.answered_at else "",
            "proper_flag": "1" if talker.talk_seconds > 40 else "0",
            "repeated_flag": "0",
            "utm_source": "google" if inward else "",
        }
