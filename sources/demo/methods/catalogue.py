"""The list methods of the portal, each with its entity and its dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sources.demo import store as portal_store
from sources.demo.methods.answers import MethodError, Page, Restrict, number, parameter
from sources.demo.methods.conditions import Rules, split
from sources.demo.methods.lists import ListMethod, Prepare, Scan, answer_list
from sources.demo.methods.views import HISTORY, REAL, TASK, TEXT, Form, View, view
from sources.demo.store import DEAL_TYPE_ID, INVOICE_TYPE_ID, PortalStore

LEAD_TYPE_ID = 1
CONTACT_TYPE_ID = 3
COMPANY_TYPE_ID = 4
FIRST_SMART_TYPE_ID = 128

_LINKED: Mapping[str, Form] = {"COMPANY_ID": "string or 0"}
_MULTIPLE = ("PHONE", "EMAIL")

_DEALS = view(portal_store.DEAL, TEXT, forms=_LINKED, custom="selected")
_LEADS = view(portal_store.LEAD, TEXT, forms=_LINKED, optional=_MULTIPLE, custom="selected")
_CONTACTS = view(portal_store.CONTACT, TEXT, forms=_LINKED, optional=_MULTIPLE, custom="selected")
_COMPANIES = view(portal_store.COMPANY, TEXT, optional=_MULTIPLE, custom="selected")
_USERS = view(
    portal_store.USER,
    TEXT,
    forms={
        "ACTIVE": "boolean",
        "LAST_ACTIVITY_DATE": "local time or map",
        "TIMESTAMP_X": "json",
    },
    constants={"TIMESTAMP_X": "'{}'"},
)
_DEPARTMENTS = view(portal_store.DEPARTMENT, TEXT, forms={"SORT": "as stored"})
_CURRENCIES = view(
    portal_store.CURRENCY,
    TEXT,
    only=[name for name in portal_store.CURRENCY.columns if name != "ID"],
    # The documented defaults of a localisation (vendor's page crm/data-types).
    constants={
        "FORMAT_STRING": "'#'",
        "DEC_POINT": "'.'",
        "THOUSANDS_SEP": "' '",
        "DECIMALS": "'2'",
    },
)
_ACTIVITIES = view(portal_store.ACTIVITY, TEXT)
_COMMENTS = view(
    portal_store.TIMELINE_COMMENT,
    TEXT,
    only=("ID", "ENTITY_ID", "ENTITY_TYPE", "CREATED", "COMMENT", "AUTHOR_ID"),
)
_STAGE_HISTORIES = {
    LEAD_TYPE_ID: view(portal_store.LEAD_STAGE_HISTORY, HISTORY),
    DEAL_TYPE_ID: view(portal_store.STAGE_HISTORY, HISTORY),
    INVOICE_TYPE_ID: view(portal_store.INVOICE_STAGE_HISTORY, HISTORY),
}
_PRODUCT_ROWS = view(portal_store.PRODUCT_ROW, REAL, is_camel=True)


def _task_view() -> View:
    """Tasks print their status twice: as it is, and with what the portal derives from it."""
    plain = view(portal_store.TASK, TASK, optional=("UF_CRM_TASK",), is_camel=True)
    status = plain.fields["STATUS"]
    twins = {
        "SUB_STATUS": replace(status, name="subStatus"),
        "REAL_STATUS": replace(status, is_optional=True),
    }
    return replace(plain, fields={**plain.fields, **twins})


_ITEM_NAMES = {
    "STATUS_ID": "STAGE_ID",
    "STATUS_SEMANTIC_ID": "STAGE_SEMANTIC_ID",
    "DATE_CREATE": "CREATED_TIME",
    "DATE_MODIFY": "UPDATED_TIME",
    "CREATED_BY_ID": "CREATED_BY",
    "MODIFY_BY_ID": "UPDATED_BY",
    "MOVED_BY_ID": "MOVED_BY",
}
"""What crm.item.* calls the fields of the classic methods (vendor's page object-fields)."""
_ITEM_ENTITIES = {
    LEAD_TYPE_ID: portal_store.LEAD,
    DEAL_TYPE_ID: portal_store.DEAL,
    CONTACT_TYPE_ID: portal_store.CONTACT,
    COMPANY_TYPE_ID: portal_store.COMPANY,
    INVOICE_TYPE_ID: portal_store.INVOICE,
}


@lru_cache(maxsize=64)
def item_view(type_id: int) -> View:
    """How crm.item.* prints the records of an entity type."""
    entity = _ITEM_ENTITIES.get(type_id, portal_store.SMART_ITEM)
    skipped = (*_MULTIPLE, "ENTITY_TYPE_ID")
    return view(
        entity,
        REAL,
        only=[name for name in entity.columns if name not in skipped],
        forms={
            name: "number or 0" for name in ("COMPANY_ID", "CONTACT_ID") if name in entity.columns
        },
        renamed=_ITEM_NAMES,
        constants={"ENTITY_TYPE_ID": str(type_id)},
        is_camel=True,
        custom="always",
    )


@lru_cache(maxsize=64)
def _category_view(type_id: int) -> View:
    return view(
        portal_store.CATEGORY,
        REAL,
        only=("ID", "NAME", "SORT", "IS_DEFAULT"),
        constants={"ENTITY_TYPE_ID": str(type_id)},
        is_camel=True,
    )


def _always(laid_out: View) -> Prepare:
    return lambda _, parameters: Scan(laid_out, parameter(parameters, "filter"))


def _stage_history(_: PortalStore, parameters: Mapping[str, Any]) -> Scan | None:
    given = parameter(parameters, "entityTypeId")
    if given in (None, ""):
        raise MethodError(400, "INVALID_ARG_VALUE", "Parameter 'entityTypeId' is required.")
    laid_out = _STAGE_HISTORIES.get(number(given) or 0)
    return None if laid_out is None else Scan(laid_out, parameter(parameters, "filter"))


def _categories(store: PortalStore, parameters: Mapping[str, Any]) -> Scan:
    type_id = _entity_type(store, parameters)
    without = {LEAD_TYPE_ID: "LEAD", 5: "INVOICE", 7: "QUOTE"}
    if type_id in without:
        raise MethodError(
            400, "ENTITY_TYPE_NOT_SUPPORTED", f"Entity type {without[type_id]} is not supported"
        )
    condition = f'coalesce("ENTITY_TYPE_ID", {DEAL_TYPE_ID}) = ?'
    return Scan(_category_view(type_id), None, ([condition], [type_id]))


def _items(store: PortalStore, parameters: Mapping[str, Any]) -> Scan:
    type_id = item_type(store, parameters)
    given = parameter(parameters, "filter")
    if type_id >= FIRST_SMART_TYPE_ID:
        return Scan(item_view(type_id), given, (['"ENTITY_TYPE_ID" = ?'], [type_id]))
    return Scan(item_view(type_id), given)


def item_type(store: PortalStore, parameters: Mapping[str, Any]) -> int:
    """The entity type asked for, where crm.item.* has it.

    Raises:
        MethodError: it has not.
    """
    type_id = _entity_type(store, parameters)
    if type_id < FIRST_SMART_TYPE_ID and type_id not in _ITEM_ENTITIES:
        raise MethodError(
            400, "ENTITY_TYPE_NOT_SUPPORTED", f"Entity type {type_id} is not supported"
        )
    return type_id


def _entity_type(store: PortalStore, parameters: Mapping[str, Any]) -> int:
    """The entity type asked for; a smart process exists where it has a pipeline or items."""
    type_id = number(parameter(parameters, "entityTypeId"))
    if type_id is not None and 0 < type_id < FIRST_SMART_TYPE_ID:
        return type_id
    known = store.query(
        'select exists (select 1 from category where "ENTITY_TYPE_ID" = ?) '
        'or exists (select 1 from smart_item where "ENTITY_TYPE_ID" = ?)',
        (type_id, type_id),
    )
    if type_id is None or not known[0][0]:
        raise MethodError(400, "NOT_FOUND", "Smart process not found")
    return type_id


def _product_rows(_: PortalStore, parameters: Mapping[str, Any]) -> Scan:
    given = dict(_mapping(parameter(parameters, "filter")))
    fixed: tuple[list[str], list[Any]] = ([], [])
    for key, column in (("=ownerType", "OWNER_TYPE"), ("=ownerId", "OWNER_ID")):
        if given.get(key) in (None, "", [], {}):
            raise MethodError(400, "REQUIRED_ARG_MISSING", f"Required argument '{key}' is missing")
        owners = _listed(given.pop(key))
        fixed[0].append(f'"{column}" in ({", ".join("?" * len(owners))})')
        fixed[1].extend(owners)
    return Scan(_PRODUCT_ROWS, given, fixed)


def _timeline_comments(_: PortalStore, parameters: Mapping[str, Any]) -> Scan:
    given = _mapping(parameter(parameters, "filter"))
    named = {split(str(key))[1].upper() for key, value in given.items() if value not in (None, "")}
    for name in ("ENTITY_ID", "ENTITY_TYPE"):
        if name not in named:
            raise MethodError(400, "", f"The field {name} is required.")
    return Scan(_COMMENTS, given)


def _activities(_: PortalStore, parameters: Mapping[str, Any]) -> Scan:
    """`BINDINGS` selects by owner and by binding, an activity once for every pair it meets."""
    given = parameter(parameters, "filter")
    bindings = next(
        (key for key in _mapping(given) if split(str(key))[1].upper() == "BINDINGS"), None
    )
    if bindings is None:
        return Scan(_ACTIVITIES, given)
    pairs = given[bindings]
    pairs = [pairs] if isinstance(pairs, Mapping) and "OWNER_ID" in pairs else _listed(pairs)
    values = [
        number(_mapping(pair).get(name)) for pair in pairs for name in ("OWNER_TYPE_ID", "OWNER_ID")
    ]
    wanted = ", ".join(["(?, ?)"] * len(pairs)) or "(null, null)"
    source = (
        f"(with wanted(card_type, card_id) as (values {wanted}), bound as ("
        'select "ID" as activity, card_type, card_id from activity join wanted '
        'on "OWNER_TYPE_ID" = card_type and "OWNER_ID" = card_id '
        'union select "ACTIVITY_ID", card_type, card_id from binding join wanted '
        'on "ENTITY_TYPE_ID" = card_type and "ENTITY_ID" = card_id) '
        'select activity.* from bound join activity on activity."ID" = bound.activity)'
    )
    rest = {key: value for key, value in given.items() if key != bindings}
    return Scan(_ACTIVITIES, rest, source=(source, values))


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _listed(given: Any) -> Sequence[Any]:
    if isinstance(given, Mapping):
        return list(given.values())
    return given if isinstance(given, list | tuple) else [given]


_STRICT = Rules(is_strict=True)

LISTS: Mapping[str, ListMethod] = {
    "crm.deal.list": ListMethod("crm", _always(_DEALS)),
    "crm.lead.list": ListMethod("crm", _always(_LEADS)),
    "crm.contact.list": ListMethod("crm", _always(_CONTACTS)),
    "crm.company.list": ListMethod("crm", _always(_COMPANIES)),
    "crm.product.list": ListMethod("crm", _always(view(portal_store.PRODUCT, TEXT))),
    "crm.status.list": ListMethod("crm", _always(view(portal_store.STATUS, TEXT))),
    "crm.currency.list": ListMethod("crm", _always(_CURRENCIES), paging="uncounted"),
    "crm.category.list": ListMethod("crm", _categories, "categories", paging="counted"),
    "crm.stagehistory.list": ListMethod("crm", _stage_history, "items", _STRICT),
    "crm.item.list": ListMethod("crm", _items, "items", Rules(is_strict=True, has_groups=True)),
    "crm.item.productrow.list": ListMethod(
        "crm",
        _product_rows,
        "productRows",
        Rules(filterable=frozenset({"ID", "PRODUCT_ID"}), sortable=frozenset({"ID", "SORT"})),
        default_order='"SORT" asc',
    ),
    "crm.activity.list": ListMethod("crm", _activities),
    "crm.timeline.comment.list": ListMethod(
        "crm",
        _timeline_comments,
        rules=Rules(sortable=frozenset({"ID", "CREATED", "AUTHOR_ID"})),
    ),
    "tasks.task.list": ListMethod(
        "task",
        _always(_task_view()),
        "tasks",
        Rules(order_error=MethodError(400, "0", "Invalid sorting key (internal error)")),
        default_order='"ID" desc',
    ),
    "user.get": ListMethod("user", _always(_USERS), takes_plain_filter=True),
    "department.get": ListMethod("department", _always(_DEPARTMENTS), takes_plain_filter=True),
    "voximplant.statistic.get": ListMethod("telephony", _always(view(portal_store.CALL, TEXT))),
}


def call_list(
    store: PortalStore,
    name: str,
    parameters: Mapping[str, Any],
    restrict: Restrict | None = None,
) -> Page:
    """Answer one list method.

    Args:
        store: the records.
        name: a method of `LISTS`.
        parameters: as the client sent them.
        restrict: SQL conditions and their values by entity, for rows that the caller may not see.

    Raises:
        MethodError: the parameters are of the wrong shape or name an unknown field.
    """
    return answer_list(LISTS[name], store, parameters, restrict)
