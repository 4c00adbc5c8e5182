"""The demo portal as an ASGI application: addresses, credentials, error bodies, broken answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sources.demo import faults
from sources.demo.access import Access
from sources.demo.damage import befall, damaged
from sources.demo.methods import MethodError
from sources.demo.parameters import BadBody, read_parameters
from sources.demo.portal import (
    Answering,
    Command,
    OperationTimeLimit,
    Portal,
    batch_commands,
    method_name,
)

_TRUE = ("1", "True", "true", "Y")
Handler = Callable[[Request, Mapping[str, Any]], Awaitable[Response]]


def make_app(portal: Portal) -> Starlette:
    """The portal as an ASGI application."""

    async def by_webhook(request: Request, parameters: Mapping[str, Any]) -> Response:
        webhook = portal.webhook(request.path_params["user_id"], request.path_params["code"])
        if webhook is None:
            raise MethodError(403, "INVALID_CREDENTIALS", "Invalid request credentials")
        return await handle(request, webhook.access(portal.store), parameters)

    async def by_token(request: Request, parameters: Mapping[str, Any]) -> Response:
        if portal.oauth is None:
            raise MethodError(401, "NO_AUTH_FOUND", "Wrong authorization data")
        access = portal.oauth.access(str(parameters.get("auth", "")))
        return await handle(
            request, access, {name: value for name, value in parameters.items() if name != "auth"}
        )

    async def handle(request: Request, access: Access, parameters: Mapping[str, Any]) -> Response:
        portal.requests += 1
        if portal.overloaded:
            raise MethodError(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")
        if portal.bucket is not None and not portal.bucket.admits():
            raise MethodError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        command = Command(method_name(request.path_params["method"]), parameters)
        commands = batch_commands(parameters) if command.method == "batch" else {}
        return await _with_faults(
            portal, [command, *commands.values()], lambda: answer(access, command, commands)
        )

    async def answer(access: Access, command: Command, commands: Mapping[str, Command]) -> Response:
        answering = Answering(portal, access)
        try:
            if command.method == "batch":
                halt = str(command.parameters.get("halt", 0)) in _TRUE
                body = answering.batch(commands, halt=halt)
            else:
                body = answering.single(command)
        except OperationTimeLimit as error:
            return _error(error, answering.time(command.method, 0.0, error.reset_in_seconds))
        if answering.seconds:
            await asyncio.sleep(answering.seconds)
        return _json(body)

    async def authorize(_: Request, parameters: Mapping[str, Any]) -> Response:
        if portal.oauth is None:
            raise MethodError(404, "NOT_FOUND", "Not found")
        return RedirectResponse(portal.oauth.authorize(parameters), status_code=302)

    async def token(_: Request, parameters: Mapping[str, Any]) -> Response:
        if portal.oauth is None:
            raise MethodError(404, "NOT_FOUND", "Not found")
        return _json(portal.oauth.token(parameters))

    handlers: dict[str, Handler] = {
        "/rest/{user_id:int}/{code:str}/{method:str}": by_webhook,
        "/rest/{method:str}": by_token,
        "/oauth/authorize": authorize,
        "/oauth/token": token,
    }
    return Starlette(
        routes=[
            Route(path + slash, _answered(handler), methods=["GET", "POST"])
            for path, handler in handlers.items()
            for slash in ("", "/")
        ]
    )


def _answered(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The handler with its parameters read and its errors as bodies."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request, await read_parameters(request))
        except BadBody:
            return _error(MethodError(400, "INVALID_REQUEST", "The body is not valid JSON"))
        except MethodError as error:
            return _error(error)

    return endpoint


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _error(error: MethodError, time: Mapping[str, Any] | None = None) -> Response:
    body: dict[str, Any] = {"error": error.code, "error_description": error.description}
    return _json(body | ({"time": time} if time else {}), error.status)


async def _with_faults(
    portal: Portal, commands: list[Command], answer: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request, unless the fault plan has something else in mind."""
    if portal.fault_plan is None:
        return await answer()
    rules = portal.fault_plan.for_request(
        [(command.method, command.parameters) for command in commands]
    )
    rule = await befall(rules, portal.store)
    if isinstance(rule, faults.Refusal):
        raise rule.error()
    return await answer() if rule is None else await damaged(rule, answer)
