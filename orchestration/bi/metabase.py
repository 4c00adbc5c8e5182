"""Metabase set up through its REST API: names, keys and types of tables, models, dashboards.

Requests and answers: metabase.com/docs/latest/api. Only what differs is written, so that a second
run changes nothing; objects are found by name within a collection of the company's own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestration.bi.dashboards import (
    Card,
    Dashboard,
    column_title,
    explanation_of,
    read_dashboards,
    read_parameters,
    tables_title,
)
from orchestration.bi.metabase_client import Client
from orchestration.bi.model import BiModel, Column, Table
from sources.errors import CallfunnelError

SCHEMA = "marts"

_POLL_SECONDS = 3.0
_WIDTH = 24
"""Columns of Metabase's grid."""
_HEIGHT = 7
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "callfunnel/metabase")
_OF_A_COLUMN = ("id", "name", "base_type", "display_name", "description")
_TAG_TYPES = {"date": "date", "text": "text"}
_PARAMETER_TYPES = {"date": ("date/single", "date"), "text": ("string/=", "string")}


@dataclass
class Outcome:
    """What a run has changed; empty where everything stood already."""

    changed: list[str] = field(default_factory=list)
    dashboards: dict[str, int] = field(default_factory=dict)


def set_up(
    client: Client,
    model: BiModel,
    *,
    database: str,
    collection: str,
    language: str,
    timeout_seconds: float = 600,
    poll_seconds: float = _POLL_SECONDS,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Name the tables, tie them together and put models and dashboards into a collection.

    Args:
        client: of an administrator's API key.
        model: from `read_bi_model`.
        database: the name of the PostgreSQL connection in Metabase.
        collection: dashboards and cards stand in it; nothing outside it is touched.
        language: en, ru or uk, of names and titles.
        timeout_seconds: how long Metabase may take to read the schema.
        poll_seconds: between two looks.
        say: told what goes on.

    Returns:
        What was changed.

    Raises:
        CallfunnelError: no such connection, tables missing after the wait, or a refusal.
    """
    database_id = _find_database(client, database)
    outcome = Outcome()
    say("waiting for Metabase to read the schema")
    found = _synced(client, database_id, model, timeout_seconds, poll_seconds)
    _describe_tables(client, model, found, language, outcome)
    say("tables are named; models and dashboards follow")
    home = _collection(client, collection, outcome)
    _put_models(client, model, found, database_id, home, language, outcome)
    for dashboard in read_dashboards():
        _put_dashboard(client, model, dashboard, database_id, home, language, outcome)
    return outcome


def _find_database(client: Client, name: str) -> int:
    answer = client.get("database")
    listed = answer["data"] if isinstance(answer, dict) else answer
    own = [one for one in listed if one["name"] == name]
    if not own:
        there = ", ".join(sorted(one["name"] for one in listed)) or "none"
        raise CallfunnelError(
            f"Metabase has no database '{name}' (it has: {there}). Add it under Admin settings, "
            "Databases: PostgreSQL, a user who is a member of bi_ro, schema marts; or name yours "
            "with --database."
        )
    if own[0]["engine"] != "postgres":
        raise CallfunnelError(
            f"Database '{name}' is no PostgreSQL ({own[0]['engine']}): dashboards read the schema "
            "marts there."
        )
    return int(own[0]["id"])


def _synced(
    client: Client, database_id: int, model: BiModel, timeout_seconds: float, poll_seconds: float
) -> dict[str, Any]:
    """Tables of the schema by name, once all of them with all columns are there."""
    client.post(f"database/{database_id}/sync_schema")
    deadline = time.monotonic() + timeout_seconds
    while True:
        metadata = client.get(f"database/{database_id}/metadata", include_hidden="true")
        found = {
            table["name"]: table
            for table in metadata["tables"]
            if table["schema"] == SCHEMA and table.get("active", True)
        }
        missing = sorted(_missing(model, found))
        if not missing:
            return found
        if time.monotonic() >= deadline:
            raise CallfunnelError(
                f"Metabase does not see {len(missing)} published tables or columns after "
                f"{timeout_seconds:.0f} seconds, e.g. {', '.join(missing[:3])}: is this version "
                "published to PostgreSQL, and may the connection's user read the schema marts?"
            )
        time.sleep(poll_seconds)


def _missing(model: BiModel, found: Mapping[str, Any]) -> Iterable[str]:
    for table in model.tables.values():
        if table.name not in found:
            yield table.name
            continue
        there = {one["name"] for one in found[table.name]["fields"]}
        yield from (f"{table.name}.{column}" for column in table.columns if column not in there)


def _describe_tables(
    client: Client, model: BiModel, found: Mapping[str, Any], language: str, outcome: Outcome
) -> None:
    ids = {
        (name, one["name"]): one["id"] for name, table in found.items() for one in table["fields"]
    }
    for table in model.tables.values():
        there = found[table.name]
        wanted = {
            "display_name": table.names.get(language, table.name),
            "description": table.definitions.get(language) or table.description,
            "visibility_type": "technical" if table.name == "dim_time_spine" else None,
        }
        _put_difference(client, f"table/{there['id']}", there, wanted, table.name, outcome)
        for one in there["fields"]:
            column = table.columns.get(one["name"])
            if column is None:
                continue
            _put_difference(
                client,
                f"field/{one['id']}",
                one,
                _field(model, table, column, ids, language),
                f"{table.name}.{column.name}",
                outcome,
            )


def _field(
    model: BiModel,
    table: Table,
    column: Column,
    ids: Mapping[tuple[str, str], int],
    language: str,
) -> dict[str, Any]:
    link = model.relationship(table.name, column.name)
    is_own_key = column.name == table.key
    target = None
    if link and not is_own_key:
        target = ids[link.to_table, link.to_column]
    return {
        **_field_texts(column, language),
        "semantic_type": _semantic_type(
            column, is_own_key=is_own_key, is_foreign=target is not None
        ),
        "fk_target_field_id": target,
        # Tables are joined over keys that nobody reads; in the browser a 60-bit number is rounded.
        "visibility_type": "details-only" if column.is_key else "normal",
    }


def _field_texts(column: Column, language: str) -> dict[str, str]:
    return {
        "display_name": column.names.get(language, column.name),
        "description": column.definitions.get(language) or column.description,
    }


def _semantic_type(  # noqa: PLR0911 - a rule per kind of column
    column: Column, *, is_own_key: bool, is_foreign: bool
) -> str | None:
    if is_own_key:
        return "type/PK"
    if is_foreign:
        return "type/FK"
    if column.name.endswith("_url"):
        return "type/URL"
    if column.data_type == "varchar":
        return "type/Name" if column.name in ("employee_name", "product_name") else "type/Category"
    if column.name.endswith("_share"):
        return "type/Percentage"
    if column.name == "created_at":
        return "type/CreationTimestamp"
    return None


def _put_difference(
    client: Client,
    path: str,
    there: Mapping[str, Any],
    wanted: Mapping[str, Any],
    what: str,
    outcome: Outcome,
) -> None:
    difference = {key: value for key, value in wanted.items() if there.get(key) != value}
    if difference:
        client.put(path, difference)
        outcome.changed.append(what)


def _collection(client: Client, name: str, outcome: Outcome, parent: int | None = None) -> int:
    """The collection of that name, made where it is missing."""
    if parent is None:
        listed = [one for one in client.get("collection") if one.get("location", "/") == "/"]
    else:
        listed = client.get(f"collection/{parent}/items", models="collection")["data"]
    for one in listed:
        if one["name"] == name and not one.get("archived", False):
            return int(one["id"])
    made = client.post("collection", {"name": name, "parent_id": parent})
    outcome.changed.append(name)
    return int(made["id"])


def _put_models(
    client: Client,
    model: BiModel,
    found: Mapping[str, Any],
    database_id: int,
    home: int,
    language: str,
    outcome: Outcome,
) -> None:
    """One per table, though several readers ask it: two of a name would only be confused."""
    folder = _collection(client, tables_title(language), outcome, parent=home)
    listed = client.get(f"collection/{folder}/items", models="dataset")["data"]
    there = {one["name"]: one["id"] for one in listed}
    names = dict.fromkeys(name for page in read_dashboards() for name in page.models)
    for table in (model.tables[name] for name in names):
        body = _model_body(model, table, found[table.name], database_id, folder, language)
        if body["name"] not in there:
            client.post("card", body)
        elif _is_model_as_wanted(client.get(f"card/{there[body['name']]}"), body):
            continue
        else:
            client.put(f"card/{there[body['name']]}", body)
        outcome.changed.append(body["name"])


def _model_body(
    model: BiModel,
    table: Table,
    found: Mapping[str, Any],
    database_id: int,
    folder: int,
    language: str,
) -> dict[str, Any]:
    """A model of the whole table.

    Metabase copies the columns' names into a model when it is made and keeps the copy: without
    `result_metadata` it would go on showing the old ones.
    """
    columns = []
    for one in found["fields"]:
        column = table.columns.get(one["name"])
        told = {name: one[name] for name in _OF_A_COLUMN}
        columns.append(told | (_field_texts(column, language) if column else {}))
    return {
        "name": table.names.get(language, table.name),
        "description": explanation_of(table.name, model, language),
        "type": "model",
        "display": "table",
        "collection_id": folder,
        "dataset_query": {
            "type": "query",
            "database": database_id,
            "query": {"source-table": found["id"]},
        },
        "visualization_settings": {},
        "result_metadata": columns,
    }


def _is_model_as_wanted(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """The whole table, nothing filtered, and every column under its name, in any order."""
    query = _as_written(there["dataset_query"])
    return query["query"] == wanted["dataset_query"]["query"] and _covers(
        {**there, "dataset_query": query, "result_metadata": _shown(there)},
        {**wanted, "result_metadata": _shown(wanted)},
    )


def _shown(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: (one["display_name"], one.get("description"))
        for one in model.get("result_metadata") or ()
    }


def _put_dashboard(
    client: Client,
    model: BiModel,
    dashboard: Dashboard,
    database_id: int,
    home: int,
    language: str,
    outcome: Outcome,
) -> None:
    # Cards of two readers may share a title, so each reader has a collection within.
    name = dashboard.names[language]
    folder = _collection(client, name, outcome, parent=home)
    items = client.get(f"collection/{folder}/items")["data"]
    cards = {one["name"]: one["id"] for one in items if one["model"] == "card"}
    placed = []
    for card in dashboard.cards:
        body = _card_body(model, card, database_id, folder, language)
        placed.append((card, _put_card(client, body, cards.get(body["name"]), outcome)))
    own = [one["id"] for one in items if one["model"] == "dashboard" and one["name"] == name]
    if own:
        dashboard_id = own[0]
    else:
        made = client.post("dashboard", {"name": name, "collection_id": folder})
        dashboard_id = made["id"]
        outcome.changed.append(name)
    dashcards = _dashcards(dashboard, placed)
    wanted = {
        "name": name,
        "description": dashboard.descriptions[language],
        "parameters": _parameters(dashboard, language),
        "dashcards": dashcards,
    }
    there = client.get(f"dashboard/{dashboard_id}")
    if not _is_as_wanted(there, wanted):
        # Cards on the page keep their ids; new ones are told by a negative id.
        ids = {one["card_id"]: one["id"] for one in there["dashcards"]}
        for position, one in enumerate(dashcards):
            one["id"] = ids.get(one["card_id"], -1 - position)
        client.put(f"dashboard/{dashboard_id}", wanted)
        outcome.changed.append(f"{name}: page")
    outcome.dashboards[name] = int(dashboard_id)


def _put_card(
    client: Client, body: Mapping[str, Any], card_id: int | None, outcome: Outcome
) -> int:
    if card_id is None:
        outcome.changed.append(body["name"])
        return int(client.post("card", body)["id"])
    there = client.get(f"card/{card_id}")
    there["dataset_query"] = _as_written(there["dataset_query"])
    if not _covers(there, body):
        client.put(f"card/{card_id}", body)
        outcome.changed.append(body["name"])
    return card_id


def _as_written(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query as it was sent: newer versions answer in stages, with a list of tags."""
    if "stages" not in query:
        return query
    stage = query["stages"][0]
    if "native" not in stage:
        asked = {name: value for name, value in stage.items() if not name.startswith("lib/")}
        return {"type": "query", "database": query["database"], "query": asked}
    tags = stage.get("template-tags") or {}
    if isinstance(tags, list):
        tags = {tag["name"]: tag for tag in tags}
    return {
        "type": "native",
        "database": query["database"],
        "native": {"query": stage["native"], "template-tags": tags},
    }


def _card_body(
    model: BiModel, card: Card, database_id: int, folder: int, language: str
) -> dict[str, Any]:
    return {
        "name": card.titles[language],
        "description": explanation_of(card.table, model, language),
        "display": card.display,
        "collection_id": folder,
        "dataset_query": {
            "type": "native",
            "database": database_id,
            "native": {
                "query": card.sql,
                "template-tags": {name: _template_tag(name, language) for name in card.parameters},
            },
        },
        "visualization_settings": _settings(model, card, language),
    }


def _template_tag(name: str, language: str) -> dict[str, Any]:
    parameter = read_parameters()[name]
    return {
        "id": _id("tag", name),
        "name": name,
        "display-name": parameter.names[language],
        "type": _TAG_TYPES[parameter.type],
        "required": False,
    }


def _settings(model: BiModel, card: Card, language: str) -> dict[str, Any]:
    columns = {
        f'["name","{column}"]': {"column_title": title}
        for column in output_columns(card.sql)
        if (title := column_title(column, card, model, language))
    }
    settings: dict[str, Any] = {"column_settings": columns}
    if card.chart:
        settings["graph.dimensions"] = [card.chart["x"]]
        settings["graph.metrics"] = list(card.chart["y"])
    return settings


def output_columns(sql: str) -> list[str]:
    """What a card's first select returns, in order."""
    import sqlglot

    parsed = sqlglot.parse_one(Card("", sql, "", {}, "", {}).filled({}), read="postgres")
    return [one.alias_or_name for one in parsed.selects]  # type: ignore[attr-defined]


def _parameters(dashboard: Dashboard, language: str) -> list[dict[str, Any]]:
    made = []
    for name in dashboard.parameters:
        parameter = read_parameters()[name]
        kind, section = _PARAMETER_TYPES[parameter.type]
        made.append(
            {
                "id": _parameter_id(dashboard, name),
                "name": parameter.names[language],
                "slug": name,
                "type": kind,
                "sectionId": section,
                # A variable takes one value.
                "isMultiSelect": False,
            }
        )
    return made


def _dashcards(dashboard: Dashboard, placed: Sequence[tuple[Card, int]]) -> list[dict[str, Any]]:
    """Charts side by side in half the width, tables in all of it."""
    made: list[dict[str, Any]] = []
    row = column = 0
    for position, (card, card_id) in enumerate(placed):
        following = placed[position + 1][0] if position + 1 < len(placed) else None
        is_half = card.display != "table" and (
            column > 0 or (following is not None and following.display != "table")
        )
        width = _WIDTH // 2 if is_half else _WIDTH
        made.append(
            {
                "card_id": card_id,
                "row": row,
                "col": column,
                "size_x": width,
                "size_y": _HEIGHT,
                "parameter_mappings": [
                    {
                        "parameter_id": _parameter_id(dashboard, name),
                        "card_id": card_id,
                        "target": ["variable", ["template-tag", name]],
                    }
                    for name in card.parameters
                ],
                "visualization_settings": {},
            }
        )
        column = (column + width) % _WIDTH
        if column == 0:
            row += _HEIGHT
    return made


def _is_as_wanted(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return len(there["dashcards"]) == len(wanted["dashcards"]) and all(
        _covers(there.get(key), value) for key, value in wanted.items()
    )


def _covers(there: Any, wanted: Any) -> bool:
    """Whether everything wanted stands there; Metabase adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            _covers(there.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(map(_covers, there, wanted))
        )
    return bool(there == wanted)


def _parameter_id(dashboard: Dashboard, name: str) -> str:
    return _id("parameter", dashboard.reader, name)[:8]


def _id(*path: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(path)))
