"""The portal's store: one SQLite file, one indexed table per Bitrix24 entity.

The generator and the replay write it, the HTTP portal reads it. Columns carry the names of
Bitrix24's REST fields; instants are integer microseconds since 1970 in UTC, so that no precision
of a replayed file is lost; lists and maps are JSON text. How a method prints a column (string or
number, `Y`/`N` or true/false, offset of the portal) is the portal's business, not the store's.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["integer", "text", "instant", "flag", "decimal", "json"]
"""`flag` is 0 or 1; `decimal` is kept as text ("15000.00"); `instant` is microseconds UTC."""

UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entity:
    """One table of the store: its columns in order, the first of which is the primary key."""

    name: str
    columns: Mapping[str, Kind]
    indexes: Sequence[str] = ()


DEAL_TYPE_ID = 2
INVOICE_TYPE_ID = 31
"""Entity types (vendor's page crm/data-types); smart processes have 128 and above."""

CATEGORY = Entity(
    "category",
    {
        "ID": "integer",
        "NAME": "text",
        "SORT": "integer",
        "IS_DEFAULT": "flag",
        "ENTITY_TYPE_ID": "integer",
    },
)
STATUS = Entity(
    "status",
    {
        "ID": "integer",
        "ENTITY_ID": "text",
        "STATUS_ID": "text",
        "NAME": "text",
        "SORT": "integer",
        "SYSTEM": "flag",
        "CATEGORY_ID": "integer",
        "COLOR": "text",
        "SEMANTICS": "text",
    },
    indexes=("ENTITY_ID",),
)
USER = Entity(
    "user",
    {
        "ID": "integer",
        "XML_ID": "text",
        "ACTIVE": "flag",
        "NAME": "text",
        "LAST_NAME": "text",
        "SECOND_NAME": "text",
        "EMAIL": "text",
        "LAST_LOGIN": "instant",
        "DATE_REGISTER": "instant",
        "LAST_ACTIVITY_DATE": "instant",
        "WORK_POSITION": "text",
        "UF_EMPLOYMENT_DATE": "instant",
        "UF_DEPARTMENT": "json",
        "UF_PHONE_INNER": "text",
        "USER_TYPE": "text",
    },
)
DEPARTMENT = Entity(
    "department",
    {
        "ID": "integer",
        "NAME": "text",
        "SORT": "integer",
        "PARENT": "integer",
        "UF_HEAD": "integer",
    },
)
CONTACT = Entity(
    "contact",
    {
        "ID": "integer",
        "NAME": "text",
        "LAST_NAME": "text",
        "SECOND_NAME": "text",
        "COMPANY_ID": "integer",
        "SOURCE_ID": "text",
        "ASSIGNED_BY_ID": "integer",
        "CREATED_BY_ID": "integer",
        "MODIFY_BY_ID": "integer",
        "DATE_CREATE": "instant",
        "DATE_MODIFY": "instant",
        "ORIGINATOR_ID": "text",
        "ORIGIN_ID": "text",
        "PHONE": "json",
        "EMAIL": "json",
        "CUSTOM": "json",
    },
    indexes=("DATE_MODIFY",),
)
DEAL = Entity(
    "deal",
    {
        "ID": "integer",
        "TITLE": "text",
        "TYPE_ID": "text",
        "CATEGORY_ID": "integer",
        "STAGE_ID": "text",
        "STAGE_SEMANTIC_ID": "text",
        "IS_NEW": "flag",
        "IS_RECURRING": "flag",
        "IS_RETURN_CUSTOMER": "flag",
        "CURRENCY_ID": "text",
        "OPPORTUNITY": "decimal",
        "IS_MANUAL_OPPORTUNITY": "flag",
        "LEAD_ID": "integer",
        "COMPANY_ID": "integer",
        "CONTACT_ID": "integer",
        "BEGINDATE": "instant",
        "CLOSEDATE": "instant",
        "OPENED": "flag",
        "CLOSED": "flag",
        "ASSIGNED_BY_ID": "integer",
        "CREATED_BY_ID": "integer",
        "MODIFY_BY_ID": "integer",
        "MOVED_BY_ID": "integer",
        "DATE_CREATE": "instant",
        "DATE_MODIFY": "instant",
        "MOVED_TIME": "instant",
        "SOURCE_ID": "text",
        "SOURCE_DESCRIPTION": "text",
        "ORIGINATOR_ID": "text",
        "ORIGIN_ID": "text",
        "UTM_SOURCE": "text",
        "UTM_MEDIUM": "text",
        "UTM_CAMPAIGN": "text",
        "UTM_CONTENT": "text",
        "UTM_TERM": "text",
        "LAST_ACTIVITY_TIME": "instant",
        "LAST_ACTIVITY_BY": "integer",
        "CUSTOM": "json",
    },
    indexes=("DATE_MODIFY",),
)
LEAD = Entity(
    "lead",
    {
        "ID": "integer",
        "TITLE": "text",
        "NAME": "text",
        "SECOND_NAME": "text",
        "LAST_NAME": "text",
        "COMPANY_TITLE": "text",
        "COMPANY_ID": "integer",
        "CONTACT_ID": "integer",
        "IS_RETURN_CUSTOMER": "flag",
        "SOURCE_ID": "text",
        "SOURCE_DESCRIPTION": "text",
        "STATUS_ID": "text",
        "STATUS_SEMANTIC_ID": "text",
        "STATUS_DESCRIPTION": "text",
        "CURRENCY_ID": "text",
        "OPPORTUNITY": "decimal",
        "IS_MANUAL_OPPORTUNITY": "flag",
        "HAS_PHONE": "flag",
        "HAS_EMAIL": "flag",
        "HAS_IMOL": "flag",
        "OPENED": "flag",
        "ASSIGNED_BY_ID": "integer",
        "CREATED_BY_ID": "integer",
        "MODIFY_BY_ID": "integer",
        "MOVED_BY_ID": "integer",
        "DATE_CREATE": "instant",
        "DATE_MODIFY": "instant",
        "DATE_CLOSED": "instant",
        "MOVED_TIME": "instant",
        "ORIGINATOR_ID": "text",
        "ORIGIN_ID": "text",
        "UTM_SOURCE": "text",
        "UTM_MEDIUM": "text",
        "UTM_CAMPAIGN": "text",
        "UTM_CONTENT": "text",
        "UTM_TERM": "text",
        "LAST_ACTIVITY_TIME": "instant",
        "LAST_ACTIVITY_BY": "integer",
        "PHONE": "json",
        "EMAIL": "json",
        "CUSTOM": "json",
    },
    indexes=("DATE_MODIFY",),
)
COMPANY = Entity(
    "company",
    {
        "ID": "integer",
        "TITLE": "text",
        "COMPANY_TYPE": "text",
        "INDUSTRY": "text",
        "LEAD_ID": "integer",
        "ASSIGNED_BY_ID": "integer",
        "CREATED_BY_ID": "integer",
        "MODIFY_BY_ID": "integer",
        "DATE_CREATE": "instant",
        "DATE_MODIFY": "instant",
        "ORIGINATOR_ID": "text",
        "ORIGIN_ID": "text",
        "PHONE": "json",
        "EMAIL": "json",
        "CUSTOM": "json",
    },
    indexes=("DATE_MODIFY",),
)
INVOICE = Entity(
    "invoice",
    {
        "ID": "integer",
        "TITLE": "text",
        "ACCOUNT_NUMBER": "text",
        "CATEGORY_ID": "integer",
        "STAGE_ID": "text",
        "PREVIOUS_STAGE_ID": "text",
        "OPPORTUNITY": "decimal",
        "IS_MANUAL_OPPORTUNITY": "flag",
        "TAX_VALUE": "decimal",
        "CURRENCY_ID": "text",
        "COMPANY_ID": "integer",
        "CONTACT_ID": "integer",
        "PARENT_ID_2": "integer",
        "SOURCE_ID": "text",
        "BEGINDATE": "instant",
        "CLOSEDATE": "instant",
        "OPENED": "flag",
        "ASSIGNED_BY_ID": "integer",
        "CREATED_BY": "integer",
        "UPDATED_BY": "integer",
        "MOVED_BY": "integer",
        "CREATED_TIME": "instant",
        "UPDATED_TIME": "instant",
        "MOVED_TIME": "instant",
        "LAST_ACTIVITY_TIME": "instant",
        "LAST_ACTIVITY_BY": "integer",
        "CUSTOM": "json",
    },
    indexes=("UPDATED_TIME",),
)
SMART_ITEM = Entity(
    "smart_item",
    {
        "ID": "integer",
        "ENTITY_TYPE_ID": "integer",
        **{name: kind for name, kind in INVOICE.columns.items() if name not in ("ID",)},
    },
    indexes=("ENTITY_TYPE_ID", "UPDATED_TIME"),
)
LEAD_STAGE_HISTORY = Entity(
    "lead_stage_history",
    {
        "ID": "integer",
        "TYPE_ID": "integer",
        "OWNER_ID": "integer",
        "CREATED_TIME": "instant",
        "STATUS_SEMANTIC_ID": "text",
        "STATUS_ID": "text",
    },
    indexes=("OWNER_ID",),
)
INVOICE_STAGE_HISTORY = Entity(
    "invoice_stage_history",
    {
        "ID": "integer",
        "TYPE_ID": "integer",
        "OWNER_ID": "integer",
        "CREATED_TIME": "instant",
        "CATEGORY_ID": "integer",
        "STAGE_SEMANTIC_ID": "text",
        "STAGE_ID": "text",
    },
    indexes=("OWNER_ID",),
)
STAGE_HISTORY = Entity(
    "stage_history",
    {
        "ID": "integer",
        "TYPE_ID": "integer",
        "OWNER_ID": "integer",
        "CREATED_TIME": "instant",
        "CATEGORY_ID": "integer",
        "STAGE_SEMANTIC_ID": "text",
        "STAGE_ID": "text",
    },
    indexes=("OWNER_ID",),
)
ACTIVITY = Entity(
    "activity",
    {
        "ID": "integer",
        "OWNER_ID": "integer",
        "OWNER_TYPE_ID": "integer",
        "TYPE_ID": "integer",
        "PROVIDER_ID": "text",
        "PROVIDER_TYPE_ID": "text",
        "SUBJECT": "text",
        "CREATED": "instant",
        "LAST_UPDATED": "instant",
        "START_TIME": "instant",
        "END_TIME": "instant",
        "DEADLINE": "instant",
        "COMPLETED": "flag",
        "STATUS": "integer",
        "RESPONSIBLE_ID": "integer",
        "PRIORITY": "integer",
        "DIRECTION": "integer",
        "AUTHOR_ID": "integer",
        "EDITOR_ID": "integer",
        "ORIGIN_ID": "text",
    },
    indexes=("LAST_UPDATED",),
)
BINDING = Entity(
    "binding",
    {
        "ID": "integer",
        "ACTIVITY_ID": "integer",
        "ENTITY_TYPE_ID": "integer",
        "ENTITY_ID": "integer",
    },
    indexes=("ACTIVITY_ID",),
)
"""What an activity is bound to beside its owner, which the portal adds by itself."""
TASK = Entity(
    "task",
    {
        "ID": "integer",
        "TITLE": "text",
        "STATUS": "integer",
        "PRIORITY": "integer",
        "CREATED_BY": "integer",
        "RESPONSIBLE_ID": "integer",
        "CREATED_DATE": "instant",
        "CHANGED_DATE": "instant",
        "DATE_START": "instant",
        "DEADLINE": "instant",
        "START_DATE_PLAN": "instant",
        "END_DATE_PLAN": "instant",
        "CLOSED_DATE": "instant",
        "CLOSED_BY": "integer",
        "GROUP_ID": "integer",
        "PARENT_ID": "integer",
        "UF_CRM_TASK": "json",
    },
    indexes=("CHANGED_DATE",),
)
TASK_HISTORY = Entity(
    "task_history",
    {
        "ID": "integer",
        "TASK_ID": "integer",
        "CREATED_DATE": "instant",
        "USER_ID": "integer",
        "FIELD": "text",
        "VALUE_FROM": "text",
        "VALUE_TO": "text",
    },
    indexes=("TASK_ID",),
)
"""Deadlines stand in VALUE_FROM and VALUE_TO as seconds since 1970, as the portal prints them."""
TIMELINE_COMMENT = Entity(
    "timeline_comment",
    {
        "ID": "integer",
        "ENTITY_TYPE": "text",
        "ENTITY_ID": "integer",
        "AUTHOR_ID": "integer",
        "CREATED": "instant",
        "COMMENT": "text",
    },
    indexes=("ENTITY_ID",),
)
PRODUCT = Entity(
    "product",
    {
        "ID": "integer",
        "NAME": "text",
        "CODE": "text",
        "ACTIVE": "flag",
        "PRICE": "decimal",
        "CURRENCY_ID": "text",
        "SECTION_ID": "integer",
        "SORT": "integer",
        "XML_ID": "text",
        "DATE_CREATE": "instant",
        "TIMESTAMP_X": "instant",
        "CREATED_BY": "integer",
        "MODIFIED_BY": "integer",
    },
)
PRODUCT_ROW = Entity(
    "product_row",
    {
        "ID": "integer",
        "OWNER_TYPE": "text",
        "OWNER_ID": "integer",
        "PRODUCT_ID": "integer",
        "PRODUCT_NAME": "text",
        "PRICE": "decimal",
        "PRICE_NETTO": "decimal",
        "PRICE_BRUTTO": "decimal",
        "QUANTITY": "decimal",
        "DISCOUNT_TYPE_ID": "integer",
        "DISCOUNT_RATE": "decimal",
        "DISCOUNT_SUM": "decimal",
        "TAX_RATE": "decimal",
        "TAX_INCLUDED": "flag",
        "MEASURE_CODE": "integer",
        "MEASURE_NAME": "text",
        "SORT": "integer",
        "XML_ID": "text",
        "TYPE": "integer",
    },
    indexes=("OWNER_ID",),
)
CURRENCY = Entity(
    "currency",
    {
        "ID": "integer",
        "CURRENCY": "text",
        "AMOUNT_CNT": "integer",
        "AMOUNT": "decimal",
        "SORT": "integer",
        "BASE": "flag",
        "FULL_NAME": "text",
        "LID": "text",
        "DATE_UPDATE": "instant",
    },
)
CUSTOM_FIELD = Entity(
    "custom_field",
    {
        "ID": "integer",
        "ENTITY_TYPE": "text",
        "FIELD_NAME": "text",
        "USER_TYPE": "text",
        "LABEL": "text",
        "IS_MULTIPLE": "flag",
        "ITEMS": "json",
    },
    indexes=("ENTITY_TYPE",),
)
"""`ENTITY_TYPE` is lead, deal, contact, company, invoice or smart_item_<entity type id>;
`ITEMS` the options of a list: ID, VALUE."""
CALL = Entity(
    "call",
    {
        "ID": "integer",
        "PORTAL_USER_ID": "integer",
        "PORTAL_NUMBER": "text",
        "PHONE_NUMBER": "text",
        "CALL_ID": "text",
        "EXTERNAL_CALL_ID": "text",
        "CALL_CATEGORY": "text",
        "CALL_DURATION": "integer",
        "CALL_START_DATE": "instant",
        "CALL_RECORD_URL": "text",
        "CALL_VOTE": "integer",
        "COST": "decimal",
        "COST_CURRENCY": "text",
        "CALL_FAILED_CODE": "text",
        "CALL_FAILED_REASON": "text",
        "CRM_ENTITY_TYPE": "text",
        "CRM_ENTITY_ID": "integer",
        "CRM_ACTIVITY_ID": "integer",
        "REST_APP_ID": "integer",
        "REST_APP_NAME": "text",
        "CALL_TYPE": "integer",
    },
    indexes=("CALL_START_DATE",),
)

ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        CATEGORY,
        STATUS,
        USER,
        DEPARTMENT,
        CONTACT,
        COMPANY,
        LEAD,
        DEAL,
        INVOICE,
        SMART_ITEM,
        STAGE_HISTORY,
        LEAD_STAGE_HISTORY,
        INVOICE_STAGE_HISTORY,
        ACTIVITY,
        BINDING,
        TASK,
        TASK_HISTORY,
        TIMELINE_COMMENT,
        PRODUCT,
        PRODUCT_ROW,
        CURRENCY,
        CUSTOM_FIELD,
        CALL,
    )
}


