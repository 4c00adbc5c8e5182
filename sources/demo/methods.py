"""What each REST method of the portal returns, and in which of Bitrix24's several dialects.

Envelopes, id keys and types differ from method to method; the table `LISTS` says how, the rest of
the module is the shared machinery: filter, order, select, page, print. Documented in the vendor's
pages `crm.*.list`, `crm.stagehistory.list`, `user.get`, `department.get`,
`voximplant.statistic.get`, `batch`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sources.demo import store as portal_store
from sources.demo.store import Entity, Kind, PortalStore, from_microseconds, to_microseconds

PAGE_SIZE = 50
MICROSECONDS = 1_000_000

Dialect = Literal["classic", "telephony", "history", "category", "user", "department"]


class MethodError(Exception):
    """An answer with an error body, as documented for the method."""

    def __init__(self, status: int, code: str | int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description


@dataclass(frozen=True)
class ListMethod:
    """One list method: the entity behind it and its dialect."""

    entity: Entity
    dialect: Dialect
    scope: str
    envelope: str | None = None
    strict_filter: bool = False
    """crm.stagehistory.list refuses unknown fields; the classic lists ignore them."""


LISTS: Mapping[str, ListMethod] = {
    "crm.deal.list": ListMethod(portal_store.DEAL, "classic", "crm"),
    "crm.contact.list": ListMethod(portal_store.CONTACT, "classic", "crm"),
    "crm.status.list": ListMethod(portal_store.STATUS, "classic", "crm"),
    "crm.activity.list": ListMethod(portal_store.ACTIVITY, "classic", "crm"),
    "crm.category.list": ListMethod(portal_store.CATEGORY, "category", "crm", "categories"),
    "crm.stagehistory.list": ListMethod(
        portal_store.STAGE_HISTORY, "history", "crm", "items", strict_filter=True
    ),
    "user.get": ListMethod(portal_store.USER, "user", "user"),
    "department.get": ListMethod(portal_store.DEPARTMENT, "department", "department"),
    "voximplant.statistic.get": ListMethod(portal_store.CALL, "telephony", "telephony"),
}
SCOPES = tuple(sorted({method.scope for method in LISTS.values()}))

_OPERATOR = re.compile(r"^(>=|<=|!><|!@|!%|!=|=%|%=|><|>|<|@|=|!|%)?(.+)$")


@dataclass(frozen=True)
class Page:
    """The answer of a list method before it is wrapped in the envelope."""

    result: Any
    total: int
    next: int | None


def call_list(store: PortalStore, name: str, parameters: Mapping[str, Any]) -> Page:
    """Answer one list method.

    Raises:
        MethodError: the parameters are of the wrong shape or name an unknown field.
    """
    method = LISTS[name]
    entity = method.entity
    if name == "crm.stagehistory.list" and str(_parameter(parameters, "entityTypeId")) != "2":
        if _parameter(parameters, "entityTypeId") in (None, ""):
            raise MethodError(400, "INVALID_ARG_VALUE", "Parameter 'entityTypeId' is required.")
        # The invented company has neither leads nor invoices: no history of theirs either.
        return Page({"items": []}, 0, None)
    where, values = _where(store, method, _parameter(parameters, "filter"))
    if method.dialect in ("user", "department", "category"):
        plain_where, plain_values = _plain_filter(store, method, parameters)
        where, values = where + plain_where, values + plain_values
    condition = f"where {' and '.join(where)}" if where else ""
    start = _start(parameters)
    names = _selected(entity, _parameter(parameters, "select"))
    columns = ", ".join(f'"{column}"' for column in entity.columns)
    paging = "" if method.dialect == "category" else f"limit {PAGE_SIZE} offset {max(start, 0)}"
    rows = store.query(
        f'select {columns} from "{entity.name}" {condition} {_order(entity, parameters)} {paging}',
        values,
    )
    total = 0
    following = None
    if start >= 0:
        total = store.query(f'select count(*) from "{entity.name}" {condition}', values)[0][0]
        if method.dialect != "category" and start + PAGE_SIZE < total:
            following = start + PAGE_SIZE
    printed = [_printed(store, method.dialect, entity, dict(row), names) for row in rows]
    return Page({method.envelope: printed} if method.envelope else printed, total, following)


def portal_time(store: PortalStore, microseconds: int) -> str:
    """An instant in the portal's own zone, `2026-06-30T18:00:00+03:00`."""
    zone = dt.timezone(dt.timedelta(minutes=int(store.meta("utc_offset", 0))))
    return from_microseconds(microseconds).astimezone(zone).isoformat()


