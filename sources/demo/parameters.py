"""Reading request parameters the way Bitrix24 does: JSON, form and query string, PHP brackets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

_BRACKET = re.compile(r"\[([^\]]*)\]")


class BadBody(ValueError):
    """The body says that it is JSON, and is not."""


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`filter[>ID]=5&select[]=ID` as `{"filter": {">ID": "5"}, "select": ["ID"]}`."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        path = [head, *_BRACKET.findall(bracket + tail)]
        node = root
        for step in path[:-1]:
            child = node.setdefault(_index(node, step), {})
            if not isinstance(child, dict):
                child = node[step] = {}
            node = child
        node[_index(node, path[-1])] = value
    return {key: _listed(value) for key, value in root.items()}


def parse_query(query: str) -> dict[str, Any]:
    """Parameters of one percent-encoded query string (also of a command inside a batch)."""
    return nest(parse_qsl(query, keep_blank_values=True))


async def read_parameters(request: Request) -> dict[str, Any]:
    """Query string, then body: the body wins where both name a parameter.

    Raises:
        BadBody: the content type is JSON and the body is no JSON object.
    """
    parameters = parse_query(request.url.query)
    body = await request.body()
    if not body:
        return parameters
    content_type = request.headers.get("content-type", "")
    if "json" in content_type:
        try:
            parsed = json.loads(body)
        except ValueError as error:
            raise BadBody(str(error)) from error
        if isinstance(parsed, dict):
            parameters.update(parsed)
        elif parsed:
            raise BadBody("the body is not an object")
    elif "multipart/form-data" in content_type:
        form = await request.form()
        parameters.update(nest((key, str(value)) for key, value in form.multi_items()))
    else:
        parameters.update(parse_query(body.decode("utf-8", errors="replace")))
    return parameters


def _index(node: dict[str, Any], step: str) -> str:
    return step if step else str(len(node))


def _listed(value: Any) -> Any:
    """PHP makes no difference between a list and a map with keys 0, 1, 2…"""
    if not isinstance(value, dict):
        return value
    listed = {key: _listed(item) for key, item in value.items()}
    if list(listed) == [str(position) for position in range(len(listed))]:
        return list(listed.values())
    return listed