def _belongings(entity_name: str, type_id: int, code: str, history: str) -> tuple[str, ...]:
    """Statements that delete what belongs to a card; `?` is its id."""
    owned = f'"OWNER_TYPE_ID" = {type_id} and "OWNER_ID" = ?'
    return (
        f'delete from {history} where "OWNER_ID" = ?',
        f'delete from binding where "ACTIVITY_ID" in (select "ID" from activity where {owned})',
        f"delete from activity where {owned}",
        f'delete from binding where "ENTITY_TYPE_ID" = {type_id} and "ENTITY_ID" = ?',
        f'delete from timeline_comment where "ENTITY_TYPE" = \'{entity_name}\' and "ENTITY_ID" = ?',
        f'delete from product_row where "OWNER_TYPE" = \'{code}\' and "OWNER_ID" = ?',
    )


_CARDS: Mapping[str, tuple[str, ...]] = {
    "lead": _belongings("lead", 1, "L", "lead_stage_history"),
    "deal": _belongings("deal", DEAL_TYPE_ID, "D", "stage_history"),
}
_SQLITE_TYPE: Mapping[Kind, str] = {
    "integer": "integer",
    "text": "text",
    "instant": "integer",
    "flag": "integer",
    "decimal": "text",
    "json": "text",
}


def to_microseconds(instant: dt.datetime) -> int:
    """Microseconds since 1970 in UTC of an aware instant, exactly (no floating point)."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no offset from UTC")
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)


def from_microseconds(microseconds: int) -> dt.datetime:
    """The aware UTC instant of a stored value."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


