"""The raw tables of Bitrix24: documented fields typed, everything else in one JSON column.

Every table has, beside the declared columns, `source_key` (first part of the primary key),
`received_at` (the portal's clock when the row was received) and `extra` (JSON of all fields that
are not declared here: custom fields and whatever the vendor adds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["integer", "text", "instant", "flag", "decimal", "json"]

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "text": pa.string(),
    "instant": pa.timestamp("us", tz="UTC"),
    "flag": pa.bool_(),
    "decimal": pa.decimal128(20, 4),
    "json": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One declared column.

    Attributes:
        name: the column in raw.
        field: the field in the API's answer.
        kind: how it is read; a value that can't be read sends its row to the quarantine.
        is_required: the row is useless without it (null goes to the quarantine too).
    """

    name: str
    field: str
    kind: Kind
    is_required: bool = False


@dataclass(frozen=True)
class RawTable:
    """One raw table and the method it comes from."""

    name: str
    method: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ("source_key", "id")

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the tables that the resource yields, in the order of raw."""
        fields = [pa.field("source_key", pa.string(), nullable=False)]
        fields += [
            pa.field(column.name, ARROW_TYPES[column.kind], nullable=not column.is_required)
            for column in self.columns
        ]
        fields += [
            pa.field("extra", pa.string()),
            pa.field("received_at", ARROW_TYPES["instant"], nullable=False),
        ]
        return pa.schema(fields)

    @property
    def json_columns(self) -> tuple[str, ...]:
        """Columns that become DuckDB's JSON."""
        return (*(c.name for c in self.columns if c.kind == "json"), "extra")


def _columns(kinds: Mapping[str, Kind], required: tuple[str, ...] = ("ID",)) -> tuple[Column, ...]:
    """Upper-case fields become lower-case columns: `DATE_CREATE` is `date_create`."""
    return tuple(
        Column(field.lower(), field, kind, field in required) for field, kind in kinds.items()
    )


CATEGORIES = RawTable(
    "categories",
    "crm.category.list",
    (
        Column("id", "id", "integer", is_required=True),
        Column("name", "name", "text"),
        Column("sort", "sort", "integer"),
        Column("entity_type_id", "entityTypeId", "integer"),
        Column("is_default", "isDefault", "flag"),
    ),
)
STATUSES = RawTable(
    "statuses",
    "crm.status.list",
    _columns(
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
        required=("ENTITY_ID", "STATUS_ID"),
    ),
    primary_key=("source_key", "entity_id", "status_id"),
)
USERS = RawTable(
    "users",
    "user.get",
    _columns(
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
        }
    ),
)
USER_SNAPSHOTS = RawTable(
    "user_snapshots",
    "user.get",
    (
        Column("id", "ID", "integer", is_required=True),
        Column("observed_on", "OBSERVED_ON", "text", is_required=True),
        Column("is_active", "ACTIVE", "flag"),
        Column("department_ids", "UF_DEPARTMENT", "json"),
        Column("last_login", "LAST_LOGIN", "instant"),
        Column("last_activity_date", "LAST_ACTIVITY_DATE", "instant"),
    ),
    primary_key=("source_key", "id", "observed_on"),
)
DEPARTMENTS = RawTable(
    "departments",
    "department.get",
    _columns(
        {
            "ID": "integer",
            "NAME": "text",
            "SORT": "integer",
            "PARENT": "integer",
            "UF_HEAD": "integer",
        }
    ),
)
CONTACTS = RawTable(
    "contacts",
    "crm.contact.list",
    _columns(
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
        }
    ),
)
DEALS = RawTable(
    "deals",
    "crm.deal.list",
    _columns(
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
            "LAST_ACTIVITY_TIME": "instant",
            "LAST_ACTIVITY_BY": "integer",
        },
        required=("ID", "DATE_CREATE", "STAGE_ID"),
    ),
)
STAGE_HISTORY = RawTable(
    "stage_history",
    "crm.stagehistory.list",
    _columns(
        {
            "ID": "integer",
            "TYPE_ID": "integer",
            "OWNER_ID": "integer",
            "CREATED_TIME": "instant",
            "CATEGORY_ID": "integer",
            "STAGE_SEMANTIC_ID": "text",
            "STAGE_ID": "text",
        },
        required=("ID", "OWNER_ID", "CREATED_TIME", "STAGE_ID"),
    ),
)
ACTIVITIES = RawTable(
    "activities",
    "crm.activity.list",
    _columns(
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
        }
    ),
)
CALLS = RawTable(
    "calls",
    "voximplant.statistic.get",
    _columns(
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
        required=("ID", "CALL_START_DATE"),
    ),
)

TABLES: Mapping[str, RawTable] = {
    table.name: table
    for table in (
        USERS,
        USER_SNAPSHOTS,
        DEPARTMENTS,
        CATEGORIES,
        STATUSES,
        CONTACTS,
        DEALS,
        STAGE_HISTORY,
        ACTIVITIES,
        CALLS,
    )
}
