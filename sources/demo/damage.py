"""Answers that a fault plan damages: pages of HTML, halves of bodies, broken connections."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from sources.demo import faults
from sources.demo.record_store import RecordStore

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


async def befall(
    rules: Iterable[faults.AnyRule], store: RecordStore
) -> faults.Refusal | faults.Broken | None:
    """Change records and wait as the rules say; the first of the others is left to the caller."""
    first: faults.Refusal | faults.Broken | None = None
    for rule in rules:
        if isinstance(rule, faults.Change):
            rule.apply(store)
        elif isinstance(rule, faults.Delay):
            await asyncio.sleep(rule.seconds)
        elif first is None and isinstance(rule, faults.Refusal | faults.Broken):
            first = rule
    return first


async def damaged(rule: faults.Broken, answer: Callable[[], Awaitable[Response]]) -> Response:
    """What is sent in place of the answer, which is made only where part of it is sent."""
    if rule.action == "reset":
        return _Reset()
    if rule.action in ("bad_gateway", "html"):
        gone = rule.action == "bad_gateway"
        title, status = ("502 Bad Gateway", 502) if gone else ("Sign in", 200)
        return HTMLResponse(_PAGE.format(title), status)
    response = await answer()
    whole, media_type = bytes(response.body), response.media_type
    if rule.action == "not_json":
        return Response(whole[: len(whole) // 2], media_type=media_type)
    return _Half(whole, media_type=media_type)


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["state"]["transport"]
    return transport


class _Half(Response):
    """Half of the body under a header that promises all of it, then the end of the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport = _transport(scope)
        while transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        # An orderly end of TLS would wait for the client's.
        transport.abort()
        await receive()  # until the connection is gone, else the server complains


class _Reset(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(scope)
        # Closing a socket that lingers for no time sends a reset in place of an orderly end. On
        # a duplicate, since the event loop's own object need not know the option.
        number = os.dup(transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=number) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await receive()
