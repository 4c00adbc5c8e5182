"""What the stand-ins share: calls, a clock, faults, a limit, and how they are asked."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, ClassVar

import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sources.demo import faults
from sources.demo.damage import damaged
from sources.demo.limiter import SlidingWindow
from sources.demo.server import serve_app_in_thread
from sources.demo.telephony.calls import CallRecord

Handler = Callable[[Request], Awaitable[Response]]
GARBLED = "out of order"


@dataclass
class PbxStandIn:
    """One account of a provider.

    Attributes:
        calls: all that there are; those that have not ended by the clock are not told.
        clock: the provider's.
        zone: of the account, in which times without an offset are printed.
        fault_plan: what goes wrong; `method` is the path that is asked, or UIS's method.
        bucket: how many requests pass; None: all.
        asked: the requests that came: path (or method) and parameters.
    """

    keys: ClassVar[Mapping[str, str]] = {}
    """The secrets by which it is asked, as a connection names them."""

    calls: Sequence[CallRecord]
    clock: dt.datetime
    zone: dt.tzinfo = dt.UTC
    fault_plan: faults.FaultPlan | None = None
    bucket: SlidingWindow | None = None
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def told(self) -> list[CallRecord]:
        """The calls that have ended, by their beginning."""
        found = [call for call in self.calls if call.ended_at <= self.clock]
        return sorted(found, key=lambda call: (call.started_at, call.number))

    def external(self) -> list[CallRecord]:
        """Of them, those with somebody outside of the company."""
        return [call for call in self.told() if call.direction != "internal"]

    def local(self, at: dt.datetime) -> str:
        """A local time as most providers print it."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """By path, the verb and what answers."""
        raise NotImplementedError

    def limited(self) -> Response:
        """What is answered when requests come too often."""
        return PlainTextResponse("Too Many Requests", 429, {"Retry-After": "1"})

    async def answered(
        self,
        method: str,
        parameters: Mapping[str, Any],
        answer: Callable[[], Awaitable[Response]],
        *,
        is_limited: bool = True,
    ) -> Response:
        """An answer, unless the limit or the fault plan has something else in mind."""
        self.asked.append((method, parameters))
        if is_limited and self.bucket is not None and not self.bucket.admits():
            return self.limited()
        if self.fault_plan is None:
            return await answer()
        first: faults.Refusal | faults.Broken | None = None
        for rule in self.fault_plan.for_request([(method.lower(), parameters)]):
            if isinstance(rule, faults.Delay):
                await asyncio.sleep(rule.seconds)
            elif first is None and isinstance(rule, faults.Refusal | faults.Broken):
                first = rule
        if isinstance(first, faults.Broken):
            return await damaged(first, answer)
        if first is None:
            return await answer()
        if first.action == "query_limit":
            return self.limited()
        status = 401 if first.action == "expired_token" else 500
        return PlainTextResponse("Something went wrong", status)

    @contextlib.contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        """Serve on loopback until the block ends; gives the address."""
        routes = [
            Route(path, handler, methods=[verb]) for path, (verb, handler) in self.routes().items()
        ]
        app = Starlette(routes=routes)
        app.add_middleware(_Dated, stand_in=self)
        with serve_app_in_thread(app, port) as address:
            yield address


class _Dated:
    """`Date` of every answer by the account's clock."""

    def __init__(self, app: ASGIApp, stand_in: PbxStandIn) -> None:
        self.app = app
        self.stand_in = stand_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                clock = self.stand_in.clock.astimezone(dt.UTC)
                MutableHeaders(scope=message)["date"] = format_datetime(clock, usegmt=True)
            await send(message)

        await self.app(scope, receive, dated)


def document(body: Any, status: int = 200) -> Response:
    """A body of JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def unix(at: dt.datetime) -> int:
    """Seconds since 1970."""
    return int(at.timestamp())
