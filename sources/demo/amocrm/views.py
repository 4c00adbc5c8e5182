"""How rows of the store look in the API's answers.

PHP shows through: empty objects are `[]`, absent custom fields null, an empty task result `[]`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from sources.demo.amocrm.filters import MICROSECONDS
from sources.demo.amocrm.store import ENTITIES, AmoStore

API = "/api/v4"
_CARD_PATHS = {"lead": "leads", "contact": "contacts", "company": "companies"}
_ACCESS = ("view", "edit", "add", "delete", "export")

Row = sqlite3.Row
Body = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One call of a method.

    Attributes:
        store: the records.
        root: the account's address, `https://example.amocrm.ru`.
        path: below `/api/v4/`.
        parameters: of the query, with PHP brackets read.
        places: what stands in the path's `{…}`, by the column it is compared with.
        full_links: whether `next` repeats the request's other parameters.
        refuses_large_limits: see `AmoPortal`.
    """

    store: AmoStore
    root: str
    path: str
    parameters: Mapping[str, Any]
    places: Mapping[str, Any]
    full_links: bool = True
    refuses_large_limits: bool = False

    @cached_property
    def parts(self) -> frozenset[str]:
        """What `with` asks for."""
        given = self.parameters.get("with") or ""
        names = given if isinstance(given, list) else str(given).split(",")
        return frozenset(str(name).strip() for name in names)

    @cached_property
    def account_id(self) -> int | None:
        """The account's id, which every record names."""
        rows = self.store.query("select id from account")
        return rows[0][0] if rows else None

    def href(self, path: str, pairs: Iterable[tuple[str, Any]] = ()) -> Body:
        """A link below `/api/v4/`; brackets stay as they are."""
        query = urlencode(list(pairs), safe="[],:")
        return {"href": f"{self.root}{API}/{path}" + (f"?{query}" if query else "")}

    def self_link(self, path: str) -> Body:
        """`_links` of a record."""
        return {"self": self.href(path)}


Printer = Callable[[Request, Sequence[Row]], list[Body]]


def values(entity_name: str, row: Row, names: Iterable[str] | None = None) -> Body:
    """Columns as the API prints them: instants as Unix seconds, flags as booleans, JSON read."""
    columns = ENTITIES[entity_name].columns
    printed: Body = {}
    for name in columns if names is None else names:
        value, kind = row[name], columns[name]
        if value is not None:
            if kind == "instant":
                value //= MICROSECONDS
            elif kind == "flag":
                value = bool(value)
            elif kind == "json":
                value = json.loads(value)
        printed[name] = value
    return printed


_LEAD_COLUMNS = (
    *("id", "name", "price", "responsible_user_id", "group_id", "status_id", "pipeline_id"),
    *("loss_reason_id", "source_id", "created_by", "updated_by", "created_at", "updated_at"),
    *("closed_at", "closest_task_at", "is_deleted", "custom_fields_values", "score"),
)


