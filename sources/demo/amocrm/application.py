"""The amoCRM account as an ASGI application: addresses, tokens, error bodies, broken answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sources.demo import faults
from sources.demo.amocrm.methods import METHODS
from sources.demo.amocrm.portal import AmoPortal, Blocked, method_name
from sources.demo.amocrm.problems import (
    BLOCKED_PAGE,
    Problem,
    server_error,
    too_many_requests,
    unauthorized,
)
from sources.demo.amocrm.views import API, Request
from sources.demo.damage import befall, damaged
from sources.demo.methods import MethodError
from sources.demo.parameters import BadBody, parse_query, read_parameters

Handler = Callable[[HttpRequest], Awaitable[Response]]
_REFUSALS: dict[str, Callable[[], Exception]] = {
    "query_limit": too_many_requests,
    "overload": Blocked,
    "server_error": server_error,
    "expired_token": unauthorized,
}


def make_app(portal: AmoPortal) -> Starlette:
    """The account as an ASGI application."""

    def api(path: str) -> Handler:
        async def endpoint(http: HttpRequest) -> Response:
            kind, _, token = http.headers.get("authorization", "").partition(" ")
            portal.admit(token.strip() if kind.lower() == "bearer" else "")
            request = Request(
                portal.store,
                portal.served_at or f"{http.url.scheme}://{http.url.netloc}",
                http.url.path.removeprefix(API).strip("/"),
                parse_query(http.url.query),
                http.path_params,
                full_links=portal.full_links,
                refuses_large_limits=portal.refuses_large_limits,
            )
            written = {
                "page": "1",
                **{name: str(value) for name, value in http.path_params.items()},
                **dict(parse_qsl(http.url.query, keep_blank_values=True)),
            }

            async def answer() -> Response:
                body = portal.answer(path, request, written)
                return Response(status_code=204) if body is None else _hal(body)

            return await _with_faults(portal, (method_name(path), written), answer)

        return endpoint

    async def authorize(http: HttpRequest) -> Response:
        if portal.oauth is None:
            raise HTTPException(404)
        target = portal.oauth.authorize(http.query_params, portal.served_at or str(http.base_url))
        return RedirectResponse(target, status_code=302)

    async def token(http: HttpRequest) -> Response:
        if portal.oauth is None:
            raise HTTPException(404)
        try:
            parameters = await read_parameters(http)
        except BadBody:
            raise Problem(400, "Request data can not be empty") from None
        return Response(orjson.dumps(portal.oauth.token(parameters)), media_type="application/json")

    async def subdomain(http: HttpRequest) -> Response:
        refresh_token = http.headers.get("x-refresh-token", "")
        if portal.oauth is None or not portal.oauth.knows_refresh(refresh_token):
            raise unauthorized()
        found = portal.store.query("select id, subdomain from account")
        domain = portal.oauth.moved_to or urlsplit(portal.served_at).netloc
        body = {
            "id": found[0]["id"] if found else None,
            "subdomain": found[0]["subdomain"] if found else None,
            "domain": domain,
            "top_level_domain": domain.rpartition(".")[2],
        }
        return Response(orjson.dumps(body), media_type="application/json")

    routes = [
        *((f"{API}/{path}", _answered(api(path)), "GET") for path in METHODS),
        # The vendor serves this one at www.amocrm.ru, where the administrator chooses the account.
        ("/oauth", _answered(authorize), "GET"),
        ("/oauth2/access_token", _answered(token), "POST"),
        ("/oauth2/account/current/subdomain", _answered(subdomain), "GET"),
    ]
    app = Starlette(
        routes=[
            Route(path + slash, endpoint, methods=[verb])
            for path, endpoint, verb in routes
            for slash in ("", "/")
        ],
        exception_handlers={HTTPException: _no_such_method},
    )
    app.add_middleware(_ServerClock, portal=portal)
    return app


class _ServerClock:
    """`Date` of every answer by the account's virtual clock."""

    def __init__(self, app: ASGIApp, portal: AmoPortal) -> None:
        self.app = app
        self.portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                clock = self.portal.store.clock
                MutableHeaders(scope=message)["date"] = format_datetime(clock, usegmt=True)
            await send(message)

        await self.app(scope, receive, dated)


async def _no_such_method(http: HttpRequest, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        return _problem(Problem(405, "Method Not Allowed"))
    return _problem(Problem(404, f"Cannot {http.method} {http.url}"))


def _answered(handler: Handler) -> Handler:
    """The handler with its errors as bodies."""

    async def endpoint(http: HttpRequest) -> Response:
        try:
            return await handler(http)
        except Blocked:
            return HTMLResponse(BLOCKED_PAGE, 403)
        except Problem as problem:
            return _problem(problem)
        except MethodError as error:
            # Of a fault plan that changes a record which is not there.
            return _problem(Problem(error.status, error.description))

    return endpoint


def _hal(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/hal+json")


def _problem(problem: Problem) -> Response:
    return Response(
        orjson.dumps(problem.body()), problem.status, media_type="application/problem+json"
    )


async def _with_faults(
    portal: AmoPortal, command: faults.Command, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request, unless the fault plan has something else in mind."""
    if portal.fault_plan is None:
        return await answer()
    rule = await befall(portal.fault_plan.for_request([command]), portal.store)
    if isinstance(rule, faults.Refusal):
        raise _REFUSALS[rule.action]()
    return await answer() if rule is None else await damaged(rule, answer)
