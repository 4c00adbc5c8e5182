"""Binotel: incoming and outgoing calls of at most a day, as a map or a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from starlette.requests import Request
from starlette.responses import Response

from sources.demo.telephony.calls import CallRecord, Direction, Leg
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document, unix

_DAY = 24 * 60 * 60
_DISPOSITIONS = {
    "answered": "ANSWER",
    "missed": "NOANSWER",
    "busy": "BUSY",
    "cancelled": "CANCEL",
    "failed": "CHANUNAVAIL",
}


@dataclass
class BinotelStandIn(PbxStandIn):
    """An account of Binotel.

    Attributes:
        shape: of the calls: a map by their id, or a list.
        is_absent_if_empty: without calls the field is left out; else it is an empty list.
        most_rows: of one answer.
    """

    keys: ClassVar[Mapping[str, str]] = {"key": "binotel-key-31d0", "secret": "binotel-secret-aa8"}
    shape: Literal["map", "list"] = "map"
    is_absent_if_empty: bool = False
    most_rows: int = 2_000

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """An address for each direction."""
        return {
            "/api/4.0/stats/incoming-calls-for-period.json": ("POST", self._handler("in")),
            "/api/4.0/stats/outgoing-calls-for-period.json": ("POST", self._handler("out")),
        }

    def _handler(self, direction: Direction) -> Handler:
        async def handle(request: Request) -> Response:
            body = json.loads(await request.body())

            async def answer() -> Response:
                return document(self._body(direction, body))

            return await self.answered(request.url.path, body, answer)

        return handle

    def _body(self, direction: Direction, asked: Mapping[str, Any]) -> dict[str, Any]:
        if any(asked.get(name) != value for name, value in self.keys.items()):
            return {"status": "error", "code": "120", "message": "Wrong key or secret"}
        first, last = int(asked["startTime"]), int(asked["stopTime"])
        if last - first > _DAY:
            return {"status": "error", "code": "103", "message": "Period is more than 24 hours"}
        rows = [
            _row(call)
            for call in self.told()
            if call.direction == direction and first <= unix(call.started_at) <= last
        ][: self.most_rows]
        if not rows:
            empty: dict[str, Any] = {} if self.is_absent_if_empty else {"callDetails": []}
            return {"status": "success", **empty}
        if self.shape == "list":
            return {"status": "success", "callDetails": rows}
        return {"status": "success", "callDetails": {row["generalCallID"]: row for row in rows}}


def _row(call: CallRecord) -> dict[str, Any]:
    talker = call.talker
    return {
        "companyID": "1000",
        "generalCallID": str(800_000 + call.number),
        "callID": str(900_000 + call.number),
        "startTime": GARBLED if call.is_garbled else str(unix(call.started_at)),
        "callType": "0" if call.direction == "in" else "1",
        "internalNumber": talker.extension,
        "externalNumber": call.client,
        "waitsec": str(talker.wait_seconds),
        "billsec": str(talker.talk_seconds),
        "disposition": _DISPOSITIONS[call.outcome],
        "isNewCall": "1" if call.number % 2 else "0",
        "customerData": "",
        "employeeData": {"name": f"Співробітник {talker.extension}", "email": ""},
        "pbxNumberData": {"number": call.line, "name": "Office"},
        "historyData": [_history(leg) for leg in call.legs],
    }


def _history(leg: Leg) -> dict[str, str]:
    return {
        "internalNumber": leg.extension,
        "waitsec": str(leg.wait_seconds),
        "billsec": str(leg.talk_seconds),
        "disposition": _DISPOSITIONS[leg.outcome],
    }
