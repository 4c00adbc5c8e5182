"""The demo portal: Bitrix24's REST on loopback, behind it a store (invented company or replay).

Faithful where clients depend on it: both kinds of address, JSON, form and query parameters,
50-row pages with `next` and `total`, `start=-1`, batch with `[]` for empty maps, error bodies with
their odd codes, the `time` block, a leaky bucket that can be switched on, and a virtual clock that
stands still until it is moved.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sources.demo.limiter import LeakyBucket
from sources.demo.methods import (
    LISTS,
    MICROSECONDS,
    SCOPES,
    MethodError,
    Page,
    call_list,
    portal_time,
)
from sources.demo.parameters import BadBody, parse_query, read_parameters
from sources.demo.store import PortalStore

BATCH_SIZE = 50
_SUFFIX = re.compile(r"\.(json|xml)$")


@dataclass
class Portal:
    """One portal: its store, who may call it, and the switches tests use.

    Attributes:
        store: the records.
        user_id: the webhook's user, part of its address.
        code: the webhook's secret.
        scopes: what the webhook may do; a method outside answers `insufficient_scope`.
        bucket: the request limit; None admits everything.
        faults: method name to a queue of errors it answers first.
        calls: how often each method was called (inside a batch too).
    """

    store: PortalStore
    user_id: int = 1
    code: str = "demo"
    scopes: tuple[str, ...] = SCOPES
    bucket: LeakyBucket | None = None
    faults: dict[str, list[MethodError]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def answer(self, method: str, parameters: Mapping[str, Any]) -> Page:
        """Run one method, as a request of its own or as a command of a batch."""
        self.calls[method] += 1
        if self.faults.get(method):
            raise self.faults[method].pop(0)
        if method == "server.time":
            return Page(portal_time(self.store, self._clock()), 0, None)
        if method == "scope":
            return Page(list(self.scopes), 0, None)
        if method not in LISTS:
            raise MethodError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if LISTS[method].scope not in self.scopes:
            raise MethodError(
                403,
                "insufficient_scope",
                "The request requires higher privileges than provided by the webhook token",
            )
        return call_list(self.store, method, parameters)

    def batch(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `batch`: HTTP 200 also when every command fails."""
        commands = parameters.get("cmd") or {}
        if isinstance(commands, list):
            commands = {str(position): command for position, command in enumerate(commands)}
        if not isinstance(commands, Mapping):
            raise MethodError(400, "INVALID_ARG_VALUE", "Parameter 'cmd' must be array.")
        halt = str(parameters.get("halt", 0)) in ("1", "True", "true", "Y")
        answers: dict[str, dict[str, Any]] = {
            name: {}
            for name in ("result", "result_error", "result_total", "result_next", "result_time")
        }
        for position, (key, command) in enumerate(commands.items()):
            try:
                if position >= BATCH_SIZE:
                    raise MethodError(
                        400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded"
                    )
                page = self._command(str(command))
            except MethodError as error:
                answers["result_error"][key] = {
                    "error": error.code,
                    "error_description": error.description,
                }
                if halt:
                    break
                continue
            answers["result"][key] = page.result
            answers["result_total"][key] = page.total
            answers["result_time"][key] = self.time()
            if page.next is not None:
                answers["result_next"][key] = page.next
        # PHP prints an empty map as a list.
        return {name: answer or [] for name, answer in answers.items()}

    def time(self) -> dict[str, Any]:
        """The `time` block of every answer, on the virtual clock."""
        clock = self._clock()
        seconds = clock / MICROSECONDS
        printed = portal_time(self.store, clock)[:19] + portal_time(self.store, clock)[-6:]
        return {
            "start": seconds,
            "finish": seconds,
            "duration": 0.0,
            "processing": 0.0,
            "date_start": printed,
            "date_finish": printed,
            "operating_reset_at": int(seconds) + 600,
            "operating": 0,
        }

    def _command(self, command: str) -> Page:
        name, _, query = command.partition("?")
        method = _SUFFIX.sub("", name.strip("/")).lower()
        if method == "batch":
            raise MethodError(
                405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"
            )
        return self.answer(method, parse_query(query))

    def _clock(self) -> int:
        return int(self.store.meta("clock", 0))


def make_app(portal: Portal) -> Starlette:
    """The portal as an ASGI application."""

    async def by_webhook(request: Request) -> Response:
        if request.path_params["user_id"] != portal.user_id or (
            request.path_params["code"] != portal.code
        ):
            return _error(MethodError(403, "INVALID_CREDENTIALS", "Invalid request credentials"))
        return await handle(request)

    async def by_token(request: Request) -> Response:
        return _error(MethodError(401, "NO_AUTH_FOUND", "Wrong authorization data"))

    async def handle(request: Request) -> Response:
        portal.requests += 1
        if portal.bucket is not None and not portal.bucket.admits():
            return _error(MethodError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"))
        method = _SUFFIX.sub("", request.path_params["method"]).lower()
        try:
            parameters = await read_parameters(request)
            if method == "batch":
                portal.calls["batch"] += 1
                return JSONResponse({"result": portal.batch(parameters), "time": portal.time()})
            page = portal.answer(method, parameters)
        except BadBody:
            return _error(MethodError(400, "INVALID_REQUEST", "The body is not valid JSON"))
        except MethodError as error:
            return _error(error)
        body: dict[str, Any] = {"result": page.result}
        if method in LISTS:
            if page.next is not None:
                body["next"] = page.next
            body["total"] = page.total
        body["time"] = portal.time()
        return JSONResponse(body)

    methods = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/rest/{user_id:int}/{code:str}/{method:str}", by_webhook, methods=methods),
            Route("/rest/{user_id:int}/{code:str}/{method:str}/", by_webhook, methods=methods),
            Route("/rest/{method:str}", by_token, methods=methods),
        ]
    )


def _error(error: MethodError) -> JSONResponse:
    return JSONResponse(
        {"error": error.code, "error_description": error.description}, status_code=error.status
    )