def _parameter(parameters: Mapping[str, Any], name: str) -> Any:
    for key, value in parameters.items():
        if key.lower() == name.lower():
            return value
    return None


def _start(parameters: Mapping[str, Any]) -> int:
    raw = _parameter(parameters, "start")
    try:
        start = int(raw) if raw not in (None, "") else 0
    except (TypeError, ValueError):
        start = 0
    return start if start == -1 else max(0, start)


def _selected(entity: Entity, select: Any) -> set[str]:
    """Field names to print. `*` is every standard field without the multiple and custom ones."""
    multiple = {name for name in ("PHONE", "EMAIL") if entity.columns.get(name) == "json"}
    standard = entity.columns.keys() - multiple - {"CUSTOM"}
    if not select:
        return standard
    wanted = set(select.values()) if isinstance(select, Mapping) else set(select)
    names = {name for name in wanted if name in entity.columns}
    if "*" in wanted:
        names |= standard
    if "UF_*" in wanted:
        names.add("CUSTOM")
    names |= {name for name in wanted if name.startswith("UF_")}
    return names | {"ID"}


def _where(store: PortalStore, method: ListMethod, given: Any) -> tuple[list[str], list[Any]]:
    if given in (None, "", [], {}):
        return [], []
    if not isinstance(given, Mapping):
        raise MethodError(400, "", "Parameter 'filter' must be array.")
    clauses: list[str] = []
    values: list[Any] = []
    for key, value in given.items():
        match = _OPERATOR.match(str(key))
        operator, field = (match.group(1) or "=", match.group(2)) if match else ("=", str(key))
        column = _column(method, field)
        if column is None:
            if method.strict_filter:
                raise MethodError(
                    400,
                    "INVALID_ARG_VALUE",
                    f"Invalid filter: field '{field}' is not allowed in filter",
                )
            continue
        clause, bound = _clause(store, method.entity.columns[column], column, operator, value)
        clauses.append(clause)
        values.extend(bound)
    return clauses, values


def _plain_filter(
    store: PortalStore, method: ListMethod, parameters: Mapping[str, Any]
) -> tuple[list[str], list[Any]]:
    """`user.get?ID=1`, `department.get?ID=3`: these methods also filter by plain parameters."""
    plain = {
        key: value
        for key, value in parameters.items()
        if key.upper() in method.entity.columns and key.upper() not in ("SORT",)
    }
    return _where(store, method, plain)


def _column(method: ListMethod, field: str) -> str | None:
    name = field if method.dialect != "category" else re.sub(r"(?<!^)(?=[A-Z])", "_", field)
    name = name.upper()
    return name if name in method.entity.columns else None


def _clause(
    store: PortalStore, kind: Kind, column: str, operator: str, value: Any
) -> tuple[str, list[Any]]:
    quoted = f'"{column}"'
    if operator in ("><", "!><"):
        low, high = (_bound(store, kind, item) for item in list(value)[:2])
        negated = "not " if operator == "!><" else ""
        return f"{quoted} {negated}between ? and ?", [low, high]
    if isinstance(value, list | tuple | Mapping) or operator in ("@", "!@"):
        items = list(value.values()) if isinstance(value, Mapping) else value
        items = items if isinstance(items, list | tuple) else [items]
        negated = "not " if operator.startswith("!") else ""
        marks = ", ".join("?" * len(items))
        return f"{quoted} {negated}in ({marks})", [_bound(store, kind, item) for item in items]
    if operator in ("%", "=%", "%=", "!%"):
        negated = "not " if operator == "!%" else ""
        pattern = str(value) if operator == "=%" else f"%{value}%"
        return f"{quoted} {negated}like ?", [pattern]
    if value in (None, ""):
        empty = f"({quoted} is null or {quoted} = '')"
        return (f"not {empty}" if operator.startswith("!") else empty), []
    symbol = {"=": "=", "!": "<>", "!=": "<>"}.get(operator, operator)
    return f"{quoted} {symbol} ?", [_bound(store, kind, value)]


