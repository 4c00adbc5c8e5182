"""How each list method of Bitrix24 is read by ascending id."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sources.bitrix24 import tables
from sources.raw_tables import RawTable
from sources.web import listed, php_parameters

LEAD, DEAL, INVOICE = 1, 2, 31
"""Entity types (vendor's page crm/data-types, object_type)."""


@dataclass(frozen=True)
class IdList:
    """One list, read by ascending id.

    Attributes:
        table: where its rows go.
        parameters: sent with every page, e.g. what to select.
        filters: of every page.
        id_field: the id's name in filters.
        row_id: the id's name in rows, where it is another one.
        envelope: the key of the list inside `result`; none where `result` is the list.
        is_upper_case: voximplant.statistic.get names its parameters FILTER, SORT and ORDER.
        modified: the field of the last change, for lists whose rows change.
        created: the field of the creation, for back-fills.
        id_select: parameters that make the portal send ids only; none where it can't.
        in_filter: the filter that takes a list of ids; none where the method has none.
        constants: fields that every row gets, since the portal doesn't print them.
        entity: its name in logs and reconciliation; the table's unless several share it.
        grows: rows come by ascending id and, those with a time of change apart, never change.
        trailing_window: how far back a growing list is read again, for fields filled later.
        is_core: without it no report is right.
        sweep_days: how often its ids are compared though the counts agree.
    """

    table: RawTable
    parameters: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] = field(default_factory=dict)
    id_field: str = "ID"
    row_id: str = ""
    envelope: str | None = None
    is_upper_case: bool = False
    modified: str | None = None
    created: str | None = None
    id_select: Mapping[str, Any] | None = None
    in_filter: str | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    entity: str = ""
    grows: bool = False
    trailing_window: dt.timedelta | None = None
    is_core: bool = False
    sweep_days: int | None = None

    @property
    def name(self) -> str:
        """The entity's name in logs and reconciliation."""
        return self.entity or self.table.name

    @property
    def method(self) -> str:
        """The REST method."""
        return self.table.method

    def request(
        self, filters: Mapping[str, Any], *, descending: bool = False, only_ids: bool = False
    ) -> dict[str, Any]:
        """Parameters of one page by id."""
        direction = "DESC" if descending else "ASC"
        merged = {**self.filters, **filters}
        parameters = dict(self.parameters)
        if only_ids and self.id_select is not None:
            parameters |= self.id_select
        if self.is_upper_case:
            return {**parameters, "FILTER": merged, "SORT": "ID", "ORDER": direction}
        return {**parameters, "filter": merged, "order": {self.id_field: direction}}

    def command(self, request: Mapping[str, Any]) -> str:
        """The request as a command of a batch."""
        return command(self.method, request)

    def last_id_of(self, key: str, rows: int) -> str:
        """A reference to the id of the last row of an earlier command of the same batch."""
        envelope = f"[{self.envelope}]" if self.envelope else ""
        return f"$result[{key}]{envelope}[{rows - 1}][{self.row_id or self.id_field}]"

    def id_of(self, row: Any) -> int | None:
        """The row's id; None where it can't be read."""
        try:
            return int(row[self.row_id or self.id_field])
        except (KeyError, TypeError, ValueError):
            return None

    def ids(self, rows: Iterable[Any]) -> list[int]:
        """The ids that can be read."""
        return [found for row in rows if (found := self.id_of(row)) is not None]

    def rows(self, result: Any) -> list[Any]:
        """The rows of an answer, with the constants."""
        found = listed(result, self.envelope)
        if not self.constants:
            return found
        return [{**self.constants, **row} if isinstance(row, dict) else row for row in found]


def command(method: str, parameters: Mapping[str, Any]) -> str:
    """`method?query`, percent-encoded, PHP brackets; references to other commands stay readable.

    Unencoded, `filter[<=ID]=` splits at the first `=` and filters nothing.
    """
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='$[]' if value.startswith('$result') else '')}"
        for name, value in php_parameters(parameters)
    )
    return f"{method}?{query}" if query else method