class PortalStore:
    """A portal's records in one SQLite file.

    `meta` holds the portal's own facts: `clock` (microseconds, the virtual now), `utc_offset`
    (minutes), `title`, and what the generator planted (`planted`, JSON).
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self.path = Path(path)
        if read_only:
            if not self.path.exists():
                raise FileNotFoundError(f"no portal store at {self.path}")
            self._connection = sqlite3.connect(
                f"file:{self.path}?mode=ro", uri=True, check_same_thread=False
            )
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = off")
        self._connection.row_factory = sqlite3.Row
        self._utc_offset: int | None = None
        self._kept: dict[Any, Any] = {}
        self._kept_at: tuple[int, int] | None = None

    def create(self) -> None:
        """Create the empty tables. The indexes come last, in `finish`."""
        with self._connection:
            self._connection.execute("create table meta (key text primary key, value text)")
            for entity in ENTITIES.values():
                columns = ", ".join(
                    f'"{name}" {_SQLITE_TYPE[kind]}' + (" primary key" if name == "ID" else "")
                    for name, kind in entity.columns.items()
                )
                self._connection.execute(f'create table "{entity.name}" ({columns})')

    def finish(self) -> None:
        """Build the indexes and collect statistics, once all rows are in."""
        with self._connection:
            for entity in ENTITIES.values():
                for column in entity.indexes:
                    self._connection.execute(
                        f'create index "{entity.name}_{column}" on "{entity.name}" ("{column}")'
                    )
            self._connection.execute("analyze")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> PortalStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def insert(self, entity_name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add or replace rows given as maps of column to stored value; absent columns are null.

        Raises:
            KeyError: a row names a column that the entity does not have.
        """
        entity = ENTITIES[entity_name]
        names = list(entity.columns)

        def values() -> Iterator[tuple[Any, ...]]:
            for row in rows:
                unknown = row.keys() - entity.columns.keys()
                if unknown:
                    raise KeyError(f"{entity_name} has no column {sorted(unknown)}")
                yield tuple(_stored(row.get(name), entity.columns[name]) for name in names)

        self._insert(entity_name, names, values())

    def insert_tuples(self, entity_name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows of ready stored values in the order of the entity's columns (bulk path)."""
        self._insert(entity_name, list(ENTITIES[entity_name].columns), rows)

    def _insert(self, entity_name: str, names: list[str], rows: Iterable[Sequence[Any]]) -> None:
        columns = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        with self._connection:
            self._connection.executemany(
                f'insert or replace into "{entity_name}" ({columns}) values ({marks})', rows
            )

    def delete(self, entity_name: str, record_id: int) -> None:
        """Remove a record and what belongs to it, as Bitrix24 does (vendor's page crm-deal-delete).

        Leads and deals take their stage history, activities with the bindings of these, comments,
        bindings and product rows with them.
        """
        with self._connection:
            self._connection.execute(f'delete from "{entity_name}" where "ID" = ?', (record_id,))
            if entity_name in _CARDS:
                for sql in _CARDS[entity_name]:
                    self._connection.execute(sql, (record_id,))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Rows of a select; for the portal and for tests."""
        return self._connection.execute(sql, parameters).fetchall()

    def set_meta(self, key: str, value: Any) -> None:
        """Keep one of the portal's own facts as JSON."""
        self._utc_offset = None
        with self._connection:
            self._connection.execute(
                "insert or replace into meta values (?, ?)",
                (key, json.dumps(value, ensure_ascii=False)),
            )

    def meta(self, key: str, default: Any = None) -> Any:
        """One of the portal's own facts."""
        rows = self.query("select value from meta where key = ?", (key,))
        return json.loads(rows[0]["value"]) if rows else default

    @property
    def kept(self) -> dict[Any, Any]:
        """What is worth keeping until a record changes, by this connection or another: counts."""
        version = self.query("pragma data_version")[0][0]
        if (self._connection.total_changes, version) != self._kept_at or len(self._kept) > 1_000:
            self._kept = {}
            self._kept_at = (self._connection.total_changes, version)
        return self._kept

    @property
    def utc_offset(self) -> int:
        """Minutes the portal's zone is ahead of UTC; read once, since every page prints by it."""
        if self._utc_offset is None:
            self._utc_offset = int(self.meta("utc_offset", 0))
        return self._utc_offset

    @property
    def clock(self) -> dt.datetime:
        """The portal's virtual now: it stands still until somebody moves it."""
        return from_microseconds(int(self.meta("clock", 0)))

    @clock.setter
    def clock(self, instant: dt.datetime) -> None:
        self.set_meta("clock", to_microseconds(instant))


def _stored(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "instant" and isinstance(value, dt.datetime):
        return to_microseconds(value)
    if kind == "json" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if kind == "flag":
        return int(value)
    return value
