"""The methods that answer one object or one record's details, without pages and total."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sources.demo.methods.answers import MethodError, Page, number, parameter, portal_zone
from sources.demo.methods.catalogue import LISTS, call_list, item_type
from sources.demo.methods.fields import (
    ENTITIES_WITH_FIELDS,
    field_descriptions,
    item_field_descriptions,
)
from sources.demo.store import PortalStore, from_microseconds


@dataclass(frozen=True)
class Request:
    """One call: by whom, with which permissions."""

    store: PortalStore
    parameters: Mapping[str, Any]
    user_id: int
    scopes: Sequence[str]
    is_admin: bool


@dataclass(frozen=True)
class ObjectMethod:
    """One method and the permission it needs; None needs none."""

    scope: str | None
    answer: Callable[[Request], Any]


def call_object(
    store: PortalStore,
    name: str,
    parameters: Mapping[str, Any],
    *,
    user_id: int = 1,
    scopes: Sequence[str] = (),
    is_admin: bool = True,
) -> Page:
    """Answer one method of `OBJECTS`.

    Args:
        store: the records.
        name: a method of `OBJECTS`.
        parameters: as the client sent them.
        user_id: in whose name the request runs.
        scopes: what it may do.
        is_admin: whether that user is an administrator.

    Raises:
        MethodError: a parameter is missing, or there is no such record.
    """
    request = Request(store, parameters, user_id, scopes, is_admin)
    return Page(OBJECTS[name].answer(request), 0, None)


def _fields(entity_name: str, request: Request) -> dict[str, Any]:
    return dict(field_descriptions(request.store, entity_name))


def _item_fields(request: Request) -> dict[str, Any]:
    type_id = item_type(request.store, request.parameters)
    is_original = str(parameter(request.parameters, "useOriginalUfNames")).upper() == "Y"
    told = item_field_descriptions(request.store, type_id, original_names=is_original)
    return {"fields": told}


def _activity_bindings(request: Request) -> list[dict[str, int]]:
    given = parameter(request.parameters, "activityId")
    if given in (None, ""):
        raise MethodError(400, "100", "Could not find value for parameter {activityId}")
    activity_id = number(given)
    owners = request.store.query(
        'select "OWNER_TYPE_ID", "OWNER_ID" from activity where "ID" = ?', (activity_id,)
    )
    if not owners:
        raise MethodError(400, "NOT_FOUND", "Element not found")
    bound = request.store.query(
        'select "ENTITY_TYPE_ID", "ENTITY_ID" from binding where "ACTIVITY_ID" = ? order by "ID"',
        (activity_id,),
    )
    pairs = dict.fromkeys((row[0], row[1]) for row in (*owners, *bound) if row[0] and row[1])
    return [{"entityTypeId": type_id, "entityId": entity_id} for type_id, entity_id in pairs]


_HISTORY_ORDER = {"ID": '"ID"', "CREATEDDATE": '"CREATED_DATE"', "CREATED_DATE": '"CREATED_DATE"'}


def _task_history(request: Request) -> dict[str, Any]:
    """Newest first. The vendor's older page prints ids as strings and dates like a report.

    The newer one (2025) prints numbers and ISO dates; clients must read both.
    """
    given = parameter(request.parameters, "taskId")
    if given in (None, ""):
        raise MethodError(
            400,
            "100",
            "CTaskItem All parameters in the constructor must have real class type "
            "(internal error)",
        )
    task_id = number(given)
    if task_id is None:
        raise MethodError(400, "0", "wrong task id (internal error)")
    condition, values = "", [task_id]
    filters = parameter(request.parameters, "filter")
    fields = parameter(filters, "FIELD") if isinstance(filters, Mapping) else None
    if fields:
        wanted = list(fields) if isinstance(fields, list | tuple) else [fields]
        condition = f'and "FIELD" in ({", ".join("?" * len(wanted))})'
        values += wanted
    order = parameter(request.parameters, "order")
    terms = [
        f"history.{_HISTORY_ORDER[name.upper()]} {'asc' if str(way).upper() == 'ASC' else 'desc'}"
        for name, way in (order.items() if isinstance(order, Mapping) else ())
        if name.upper() in _HISTORY_ORDER
    ]
    rows = request.store.query(
        'select history.*, user."NAME", user."LAST_NAME", user."SECOND_NAME", user."EMAIL" '
        'from task_history as history left join user on user."ID" = history."USER_ID" '
        f'where "TASK_ID" = ? {condition} order by '
        + ", ".join([*terms, 'history."CREATED_DATE" desc', 'history."ID" desc']),
        values,
    )
    zone = portal_zone(request.store)
    return {
        "list": [
            {
                "id": str(row["ID"]),
                "createdDate": from_microseconds(row["CREATED_DATE"])
                .astimezone(zone)
                .strftime("%d.%m.%Y %H:%M:%S"),
                "field": row["FIELD"],
                "value": {"from": row["VALUE_FROM"], "to": row["VALUE_TO"]},
                "user": {
                    "id": str(row["USER_ID"] or 0),
                    "name": row["NAME"] or "",
                    "lastName": row["LAST_NAME"] or "",
                    "secondName": row["SECOND_NAME"] or "",
                    "login": row["EMAIL"] or "",
                },
            }
            for row in rows
        ]
    }


def _user(request: Request) -> dict[str, Any]:
    found = call_list(request.store, "user.get", {"ID": request.user_id, "start": -1}).result
    return dict(found[0]) if found else {"ID": str(request.user_id), "ACTIVE": True}


def _profile(request: Request) -> dict[str, Any]:
    user = _user(request)
    return {
        "ID": user["ID"],
        "ADMIN": request.is_admin,
        "NAME": user.get("NAME") or "",
        "LAST_NAME": user.get("LAST_NAME") or "",
        "PERSONAL_GENDER": "",
        "TIME_ZONE": "",
    }


def _application(_: Request) -> dict[str, Any]:
    return {
        "ID": 1,
        "CODE": "local.callfunnel",
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": True,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": "ru",
        "LICENSE": "ru_ent250",
        "LICENSE_TYPE": "ent250",
        "LICENSE_FAMILY": "ent",
    }


def _methods(request: Request) -> list[str]:
    """The methods of the caller's permissions, of one where the client names it."""
    scope = parameter(request.parameters, "scope")
    allowed = {scope} & set(request.scopes) if scope else {*request.scopes, None}
    return sorted(name for name, needed in METHODS.items() if needed in allowed)


OBJECTS: Mapping[str, ObjectMethod] = {
    **{
        f"crm.{name}.fields": ObjectMethod("crm", partial(_fields, name))
        for name in ENTITIES_WITH_FIELDS
    },
    "crm.item.fields": ObjectMethod("crm", _item_fields),
    "crm.activity.binding.list": ObjectMethod("crm", _activity_bindings),
    "tasks.task.history.list": ObjectMethod("task", _task_history),
    "user.current": ObjectMethod("user", _user),
    "profile": ObjectMethod(None, _profile),
    "app.info": ObjectMethod(None, _application),
    "methods": ObjectMethod(None, _methods),
}
METHODS: Mapping[str, str | None] = {
    **{name: method.scope for name, method in LISTS.items()},
    **{name: method.scope for name, method in OBJECTS.items()},
}
"""Every method of this package with the permission it needs."""
SCOPES = tuple(sorted({scope for scope in METHODS.values() if scope}))
