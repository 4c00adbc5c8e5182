"""Mango Office: a report is ordered at one address and fetched at another, when it is made."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from sources.demo.telephony.calls import CallRecord, Leg
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document, unix

_FIELDS = (
    "records,start,finish,answer,from_extension,from_number,to_extension,to_number,"
    "disconnect_reason,line_number,location,create,entry_id"
)
_REASONS = {"answered": 1110, "missed": 1122, "busy": 1123, "cancelled": 1121, "failed": 1131}


@dataclass
class MangoStandIn(PbxStandIn):
    """An account of Mango Office.

    Attributes:
        pending: how often a report is not made yet when it is asked for.
        is_pending_empty: it says so by an empty body in place of 204.
        more_cells: cells that newer versions of the report might have.
    """

    keys: ClassVar[Mapping[str, str]] = {"api_key": "mango-key-7f3a", "api_salt": "mango-salt-19c"}
    pending: int = 1
    is_pending_empty: bool = False
    more_cells: tuple[str, ...] = ()
    _orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """The two addresses of the report."""
        return {
            "/vpbx/stats/request": ("POST", self._request),
            "/vpbx/stats/result": ("POST", self._result),
        }

    async def _request(self, request: Request) -> Response:
        form = await request.form()

        async def answer() -> Response:
            body = self._signed(form)
            if body is None:
                return document({"result": 3102, "message": "Wrong sign"}, 401)
            key = f"report-{next(self._numbers)}"
            self._orders[key] = {**body, "asked": 0}
            return document({"key": key})

        return await self.answered("/vpbx/stats/request", dict(form), answer)

    async def _result(self, request: Request) -> Response:
        form = await request.form()

        async def answer() -> Response:
            body = self._signed(form)
            if body is None:
                return document({"result": 3102, "message": "Wrong sign"}, 401)
            order = self._orders.get(str(body.get("key")))
            if order is None:
                return document({"result": 3300, "message": "No such report"}, 404)
            order["asked"] += 1
            if order["asked"] <= self.pending:
                return Response(b"", 200 if self.is_pending_empty else 204)
            return Response("\n".join(self._lines(order)), media_type="text/csv")

        return await self.answered("/vpbx/stats/result", dict(form), answer)

    def _signed(self, form: Mapping[str, Any]) -> dict[str, Any] | None:
        key, salt = self.keys["api_key"], self.keys["api_salt"]
        text = str(form.get("json", ""))
        sign = hashlib.sha256((key + text + salt).encode()).hexdigest()
        if form.get("vpbx_api_key") != key or form.get("sign") != sign:
            return None
        found: dict[str, Any] = json.loads(text)
        return found

    def _lines(self, order: Mapping[str, Any]) -> list[str]:
        first, last = int(order["date_from"]), int(order["date_to"])
        fields = [field.strip() for field in str(order.get("fields") or _FIELDS).split(",")]
        lines = []
        for call in self.told():
            for leg in call.legs:
                if first <= unix(leg.started_at) <= last:
                    cells = _cells(call, leg)
                    lines.append(";".join([*(cells[name] for name in fields), *self.more_cells]))
        return lines


def _cells(call: CallRecord, leg: Leg) -> dict[str, str]:
    employee = (leg.extension, f"sip:{leg.extension}@shop.mangosip.ru")
    # Who calls without an extension is outside of the company.
    other = (call.client, call.client) if call.direction == "internal" else ("", call.client)
    (from_extension, from_number), (to_extension, to_number) = (
        (employee, other) if call.direction == "out" else (other, employee)
    )
    entry = base64.b64encode(f"1:10000:{call.number}".encode()).decode()
    recording = base64.b64encode(f"rec:{call.number}".encode()).decode()
    return {
        "records": f"[{recording}]" if leg.answered_at else "[]",
        "start": GARBLED if call.is_garbled else str(unix(leg.started_at)),
        "finish": str(unix(leg.ended_at)),
        "answer": str(unix(leg.answered_at)) if leg.answered_at else "0",
        "from_extension": from_extension,
        "from_number": from_number,
        "to_extension": to_extension,
        "to_number": to_number,
        "disconnect_reason": str(_REASONS[leg.outcome]),
        "line_number": call.line,
        "location": "abonent",
        "create": str(unix(call.started_at)),
        "entry_id": entry,
    }
