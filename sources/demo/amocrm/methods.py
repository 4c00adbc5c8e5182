"""The methods of the API: which rows they list, in which frame, under which filters.

Documented in amocrm.ru/developers/content/crm_platform (account-info, leads-api, leads_pipelines,
unsorted-api, contacts-api, companies-api, catalogs-api, custom-fields, tags-api, tasks-api,
events-and-notes, users-api). `filter[custom_fields_values]` is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from sources.demo.amocrm import views
from sources.demo.amocrm.filters import (
    Condition,
    Filter,
    conditions,
    event_value,
    instant_in,
    number_in,
    number_of,
    one_of,
    order_by,
    stage_in,
    text_in,
)
from sources.demo.amocrm.problems import Problem, invalid
from sources.demo.amocrm.views import Body, Printer, Request

DEFAULT_LIMIT = 50
"""Rows of a page when none, or too many, are asked for."""
MAX_LIMIT = 250
MAX_EVENTS = 100
CARD_TYPES = ("leads", "contacts", "companies")

Answer = Body | None
"""The body; None is 204 without one."""


@dataclass(frozen=True)
class ListMethod:
    """One list.

    Attributes:
        name: the key under `_embedded`.
        entity: whose rows.
        view: how they look.
        filters: by their names in the request.
        search: of the parameter `query`.
        orders: columns that `order` may name.
        default_order: SQL.
        max_limit: rows of a page at most.
        frame: `_page` and its links; with the number of all rows beside; or all rows at once.
        of_bin: rows may stand in the recycle bin, which only `with=only_deleted` shows.
        key: the column of one record's address.
        missing: the status where there is no such record.
        fixed: equalities that do not come from the request.
    """

    name: str
    entity: str
    view: Printer
    filters: Mapping[str, Filter] = field(default_factory=dict)
    search: Filter | None = None
    orders: tuple[str, ...] = ("id",)
    default_order: str = '"id" asc'
    max_limit: int = MAX_LIMIT
    frame: Literal["paged", "counted", "whole"] = "paged"
    of_bin: bool = False
    key: str = "id"
    missing: Literal[204, 404] = 404
    fixed: Mapping[str, Any] = field(default_factory=dict)


_AUTHORS: Mapping[str, Filter] = {
    "id": number_of("id"),
    "created_by": number_of("created_by"),
    "updated_by": number_of("updated_by"),
    "responsible_user_id": number_of("responsible_user_id"),
    "created_at": instant_in("created_at"),
    "updated_at": instant_in("updated_at"),
}
_CARDS: Mapping[str, Filter] = {
    **_AUTHORS,
    "name": one_of("name"),
    "closest_task_at": instant_in("closest_task_at"),
}
_BY_TIME = ("id", "created_at", "updated_at")
LEADS = ListMethod(
    "leads",
    "lead",
    views.leads,
    {
        **_CARDS,
        "price": number_in("price"),
        "pipeline_id": number_of("pipeline_id"),
        "statuses": stage_in,
        "closed_at": instant_in("closed_at"),
    },
    search=text_in("name", "custom_fields_values"),
    orders=_BY_TIME,
    of_bin=True,
    missing=204,
)
CONTACTS = replace(LEADS, name="contacts", entity="contact", view=views.contacts, filters=_CARDS)
COMPANIES = replace(CONTACTS, name="companies", entity="company", view=views.companies)
TASKS = ListMethod(
    "tasks",
    "task",
    views.tasks,
    {
        **_AUTHORS,
        "is_completed": number_of("is_completed"),
        "task_type": number_of("task_type_id"),
        "entity_type": one_of("entity_type"),
        "entity_id": number_of("entity_id"),
    },
    orders=("id", "created_at", "complete_till"),
    missing=204,
)
NOTES = ListMethod(
    "notes",
    "note",
    views.notes,
    {
        "id": number_of("id"),
        "entity_id": number_of("entity_id"),
        "note_type": one_of("note_type"),
        "updated_at": instant_in("updated_at"),
    },
    orders=("id", "updated_at"),
)
EVENTS = ListMethod(
    "events",
    "event",
    views.events,
    {
        "id": one_of("id", most=100),
        "type": one_of("type"),
        "entity": one_of("entity_type"),
        "entity_id": number_of("entity_id", most=10),
        "created_by": number_of("created_by", most=10),
        "created_at": instant_in("created_at"),
        "value_after": event_value("value_after"),
        "value_before": event_value("value_before"),
    },
    orders=(),
    default_order='"created_at" desc, "id" desc',
    max_limit=MAX_EVENTS,
)
"""The API takes no order here and the vendor names none; newest first is the harsher one to page
through, since new events push the rest on."""
UNSORTED = ListMethod(
    "unsorted",
    "unsorted",
    views.unsorted,
    {
        "uid": one_of("uid"),
        "category": one_of("category"),
        "pipeline_id": number_of("pipeline_id"),
    },
    orders=("created_at",),
    default_order='"created_at" asc, "uid" asc',
    key="uid",
)
USERS = ListMethod("users", "user", views.users, frame="counted")
PIPELINES = ListMethod(
    "pipelines", "pipeline", views.pipelines, default_order='"sort" asc, "id" asc', frame="whole"
)
STATUSES = ListMethod(
    "statuses", "status", views.statuses, default_order='"sort" asc, "id" asc', frame="whole"
)
LOSS_REASONS = ListMethod("loss_reasons", "loss_reason", views.loss_reasons, frame="counted")
CUSTOM_FIELDS = ListMethod(
    "custom_fields",
    "custom_field",
    views.custom_fields,
    {"id": number_of("id"), "type": one_of("type")},
    orders=("id", "sort"),
    frame="counted",
)
TAGS = ListMethod(
    "tags",
    "tag",
    views.tags,
    {"id": number_of("id"), "name": one_of("name")},
    search=text_in("name"),
)
CATALOGS = ListMethod("catalogs", "catalog", views.catalogs, {"type": one_of("type")})
CATALOG_ELEMENTS = ListMethod(
    "elements",
    "catalog_element",
    views.catalog_elements,
    {"id": number_of("id")},
    search=text_in("name"),
)


def list_rows(method: ListMethod, request: Request) -> Answer:
    """One page; None where it would be empty.

    Raises:
        Problem: 400, a parameter can't be used.
    """
    if method is EVENTS:
        _check_entity_filter(request)
    where, bound = _where(method, request)
    order = order_by(
        method.orders,
        request.parameters.get("order"),
        method.default_order,
        f'"{method.key}" asc',
    )
    select = f'select * from "{method.entity}" where {where} order by {order}'
    if method.frame == "whole":
        rows = request.store.query(select, bound)
        return {
            "_total_items": len(rows),
            "_links": request.self_link(request.path),
            "_embedded": {method.name: method.view(request, rows)},
        }
    page, limit = _number(request, "page", 1), _limit(method, request)
    # One row more than the page holds tells whether another page follows.
    rows = request.store.query(
        f"{select} limit ? offset ?", [*bound, limit + 1, (page - 1) * limit]
    )
    if not rows:
        return None
    body: Body = {"_page": page}
    if method.frame == "counted":
        counted = f'select count(*) from "{method.entity}" where {where}'
        total = request.store.query(counted, bound)[0][0]
        body = {"_total_items": total, "_page": page, "_page_count": -(-total // limit)}
    return {
        **body,
        "_links": _links(request, page, limit, is_last=len(rows) <= limit),
        "_embedded": {method.name: method.view(request, rows[:limit])},
    }


def one_row(method: ListMethod, request: Request) -> Answer:
    """One record by its address.

    Raises:
        Problem: 404, there is none, where the method says so.
    """
    where, bound = _where(method, replace(request, parameters={}))
    rows = request.store.query(f'select * from "{method.entity}" where {where}', bound)
    if rows:
        return method.view(request, rows)[0]
    if method.missing == 404:
        raise not_found(request)
    return None


def not_found(request: Request) -> Problem:
    """There is nothing at the request's address."""
    return Problem(404, f"Cannot GET {request.href(request.path)['href']}")


