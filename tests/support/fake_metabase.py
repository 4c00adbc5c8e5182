"""Metabase's REST API in small: what `make metabase` calls, strict about what it is sent.

Paths, fields and answers: metabase.com/docs/latest/api. A field that the real endpoint does not
know is refused here with 400, so that a misspelt one can't pass unnoticed.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "mb_key_of_the_tests"

_BODIES = {
    "table": {"display_name", "description", "visibility_type", "entity_type", "field_order"},
    "field": {"display_name", "description", "semantic_type", "fk_target_field_id",
              "visibility_type", "has_field_values", "settings", "coercion_strategy"},
    "collection": {"name", "description", "parent_id", "namespace", "authority_level"},
    "card": {"name", "description", "display", "collection_id", "dataset_query",
             "visualization_settings", "parameters", "parameter_mappings", "type", "archived",
             "result_metadata"},
    "dashboard": {"name", "description", "collection_id", "parameters", "dashcards", "tabs"},
}  # fmt: skip
_REQUIRED = {
    "collection": {"name"},
    "card": {"name", "display", "dataset_query", "visualization_settings"},
    "dashboard": {"name"},
}
_DASHCARD = {"id", "card_id", "row", "col", "size_x", "size_y", "parameter_mappings",
             "visualization_settings", "series", "dashboard_tab_id"}  # fmt: skip
_PARAMETER = {"id", "name", "slug", "type", "sectionId", "default", "isMultiSelect"}
_SEMANTIC_TYPES = {None, "type/PK", "type/FK", "type/URL", "type/Category", "type/Name",
                   "type/Percentage", "type/CreationTimestamp"}  # fmt: skip
_FIELD_VISIBILITY = {"normal", "details-only", "sensitive", "hidden", "retired"}
_TABLE_VISIBILITY = {None, "hidden", "technical", "cruft"}


class Refused(Exception):
    """A payload that the API does not take."""


@dataclass
class FakeMetabase:
    """The state of the server; `writes` counts PUT and POST of objects."""

    tables: Mapping[str, list[str]]
    answers_in_stages: bool = False
    polls_until_synced: int = 1
    failures: list[int] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    collections: dict[int, dict[str, Any]] = field(default_factory=dict)
    cards: dict[int, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = itertools.count(100)
        self._polls = 0
        self.synced = False
        self.table_rows: dict[int, dict[str, Any]] = {}
        self.field_rows: dict[int, dict[str, Any]] = {}
        for name, columns in self.tables.items():
            table_id = next(self._ids)
            self.table_rows[table_id] = {
                "id": table_id, "name": name, "schema": "marts", "active": True,
                "display_name": name.title(), "description": None, "visibility_type": None,
            }  # fmt: skip
            for column in columns:
                field_id = next(self._ids)
                self.field_rows[field_id] = {
                    "id": field_id, "table_id": table_id, "name": column,
                    "display_name": column.title(), "description": None, "semantic_type": None,
                    "base_type": "type/*",
                    "fk_target_field_id": None, "visibility_type": "normal",
                }  # fmt: skip

    def field_named(self, table: str, column: str) -> dict[str, Any]:
        [found] = [
            row
            for row in self.field_rows.values()
            if row["name"] == column and self.table_rows[row["table_id"]]["name"] == table
        ]
        return found

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/{path:path}", self._serve, methods=["GET", "POST", "PUT"]),
            ]
        )

    async def _serve(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != KEY:
            return JSONResponse("Unauthenticated", 401)
        if self.failures:
            return JSONResponse("busy", self.failures.pop(0))
        parts = request.path_params["path"].split("/")
        body = await request.json() if request.method != "GET" else {}
        try:
            answer = self._answer(request.method, parts, body, request.query_params)
        except Refused as problem:
            return JSONResponse({"errors": str(problem)}, 400)
        except KeyError:
            return JSONResponse("Not found.", 404)
        return JSONResponse(answer)

    def _answer(
        self, method: str, parts: list[str], body: dict[str, Any], asked: Mapping[str, str]
    ) -> Any:
        match method, *parts:
            case ["GET", "database"]:
                sample = {"id": 1, "name": "Sample Database", "engine": "h2"}
                own = {"id": 7, "name": "callfunnel", "engine": "postgres"}
                return {"data": [sample, own]}
            case ["POST", "database", "7", "sync_schema"]:
                self.synced = True
                return {"status": "ok"}
            case ["GET", "database", "7", "metadata"]:
                assert asked["include_hidden"] == "true"
                return {"id": 7, "tables": self._metadata()}
            case ["GET", "collection"]:
                root = {"id": "root", "name": "Our analytics"}
                return [root, *(c for c in self.collections.values() if c["location"] == "/")]
            case ["GET", "collection", number, "items"]:
                return {"data": list(self._items(int(number), asked.get("models")))}
            case ["PUT", "table" | "field" as kind, number]:
                return self._change(kind, int(number), body)
            case ["POST", "collection" | "card" | "dashboard" as kind]:
                return self._make(kind, body)
            case ["GET", "card", number]:
                return self._card(self.cards[int(number)])
            case ["PUT", "card", number]:
                _check("card", body)
                self._check_card(body)
                self.cards[int(number)].update(body)
            case ["GET", "dashboard", number]:
                return self.dashboards[int(number)]
            case ["PUT", "dashboard", number]:
                self._put_dashboard(self.dashboards[int(number)], body)
            case _:
                raise KeyError(parts)
        self.writes.append("/".join(parts))
        return {}

    def _metadata(self) -> list[dict[str, Any]]:
        self._polls += 1
        if not self.synced or self._polls <= self.polls_until_synced:
            return []
        return [
            {**table, "fields": [one for one in self.field_rows.values()
                                 if one["table_id"] == table["id"]]}
            for table in self.table_rows.values()
        ]  # fmt: skip

    def _items(self, number: int, models: str | None) -> Iterator[dict[str, Any]]:
        place = self.collections[number]
        cards = [c for c in self.cards.values() if c["collection_id"] == number]
        children = {
            "collection": [c for c in self.collections.values()
                           if c["location"] == f"{place['location']}{number}/"],
            "card": [c for c in cards if c.get("type") != "model"],
            "dataset": [c for c in cards if c.get("type") == "model"],
            "dashboard": [d for d in self.dashboards.values() if d["collection_id"] == number],
        }  # fmt: skip
        for model, rows in children.items():
            if models in (None, model):
                yield from ({"id": row["id"], "name": row["name"], "model": model} for row in rows)

    def _change(self, kind: str, number: int, body: dict[str, Any]) -> dict[str, Any]:
        _check(kind, body)
        row = (self.table_rows if kind == "table" else self.field_rows)[number]
        if kind == "field":
            _one_of(body, "semantic_type", _SEMANTIC_TYPES)
            _one_of(body, "visibility_type", _FIELD_VISIBILITY)
            target = body.get("fk_target_field_id")
            if target is not None and target not in self.field_rows:
                raise Refused(f"no field {target}")
        else:
            _one_of(body, "visibility_type", _TABLE_VISIBILITY)
        row.update(body)
        self.writes.append(f"{kind}/{number}")
        return row

    def _make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        _check(kind, body)
        if missing := _REQUIRED[kind] - body.keys():
            raise Refused(f"{kind} needs {missing}")
        number = next(self._ids)
        row = {"id": number, **body}
        if kind == "collection":
            parent = body.get("parent_id")
            above = self.collections[parent] if parent is not None else None
            row["location"] = f"{above['location']}{parent}/" if above else "/"
            row["archived"] = False
            self.collections[number] = row
        elif kind == "card":
            self._check_card(body)
            self.cards[number] = row
        else:
            self.dashboards[number] = {
                "description": None,
                "parameters": [],
                "dashcards": [],
                **row,
            }
        self.writes.append(kind)
        return row

    def _check_card(self, body: dict[str, Any]) -> None:
        _one_of(body, "type", {"question", "model"})
        if body["dataset_query"]["type"] == "native":
            self._check_query(body["dataset_query"])
            return
        asked = body["dataset_query"]
        if asked.keys() != {"type", "database", "query"} or asked["database"] != 7:
            raise Refused("dataset_query")
        fields = {one["id"]: one for one in self.field_rows.values()
                  if one["table_id"] == asked["query"]["source-table"]}  # fmt: skip
        for one in body["result_metadata"]:
            if not all(isinstance(one[key], str) for key in ("name", "display_name", "base_type")):
                raise Refused("value must be an array of valid results column metadata maps.")
            if fields.pop(one["id"])["name"] != one["name"]:
                raise Refused(f"result_metadata {one}")

    def _check_query(self, query: dict[str, Any]) -> None:
        if set(query) != {"type", "database", "native"} or query["type"] != "native":
            raise Refused("dataset_query")
        if query["database"] != 7 or set(query["native"]) != {"query", "template-tags"}:
            raise Refused("native")
        for name, tag in query["native"]["template-tags"].items():
            if set(tag) != {"id", "name", "display-name", "type", "required"}:
                raise Refused(f"template tag {tag}")
            if tag["name"] != name or tag["type"] not in ("text", "date", "number"):
                raise Refused(f"template tag {tag}")

    def _card(self, row: dict[str, Any]) -> dict[str, Any]:
        if not self.answers_in_stages:
            return {**row, "creator_id": 1}
        if row.get("type") == "model":
            stage = {"lib/type": "mbql.stage/mbql", **row["dataset_query"]["query"]}
        else:
            native = row["dataset_query"]["native"]
            stage = {
                "lib/type": "mbql.stage/native",
                "native": native["query"],
                "template-tags": list(native["template-tags"].values()),
            }
        query = {"lib/type": "mbql/query", "database": 7, "stages": [stage]}
        return {**row, "dataset_query": query}

    def _put_dashboard(self, row: dict[str, Any], body: dict[str, Any]) -> None:
        _check("dashboard", body)
        parameters = {}
        for one in body["parameters"]:
            if not set(one) <= _PARAMETER or len(one["id"]) != 8:
                raise Refused(f"parameter {one}")
            parameters[one["id"]] = one
        ids = [one["id"] for one in body["dashcards"]]
        if len(set(ids)) != len(ids):
            raise Refused("ids of dashcards must be unique")
        known = {one["id"] for one in row["dashcards"]}
        for one in body["dashcards"]:
            if not set(one) <= _DASHCARD or one["card_id"] not in self.cards:
                raise Refused(f"dashcard {one}")
            if one["id"] >= 0 and one["id"] not in known:
                raise Refused(f"no dashcard {one['id']}")
            if one["col"] + one["size_x"] > 24:
                raise Refused("too wide")
            tags = self.cards[one["card_id"]]["dataset_query"]["native"]["template-tags"]
            for mapping in one["parameter_mappings"]:
                _, (_, tag) = mapping["target"]
                if mapping["parameter_id"] not in parameters or tag not in tags:
                    raise Refused(f"mapping {mapping}")
        row.update(body)
        row["dashcards"] = [
            {**one, "id": next(self._ids) if one["id"] < 0 else one["id"], "series": []}
            for one in body["dashcards"]
        ]


def _check(kind: str, body: dict[str, Any]) -> None:
    if unknown := body.keys() - _BODIES[kind]:
        raise Refused(f"{kind} has no {unknown}")


def _one_of(body: dict[str, Any], key: str, allowed: set[Any]) -> None:
    if key in body and body[key] not in allowed:
        raise Refused(f"{key}: {body[key]}")


@contextlib.contextmanager
def serving(fake: FakeMetabase) -> Iterator[str]:
    """The fake on loopback; gives its address."""
    server = uvicorn.Server(uvicorn.Config(fake.app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