SWEEP_DAYS = 7
"""People delete CRM objects and tasks; what only ever grows is swept when its count differs."""
CALLS_TRAILING_WINDOW = dt.timedelta(days=7)
_CRM_SELECT = ["*", "UF_*"]
_ONLY_ID: Mapping[str, Any] = {"select": ["ID"]}


def _cards(table: RawTable, *multiple: str, is_core: bool = False) -> IdList:
    """A classic CRM list; multiple fields have to be named."""
    return IdList(
        table,
        {"select": [*_CRM_SELECT, *multiple]},
        modified="DATE_MODIFY",
        created="DATE_CREATE",
        id_select=_ONLY_ID,
        in_filter="@ID",
        is_core=is_core,
        sweep_days=SWEEP_DAYS,
    )


COMPANIES = _cards(tables.COMPANIES, "PHONE", "EMAIL")
CONTACTS = _cards(tables.CONTACTS, "PHONE", "EMAIL")
LEADS = _cards(tables.LEADS, "PHONE", "EMAIL")
DEALS = _cards(tables.DEALS, is_core=True)
PRODUCTS = IdList(
    tables.PRODUCTS,
    created="DATE_CREATE",
    id_select=_ONLY_ID,
    in_filter="@ID",
    sweep_days=SWEEP_DAYS,
)


def items(table: RawTable, entity_type_id: int, entity: str = "") -> IdList:
    """The list of one entity type by crm.item.list."""
    return IdList(
        table,
        {"entityTypeId": entity_type_id, "select": ["*"], "useOriginalUfNames": "Y"},
        id_field="id",
        envelope="items",
        modified="updatedTime",
        created="createdTime",
        id_select={"select": ["id"]},
        in_filter="@id",
        constants={"entityTypeId": entity_type_id} if table is tables.SMART_ITEMS else {},
        entity=entity,
        sweep_days=SWEEP_DAYS,
    )


def _history(table: RawTable, entity_type_id: int, *, is_core: bool = False) -> IdList:
    return IdList(
        table,
        {"entityTypeId": entity_type_id},
        envelope="items",
        created="CREATED_TIME",
        id_select=_ONLY_ID,
        in_filter="@ID",
        grows=True,
        is_core=is_core,
    )


INVOICES = items(tables.INVOICES, INVOICE)
LEAD_STAGE_HISTORY = _history(tables.LEAD_STAGE_HISTORY, LEAD)
STAGE_HISTORY = _history(tables.STAGE_HISTORY, DEAL, is_core=True)
INVOICE_STAGE_HISTORY = _history(tables.INVOICE_STAGE_HISTORY, INVOICE)
ACTIVITIES = IdList(
    tables.ACTIVITIES,
    modified="LAST_UPDATED",
    created="CREATED",
    id_select=_ONLY_ID,
    in_filter="@ID",
    grows=True,
)
_TASK_SELECT = [
    "ID",
    "TITLE",
    "STATUS",
    "PRIORITY",
    "CREATED_BY",
    "RESPONSIBLE_ID",
    "CREATED_DATE",
    "CHANGED_DATE",
    "DATE_START",
    "DEADLINE",
    "START_DATE_PLAN",
    "END_DATE_PLAN",
    "CLOSED_DATE",
    "CLOSED_BY",
    "GROUP_ID",
    "PARENT_ID",
    "UF_CRM_TASK",
]
TASKS = IdList(
    tables.TASKS,
    {"select": _TASK_SELECT},
    row_id="id",
    envelope="tasks",
    modified="CHANGED_DATE",
    created="CREATED_DATE",
    id_select=_ONLY_ID,
    in_filter="ID",
    sweep_days=SWEEP_DAYS,
)
CALLS = IdList(
    tables.CALLS,
    is_upper_case=True,
    created="CALL_START_DATE",
    grows=True,
    trailing_window=CALLS_TRAILING_WINDOW,
)
CARDS = (PRODUCTS, COMPANIES, CONTACTS, LEADS, DEALS, INVOICES)
"""In loading order; the items of smart processes come behind them."""
EVENTS = (
    LEAD_STAGE_HISTORY,
    STAGE_HISTORY,
    INVOICE_STAGE_HISTORY,
    ACTIVITIES,
    TASKS,
    CALLS,
)
"""What points to cards, in loading order."""