def account(request: Request) -> Answer:
    """The account, with the parts asked for."""
    rows = request.store.query("select * from account")
    if not rows:
        raise not_found(request)
    row, parts = rows[0], request.parts
    names = (
        *("id", "name", "subdomain", "created_at", "created_by", "updated_at", "updated_by"),
        *("current_user_id", "country", "currency", "currency_symbol", "customers_mode"),
        *("is_unsorted_on", "is_loss_reason_enabled"),
    )
    body = {
        **views.values("account", row, names),
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
    }
    hidden = {
        "amojo_id": "f3c6340d-410e-4ad1-9f7e-c5e663599909",
        "uuid": "824f3a59-6154-4edf-ba90-0b5593715d07",
        "version": 11,
    }
    body |= {name: value for name, value in hidden.items() if name in parts}
    body["_links"] = request.self_link("account")
    embedded = {name: make(request) for name, make in _ACCOUNT_PARTS.items() if name in parts}
    return body | ({"_embedded": embedded} if embedded else {})


def _groups(request: Request) -> list[Body]:
    found = request.store.query("select * from user_group order by id")
    return [views.values("user_group", row) for row in found]


def _task_types(_: Request) -> list[Body]:
    unset = {"color": None, "icon_id": None}
    return [
        {"id": 1, "name": "Связаться", **unset, "code": "FOLLOW_UP"},
        {"id": 2, "name": "Встреча", **unset, "code": "MEETING"},
    ]


def _datetime_settings(request: Request) -> Body:
    (row,) = request.store.query("select * from account")
    return {
        "date_pattern": "d.m.Y H:i",
        "short_date_pattern": "d.m.Y",
        "short_time_pattern": "H:i",
        "date_formant": "d.m.Y",
        "time_format": "H:i:s",
        "timezone": row["timezone"],
        "timezone_offset": row["timezone_offset"],
    }