def _bound(store: PortalStore, kind: Kind, value: Any) -> Any:
    if kind == "flag":
        return int(value in (True, 1, "1", "Y", "y", "true"))
    if kind == "integer":
        try:
            return int(value)
        except (TypeError, ValueError):
            return 0  # PHP casts rubbish to 0
    if kind == "instant":
        try:
            instant = dt.datetime.fromisoformat(str(value))
        except ValueError:
            return 0
        if instant.tzinfo is None:
            offset = dt.timedelta(minutes=int(store.meta("utc_offset", 0)))
            instant = instant.replace(tzinfo=dt.timezone(offset))
        return to_microseconds(instant)
    return str(value)


def _order(entity: Entity, parameters: Mapping[str, Any]) -> str:
    given = _parameter(parameters, "order")
    terms: list[str] = []
    if isinstance(given, Mapping):
        for field, direction in given.items():
            if str(field).upper() in entity.columns:
                terms.append(_term(str(field).upper(), direction))
    else:
        # user.get and voximplant.statistic.get: SORT names the field, ORDER the direction.
        sort = _parameter(parameters, "sort")
        if isinstance(sort, str) and sort.upper() in entity.columns:
            terms.append(_term(sort.upper(), given))
    if not any(term.startswith('"ID"') for term in terms):
        terms.append('"ID" asc')
    return "order by " + ", ".join(terms)


def _term(column: str, direction: Any) -> str:
    return f'"{column}" ' + ("desc" if str(direction).upper() == "DESC" else "asc")


def _printed(
    store: PortalStore, dialect: Dialect, entity: Entity, row: dict[str, Any], names: set[str]
) -> dict[str, Any]:
    if dialect == "category":
        return {
            "id": row["ID"],
            "name": row["NAME"],
            "sort": row["SORT"],
            "entityTypeId": 2,
            "isDefault": "Y" if row["IS_DEFAULT"] else "N",
        }
    printed: dict[str, Any] = {}
    for name, kind in entity.columns.items():
        if name == "CUSTOM":
            custom = json.loads(row["CUSTOM"] or "{}")
            printed |= {k: v for k, v in custom.items() if k in names or "CUSTOM" in names}
        elif name in names:
            printer = _PRINTERS.get((dialect, name))
            value = row[name]
            printed[name] = (
                printer(store, value) if printer else _print(store, dialect, kind, value)
            )
    if dialect == "user":
        printed["TIMESTAMP_X"] = {}
    return printed


def _print(store: PortalStore, dialect: Dialect, kind: Kind, value: Any) -> Any:
    if value is None:
        return "" if kind == "instant" else None
    if kind == "instant":
        return portal_time(store, value)
    if kind == "flag":
        return "Y" if value else "N"
    if kind == "json":
        return json.loads(value)
    if kind == "integer":
        return value if dialect == "history" else str(value)
    return value


def _naive_portal_time(store: PortalStore, value: Any) -> Any:
    """`LAST_ACTIVITY_DATE` comes without an offset, and as an empty map when never."""
    if value is None:
        return {}
    return portal_time(store, value)[:19].replace("T", " ")


_PRINTERS: Mapping[tuple[Dialect, str], Callable[[PortalStore, Any], Any]] = {
    ("user", "ACTIVE"): lambda _, value: bool(value),
    ("user", "LAST_ACTIVITY_DATE"): _naive_portal_time,
    ("department", "SORT"): lambda _, value: value,
    ("classic", "COMPANY_ID"): lambda _, value: str(value or 0),
}
