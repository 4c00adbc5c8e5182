"""Reading request parameters the way Bitrix24 does: JSON, form and query string, PHP brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

_BRACKET = re.compile(r"\[([^\]]*)\]")
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")


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


def resolve(parameters: Any, results: Mapping[str, Any]) -> Any:
    """Put the answers of a batch's earlier commands in place of `$result[key][0][ID]`.

    References stand in values (vendor's page batch). One that is a whole value may bring a list
    or a map; inside other text, or when it leads nowhere, it becomes text, the latter empty.
    """
    if isinstance(parameters, dict):
        return {name: resolve(value, results) for name, value in parameters.items()}
    if isinstance(parameters, list):
        return [resolve(value, results) for value in parameters]
    if not isinstance(parameters, str) or "$result" not in parameters:
        return parameters
    whole = _REFERENCE.fullmatch(parameters)
    if whole:
        return _referenced(whole, results)
    return _REFERENCE.sub(lambda match: _text(_referenced(match, results)), parameters)


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
            parsed = orjson.loads(body)
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


def _referenced(reference: re.Match[str], results: Mapping[str, Any]) -> Any:
    found: Any = results
    for step in _BRACKET.findall(reference[1]):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return ""
    return "" if found is None else found


def _text(value: Any) -> str:
    return "" if isinstance(value, Mapping | list) else str(value)


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
