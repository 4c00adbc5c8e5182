"""Zadarma: signed requests, a row per leg, three requests for statistics a minute.

After the vendor's description (github.com/zadarma/openapi) and its class for PHP.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from sources.demo.telephony.calls import CallRecord, Leg
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document, unix

_FORM = "%Y-%m-%d %H:%M:%S"
_DISPOSITIONS = {
    "answered": "answered",
    "missed": "no answer",
    "busy": "busy",
    "cancelled": "cancel",
    "failed": "call failed",
}


@dataclass
class ZadarmaStandIn(PbxStandIn):
    """An account of Zadarma.

    Attributes:
        most_rows: of one answer.
        knows_skip: whether later pages can be asked for.
    """

    keys: ClassVar[Mapping[str, str]] = {
        "api_key": "zadarma-key-90ac",
        "api_secret": "zadarma-secret-4be2",
    }
    most_rows: int = 1_000
    knows_skip: bool = True

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """The account's clock, and the statistics."""
        return {
            "/v1/info/timezone/": ("GET", self._timezone),
            "/v1/statistics/pbx/": ("GET", self._statistics),
        }

    def limited(self) -> Response:
        """Statistics are asked for too often."""
        response = document({"status": "error", "message": "You have exceeded the limit"}, 429)
        response.headers["Retry-After"] = "1"
        return response

    async def _timezone(self, request: Request) -> Response:
        async def answer() -> Response:
            offset = self.clock.astimezone(self.zone).strftime("%z")
            return document(
                {
                    "status": "success",
                    "unixtime": unix(self.clock),
                    "datetime": self.local(self.clock),
                    "timezone": f"UTC{offset[:3]}",
                }
            )

        return await self._signed(request, answer, is_limited=False)

    async def _statistics(self, request: Request) -> Response:
        params = request.query_params

        async def answer() -> Response:
            first, last = (dt.datetime.strptime(params[name], _FORM) for name in ("start", "end"))
            if last - first > dt.timedelta(days=31):
                last = first + dt.timedelta(days=30)
            rows = [
                _row(self, call, leg)
                for call in self.external()
                for leg in call.legs
                # Local times are compared as they are written.
                if first <= dt.datetime.strptime(self.local(leg.started_at), _FORM) <= last
            ]
            skip = int(params.get("skip", 0)) if self.knows_skip else 0
            limit = min(int(params.get("limit", 1_000)), self.most_rows)
            return document(
                {
                    "status": "success",
                    "start": f"{first:{_FORM}}",
                    "end": f"{last:{_FORM}}",
                    "version": 2,
                    "stats": rows[skip : skip + limit],
                }
            )

        return await self._signed(request, answer)

    async def _signed(
        self,
        request: Request,
        answer: Callable[[], Awaitable[Response]],
        *,
        is_limited: bool = True,
    ) -> Response:
        path, params = request.url.path, dict(parse_qsl(request.url.query))

        async def checked() -> Response:
            if request.headers.get("authorization") != self._authorization(path, params):
                return document({"status": "error", "message": "Not authorized"}, 401)
            return await answer()

        return await self.answered(path, params, checked, is_limited=is_limited)

    def _authorization(self, path: str, params: Mapping[str, str]) -> str:
        """`key:signature`, as the vendor's PHP makes it."""
        query = urlencode({name: params[name] for name in sorted(params)})
        text = path + query + hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
        code = hmac.new(self.keys["api_secret"].encode(), text.encode(), "sha1").hexdigest()
        return f"{self.keys['api_key']}:{base64.b64encode(code.encode()).decode()}"


def _row(stand_in: ZadarmaStandIn, call: CallRecord, leg: Leg) -> dict[str, Any]:
    inward = call.direction == "in"
    digest = hashlib.sha1(str(call.number).encode(), usedforsecurity=False).hexdigest()
    return {
        # A number with decimals, as the vendor prints it: of the recording, not of the leg.
        "call_id": float(f"{unix(call.started_at)}.{call.number:06d}"),
        "sip": leg.extension,
        "callstart": GARBLED if call.is_garbled else stand_in.local(leg.started_at),
        "clid": call.client if inward else leg.extension,
        "destination": leg.extension if inward else call.client,
        "disposition": _DISPOSITIONS[leg.outcome],
        "seconds": leg.talk_seconds,
        "is_recorded": "true" if leg.answered_at else "false",
        "pbx_call_id": f"{'in' if inward else 'out'}_{digest}",
    }