def leads(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Leads; of those in the recycle bin only id, change and `is_deleted` are told."""
    parts = request.parts
    reasons = {
        row["id"]: row
        for row in (
            request.store.query("select * from loss_reason") if "loss_reason" in parts else ()
        )
    }
    printed = []
    for row in rows:
        links = request.self_link(f"leads/{row['id']}")
        if row["is_deleted"]:
            told = values("lead", row, ("id", "updated_by", "updated_at", "is_deleted"))
            printed.append({**told, "account_id": request.account_id, "_links": links})
            continue
        lead = values("lead", row, _LEAD_COLUMNS)
        lead["is_deleted"] = False
        lead["account_id"] = request.account_id
        lead["labor_cost"] = row["labor_cost"]
        if "source_id" not in parts:
            lead["source_id"] = None
        if "is_price_modified_by_robot" in parts:
            lead["is_price_modified_by_robot"] = bool(row["is_price_modified_by_robot"])
        lead["_links"] = links
        embedded: Body = {"tags": _json(row["tags"])}
        if "catalog_elements" in parts:
            embedded["catalog_elements"] = _json(row["catalog_elements"])
        if "loss_reason" in parts:
            reason = reasons.get(row["loss_reason_id"])
            embedded["loss_reason"] = [] if reason is None else loss_reasons(request, [reason])
        embedded["companies"] = _linked(request, "companies", [row["company_id"]])
        if "contacts" in parts:
            embedded["contacts"] = [
                {**contact, "_links": request.self_link(f"contacts/{contact['id']}")}
                for contact in _json(row["contacts"])
            ]
        if "source_id" in parts and row["source_id"] is not None:
            embedded["source"] = {"id": row["source_id"]}
        lead["_embedded"] = embedded
        printed.append(lead)
    return printed


_CLIENT_COLUMNS = (
    *("responsible_user_id", "group_id", "created_by", "updated_by", "created_at", "updated_at"),
    *("closest_task_at", "custom_fields_values"),
)


def contacts(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Contacts; tags and companies always, leads when asked for."""
    names = ("id", "name", "first_name", "last_name", *_CLIENT_COLUMNS)
    return [_client(request, "contact", row, names) for row in rows]


def companies(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Companies; tags always, contacts and leads when asked for."""
    return [_client(request, "company", row, ("id", "name", *_CLIENT_COLUMNS)) for row in rows]


def _client(request: Request, entity_name: str, row: Row, names: tuple[str, ...]) -> Body:
    parts, path = request.parts, _CARD_PATHS[entity_name]
    client = values(entity_name, row, names)
    client["is_deleted"] = bool(row["is_deleted"])
    client["account_id"] = request.account_id
    client["_links"] = request.self_link(f"{path}/{row['id']}")
    embedded: Body = {"tags": _json(row["tags"])}
    if "leads" in parts:
        ids = _leads_by_client(request.store, entity_name).get(row["id"], [])
        embedded["leads"] = _linked(request, "leads", ids)
    for part in ("customers", "catalog_elements"):
        if part in parts:
            embedded[part] = []
    if entity_name == "contact":
        embedded["companies"] = _linked(request, "companies", [row["company_id"]])
    elif "contacts" in parts:
        found = request.store.query(
            'select "id" from contact where "company_id" = ? order by "id"', (row["id"],)
        )
        embedded["contacts"] = _linked(request, "contacts", [contact["id"] for contact in found])
    client["_embedded"] = embedded
    return client


_LEADS_OF = {
    "contact": "select json_extract(value, '$.id'), lead.id "
    "from lead, json_each(coalesce(lead.contacts, '[]')) order by lead.id",
    "company": "select company_id, id from lead where company_id is not null order by id",
}


def _leads_by_client(store: AmoStore, entity_name: str) -> dict[int, list[int]]:
    """Ids of leads by contact or company; read once until a record changes."""
    kept, key = store.kept, ("leads", entity_name)
    if key not in kept:
        kept[key] = {}
        for client, lead_id in store.query(_LEADS_OF[entity_name]):
            kept[key].setdefault(client, []).append(lead_id)
    found: dict[int, list[int]] = kept[key]
    return found


def tasks(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Tasks; a result that was never written is an empty PHP object."""
    names = (
        *("id", "created_by", "updated_by", "created_at", "updated_at", "responsible_user_id"),
        *("group_id", "entity_id", "entity_type", "duration", "is_completed", "task_type_id"),
        *("text", "result", "complete_till"),
    )
    printed = _records(request, "task", rows, names, "tasks/{id}")
    for task in printed:
        task["result"] = task["result"] or []
    return printed


def notes(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Notes; the entity's type stands in the address only."""
    names = (
        *("id", "entity_id", "created_by", "updated_by", "created_at", "updated_at"),
        *("responsible_user_id", "group_id", "note_type", "params"),
    )
    printed = []
    for row in rows:
        path = f"{row['entity_type']}/{row['entity_id']}/notes/{{id}}"
        printed += _records(request, "note", [row], names, path)
        printed[-1]["params"] = printed[-1]["params"] or []
    return printed


def events(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Events with a link to their entity."""
    printed = _records(request, "event", rows, None, "events/{id}")
    for event in printed:
        for name in ("value_after", "value_before"):
            event[name] = event[name] or []
        path = _CARD_PATHS.get(event["entity_type"], f"{event['entity_type']}s")
        entity_id = event["entity_id"]
        entity = {"id": entity_id, "_links": request.self_link(f"{path}/{entity_id}")}
        event["_embedded"] = {"entity": entity}
    return printed


def unsorted(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Incoming leads; what they brought with them is named by id."""
    names = (
        *("uid", "source_uid", "source_name", "category", "pipeline_id", "created_at", "metadata"),
    )
    printed = _records(request, "unsorted", rows, names, "leads/unsorted/{uid}")
    for item, row in zip(printed, rows, strict=True):
        item["metadata"] = item["metadata"] or []
        item["_embedded"] = {
            plural: _linked(request, plural, [row[f"{one}_id"]])
            for one, plural in (
                ("contact", "contacts"),
                ("lead", "leads"),
                ("company", "companies"),
            )
        }
    return printed


def users(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Users; whether one still works stands among the rights."""
    parts = request.parts
    groups = {row["id"]: row["name"] for row in request.store.query("select * from user_group")}
    printed = []
    for row in rows:
        user = values("user", row, ("id", "name", "email", "lang"))
        user["rights"] = _rights(row)
        for name in ("uuid", "amojo_id", "user_rank", "phone_number"):
            if name in parts:
                user[name] = row["phone_number"] if name == "phone_number" else None
        user["_links"] = request.self_link(f"users/{row['id']}")
        embedded: Body = {}
        if "role" in parts:
            embedded["roles"] = [] if row["role_id"] is None else [{"id": row["role_id"]}]
        if "group" in parts:
            group_id = row["group_id"]
            known = group_id in groups
            embedded["groups"] = [{"id": group_id, "name": groups[group_id]}] if known else []
        if embedded:
            user["_embedded"] = embedded
        printed.append(user)
    return printed


def _rights(row: Row) -> Body:
    access = dict.fromkeys(_ACCESS, "A")
    is_admin = bool(row["is_admin"])
    return {
        "leads": dict(access),
        "contacts": dict(access),
        "companies": dict(access),
        "tasks": {"edit": "A", "delete": "A"},
        "mail_access": is_admin,
        "catalog_access": is_admin,
        "status_rights": [],
        "is_admin": is_admin,
        "is_free": bool(row["is_free"]),
        "is_active": bool(row["is_active"]),
        "group_id": row["group_id"],
        "role_id": row["role_id"],
    }


def pipelines(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Pipelines with all their statuses."""
    printed = _records(request, "pipeline", rows, None, "leads/pipelines/{id}")
    for pipeline in printed:
        found = request.store.query(
            "select * from status where pipeline_id = ? order by sort, id", (pipeline["id"],)
        )
        pipeline["_embedded"] = {"statuses": statuses(request, found)}
    return printed


def statuses(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Stages of pipelines."""
    names = ("id", "name", "sort", "is_editable", "pipeline_id", "color", "type")
    path = "leads/pipelines/{pipeline_id}/statuses/{id}"
    return _records(request, "status", rows, names, path)


def loss_reasons(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Why leads are lost."""
    path = "leads/loss_reasons/{id}"
    return _records(request, "loss_reason", rows, None, path, names_account=False)


def custom_fields(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Definitions of custom fields."""
    printed = []
    for row in rows:
        fields = values("custom_field", row)
        enums = [
            {name: value for name, value in enum.items() if name != "code" or value}
            for enum in fields["enums"] or []
        ]
        printed.append(
            {
                **{name: fields[name] for name in ("id", "name", "type")},
                "account_id": request.account_id,
                **{name: fields[name] for name in ("code", "sort")},
                "is_api_only": bool(fields["is_api_only"]),
                "enums": enums or None,
                "group_id": fields["group_id"],
                "required_statuses": [],
                "is_deletable": bool(fields["is_deletable"]),
                "is_predefined": bool(fields["is_predefined"]),
                "entity_type": fields["entity_type"],
                "remind": None,
                "_links": request.self_link(f"{row['entity_type']}/custom_fields/{row['id']}"),
            }
        )
    return printed


def tags(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Tags of one kind of card."""
    return [values("tag", row, ("id", "name")) for row in rows]


def catalogs(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Lists of things that leads can name, products among them."""
    printed = _records(request, "catalog", rows, None, "catalogs/{id}")
    return [{**catalog, "sdk_widget_code": None} for catalog in printed]


def catalog_elements(request: Request, rows: Sequence[Row]) -> list[Body]:
    """Elements of a catalog."""
    path = "catalogs/{catalog_id}/elements/{id}"
    printed = _records(request, "catalog_element", rows, None, path)
    for element in printed:
        element["is_deleted"] = element["is_deleted"] or None
    return printed


def _records(
    request: Request,
    entity_name: str,
    rows: Sequence[Row],
    names: Sequence[str] | None,
    path: str,
    *,
    names_account: bool = True,
) -> list[Body]:
    """Rows with the account's id and a link to themselves."""
    account = {"account_id": request.account_id} if names_account else {}
    return [
        {
            **values(entity_name, row, names),
            **account,
            "_links": request.self_link(path.format(**dict(row))),
        }
        for row in rows
    ]


def _linked(request: Request, path: str, ids: Iterable[int | None]) -> list[Body]:
    return [
        {"id": number, "_links": request.self_link(f"{path}/{number}")} for number in ids if number
    ]


def _json(text: str | None) -> list[Any]:
    found: list[Any] = json.loads(text) if text else []
    return found
