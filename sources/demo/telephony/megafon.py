"""MegaFon's virtual PBX: one address, a history as CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from sources.demo.telephony.calls import CallRecord
from sources.demo.telephony.stand_in import GARBLED, Handler, PbxStandIn, document

_HEADER = ("UID", "type", "client", "account", "via", "start", "wait", "duration", "record")


@dataclass
class MegafonStandIn(PbxStandIn):
    """A virtual PBX of MegaFon.

    Attributes:
        all_has_missed: whether missed calls stand in the list of all calls too.
        is_newer: prints a header, and the grade of quality as a tenth cell.
        is_plain_refusal: refuses a wrong token by JSON under a status of success.
    """

    keys: ClassVar[Mapping[str, str]] = {"token": "megafon-token-0b1d"}
    all_has_missed: bool = True
    is_newer: bool = False
    is_plain_refusal: bool = False

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """One address for all commands."""
        return {"/sys/crm_api.wcgp": ("GET", self._command)}

    async def _command(self, request: Request) -> Response:
        params = dict(request.query_params)

        async def answer() -> Response:
            if params.get("token") != self.keys["token"]:
                return document({"error": "Invalid token"}, 200 if self.is_plain_refusal else 401)
            if params.get("cmd") != "history":
                return document({"error": "Unknown command"}, 400)
            first, last = (_instant(params[name]) for name in ("start", "end"))
            lines = [
                self._line(call)
                for call in self.told()
                if first <= call.started_at <= last and self._is_wanted(call, params["type"])
            ]
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\r\n")
            if self.is_newer:
                writer.writerow((*_HEADER, "quality_control"))
            writer.writerows(lines)
            return Response(text.getvalue(), media_type="text/csv")

        return await self.answered("/sys/crm_api.wcgp", params, answer)

    def _is_wanted(self, call: CallRecord, kind: str) -> bool:
        type_ = _type(call)
        if kind == "all":
            return type_ != "missed" or self.all_has_missed
        return type_ == kind

    def _line(self, call: CallRecord) -> tuple[str, ...]:
        talker = call.talker
        began = f"{call.started_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        record = f"https://shop.megapbx.ru/api/records/{call.number}.mp3"
        cells = (
            f"uid{call.number}",
            _type(call),
            call.client,
            f"user{talker.extension}@shop.megapbx.ru",
            call.line,
            GARBLED if call.is_garbled else began,
            str(talker.wait_seconds),
            str(talker.talk_seconds),
            record if talker.answered_at else "",
        )
        return (*cells, "5") if self.is_newer else cells


def _type(call: CallRecord) -> str:
    if call.direction == "in" and call.outcome != "answered":
        return "missed"
    return "out" if call.direction == "out" else "in"


def _instant(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