_ACCOUNT_PARTS: Mapping[str, Callable[[Request], Any]] = {
    "amojo_rights": lambda _: {"can_direct": True, "can_create_groups": True},
    "users_groups": _groups,
    "task_types": _task_types,
    "entity_names": lambda _: [],
    "datetime_settings": _datetime_settings,
}


def _where(method: ListMethod, request: Request) -> tuple[str, list[Any]]:
    found: list[Condition] = [
        (f'"{column}" = ?', [value]) for column, value in {**method.fixed, **request.places}.items()
    ]
    if method.of_bin:
        found.append(("coalesce(is_deleted, 0) = ?", [int("only_deleted" in request.parts)]))
    found += conditions(method.filters, request.parameters.get("filter"))
    if method.search is not None and request.parameters.get("query"):
        found.append(method.search("query", request.parameters["query"]))
    return " and ".join(sql for sql, _ in found) or "1 = 1", [
        value for _, values in found for value in values
    ]


def _check_entity_filter(request: Request) -> None:
    """`entity_id` needs exactly one `entity`."""
    given = request.parameters.get("filter")
    if isinstance(given, Mapping) and given.get("entity_id"):
        entity = given.get("entity") or []
        names = entity if isinstance(entity, list) else str(entity).split(",")
        if len(names) != 1:
            raise invalid(
                "filter.entity", "NotSupportedChoice", "One entity is needed beside entity_id."
            )


def _number(request: Request, name: str, default: int) -> int:
    """A positive number; anything else is the default."""
    given = request.parameters.get(name)
    return int(given) if isinstance(given, str) and given.isdecimal() and int(given) else default


def _limit(method: ListMethod, request: Request) -> int:
    limit = _number(request, "limit", DEFAULT_LIMIT)
    if limit <= method.max_limit:
        return limit
    if request.refuses_large_limits:
        raise Problem(422, f"Limit {method.max_limit} per page")
    return DEFAULT_LIMIT


def _links(request: Request, page: int, limit: int, *, is_last: bool) -> Body:
    kept = [
        (name, value) for name, value in _flat(request.parameters) if name not in ("page", "limit")
    ]

    def link(number: int) -> Body:
        if not request.full_links:
            return request.href(request.path, [("page", number)])
        return request.href(request.path, [*kept, ("limit", limit), ("page", number)])

    links = {"self": request.href(request.path, [*kept, ("limit", limit), ("page", page)])}
    if not is_last:
        links["next"] = link(page + 1)
    if page > 1:
        links["first"], links["prev"] = link(1), link(page - 1)
    return links


def _flat(parameters: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Parameters back in PHP brackets."""
    items = enumerate(parameters) if isinstance(parameters, list) else parameters.items()
    pairs: list[tuple[str, Any]] = []
    for name, value in items:
        full = f"{prefix}[{name}]" if prefix else str(name)
        pairs += _flat(value, full) if isinstance(value, Mapping | list) else [(full, value)]
    return pairs


@dataclass(frozen=True)
class Method:
    """What answers at an address; `is_for_admins` others get 403."""

    answer: Callable[[Request], Answer]
    is_for_admins: bool = False


def _pair(path: str, method: ListMethod, *, is_for_admins: bool = False) -> dict[str, Method]:
    """A list and its single records."""
    place = "{id:int}" if method.key == "id" and method.entity != "event" else f"{{{method.key}}}"
    return {
        path: Method(partial(list_rows, method), is_for_admins),
        f"{path}/{place}": Method(partial(one_row, method), is_for_admins),
    }


def _of_cards(card_type: str) -> dict[str, Method]:
    """What leads, contacts and companies have alike."""
    notes = replace(NOTES, fixed={"entity_type": card_type})
    fields = replace(CUSTOM_FIELDS, fixed={"entity_type": card_type})
    tags = Method(partial(list_rows, replace(TAGS, fixed={"entity_type": card_type})))
    return {
        **_pair(f"{card_type}/notes", notes),
        **_pair(f"{card_type}/{{entity_id:int}}/notes", notes),
        **_pair(f"{card_type}/custom_fields", fields),
        f"{card_type}/tags": tags,
    }


METHODS: Mapping[str, Method] = {
    "account": Method(account),
    **_pair("users", USERS, is_for_admins=True),
    **_pair("leads/pipelines", PIPELINES),
    **_pair("leads/pipelines/{pipeline_id:int}/statuses", STATUSES),
    **_pair("leads/loss_reasons", LOSS_REASONS),
    **_pair("leads/unsorted", UNSORTED),
    **_pair("leads", LEADS),
    **_pair("contacts", CONTACTS),
    **_pair("companies", COMPANIES),
    **{path: method for card in CARD_TYPES for path, method in _of_cards(card).items()},
    **_pair("tasks", TASKS),
    **_pair("events", EVENTS),
    **_pair("catalogs", CATALOGS),
    **_pair("catalogs/{catalog_id:int}/elements", CATALOG_ELEMENTS),
}
"""By address, with the columns that stand in it, as in `leads/{entity_id:int}/notes`."""
