"""The raw tables of Bitrix24: documented fields typed, everything else in one JSON column.

`sources.raw_tables` says what every table has beside them; `extra` holds custom fields and whatever
the vendor adds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from sources.raw_tables import ARROW_TYPES, Column, Kind, RawTable

_SNAKE = re.compile(r"([A-Z]|(?<=[a-z])[0-9]+)")


def _columns(kinds: Mapping[str, Kind], required: tuple[str, ...] = ("ID",)) -> tuple[Column, ...]:
    """Upper-case fields become lower-case columns: `DATE_CREATE` is `date_create`."""
    return tuple(
        Column(field.lower(), field, kind, field in required) for field, kind in kinds.items()
    )


def _camel(kinds: Mapping[str, Kind], required: tuple[str, ...] = ("id",)) -> tuple[Column, ...]:
    """Fields in camel case become columns in snake case: `createdTime` is `created_time`."""
    return tuple(
        Column(_SNAKE.sub(r"_\1", field).lower(), field, kind, field in required)
        for field, kind in kinds.items()
    )


CATEGORIES = RawTable(
    "categories",
    "crm.category.list",
    (
        Column("id", "id", "integer", is_required=True),
        Column("name", "name", "text"),
        Column("sort", "sort", "integer"),
        Column("entity_type_id", "entityTypeId", "integer", is_required=True),
        Column("is_default", "isDefault", "flag"),
    ),
    primary_key=("source_key", "entity_type_id", "id"),
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
            "UTM_CONTENT": "text",
            "UTM_TERM": "text",
            "LAST_ACTIVITY_TIME": "instant",
            "LAST_ACTIVITY_BY": "integer",
        },
        required=("ID", "DATE_CREATE", "STAGE_ID"),
    ),
)
COMPANIES = RawTable(
    "companies",
    "crm.company.list",
    _columns(
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
        }
    ),
)
LEADS = RawTable(
    "leads",
    "crm.lead.list",
    _columns(
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
        },
        required=("ID", "DATE_CREATE", "STATUS_ID"),
    ),
)
_ITEM_FIELDS: Mapping[str, Kind] = {
    "id": "integer",
    "title": "text",
    "accountNumber": "text",
    "categoryId": "integer",
    "stageId": "text",
    "previousStageId": "text",
    "opportunity": "decimal",
    "isManualOpportunity": "flag",
    "taxValue": "decimal",
    "currencyId": "text",
    "companyId": "integer",
    "contactId": "integer",
    "parentId2": "integer",
    "sourceId": "text",
    "begindate": "instant",
    "closedate": "instant",
    "opened": "flag",
    "assignedById": "integer",
    "createdBy": "integer",
    "updatedBy": "integer",
    "movedBy": "integer",
    "createdTime": "instant",
    "updatedTime": "instant",
    "movedTime": "instant",
    "lastActivityTime": "instant",
    "lastActivityBy": "integer",
}
INVOICES = RawTable("invoices", "crm.item.list", _camel(_ITEM_FIELDS))
"""Smart invoices: items of entity type 31; `parent_id_2` is the deal."""
SMART_ITEMS = RawTable(
    "smart_items",
    "crm.item.list",
    _camel(
        {"id": "integer", "entityTypeId": "integer", **_ITEM_FIELDS},
        required=("id", "entityTypeId"),
    ),
    primary_key=("source_key", "entity_type_id", "id"),
)
"""Items of the smart processes that the company names."""
PRODUCTS = RawTable(
    "products",
    "crm.product.list",
    _columns(
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
        }
    ),
)
PRODUCT_ROWS = RawTable(
    "product_rows",
    "crm.item.productrow.list",
    _camel(
        {
            "id": "integer",
            "ownerType": "text",
            "ownerId": "integer",
            "productId": "integer",
            "productName": "text",
            "price": "decimal",
            "priceNetto": "decimal",
            "priceBrutto": "decimal",
            "quantity": "decimal",
            "discountTypeId": "integer",
            "discountRate": "decimal",
            "discountSum": "decimal",
            "taxRate": "decimal",
            "taxIncluded": "flag",
            "measureCode": "integer",
            "measureName": "text",
            "sort": "integer",
            "xmlId": "text",
            "type": "integer",
        },
        required=("id", "ownerType", "ownerId"),
    ),
)
CURRENCIES = RawTable(
    "currencies",
    "crm.currency.list",
    _columns(
        {
            "CURRENCY": "text",
            "AMOUNT_CNT": "integer",
            "AMOUNT": "decimal",
            "SORT": "integer",
            "BASE": "flag",
            "FULL_NAME": "text",
            "LID": "text",
            "DATE_UPDATE": "instant",
        },
        required=("CURRENCY",),
    ),
    primary_key=("source_key", "currency"),
)
CUSTOM_FIELDS = RawTable(
    "custom_fields",
    "crm.deal.fields",
    (
        Column("entity_type", "entityType", "text", is_required=True),
        Column("field", "field", "text", is_required=True),
        Column("kind", "type", "text"),
        Column("label", "label", "text"),
        Column("is_multiple", "isMultiple", "flag"),
    ),
    primary_key=("source_key", "entity_type", "field"),
)
"""Custom fields with their titles; `entity_type` is lead, deal, contact, company, invoice or
smart_item_<entity type id>."""
CUSTOM_FIELD_OPTIONS = RawTable(
    "custom_field_options",
    "crm.deal.fields",
    (
        Column("entity_type", "entityType", "text", is_required=True),
        Column("field", "field", "text", is_required=True),
        Column("option_id", "ID", "text", is_required=True),
        Column("label", "VALUE", "text"),
    ),
    primary_key=("source_key", "entity_type", "field", "option_id"),
)
"""What the option ids in list fields mean."""
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
LEAD_STAGE_HISTORY = RawTable(
    "lead_stage_history",
    "crm.stagehistory.list",
    _columns(
        {
            "ID": "integer",
            "TYPE_ID": "integer",
            "OWNER_ID": "integer",
            "CREATED_TIME": "instant",
            "STATUS_SEMANTIC_ID": "text",
            "STATUS_ID": "text",
        },
        required=("ID", "OWNER_ID", "CREATED_TIME", "STATUS_ID"),
    ),
)
INVOICE_STAGE_HISTORY = RawTable(
    "invoice_stage_history", "crm.stagehistory.list", STAGE_HISTORY.columns
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
ACTIVITY_BINDINGS = RawTable(
    "activity_bindings",
    "crm.activity.binding.list",
    (
        Column("activity_id", "activityId", "integer", is_required=True),
        Column("entity_type_id", "entityTypeId", "integer", is_required=True),
        Column("entity_id", "entityId", "integer", is_required=True),
    ),
    primary_key=("source_key", "activity_id", "entity_type_id", "entity_id"),
)
"""What call activities are bound to, as far as it was asked for (see `detail_reads`)."""
TASKS = RawTable(
    "tasks",
    "tasks.task.list",
    _camel(
        {
            "id": "integer",
            "title": "text",
            "status": "integer",
            "priority": "integer",
            "createdBy": "integer",
            "responsibleId": "integer",
            "createdDate": "instant",
            "changedDate": "instant",
            "dateStart": "instant",
            "deadline": "instant",
            "startDatePlan": "instant",
            "endDatePlan": "instant",
            "closedDate": "instant",
            "closedBy": "integer",
            "groupId": "integer",
            "parentId": "integer",
            "ufCrmTask": "json",
        }
    ),
)
TASK_HISTORY = RawTable(
    "task_history",
    "tasks.task.history.list",
    (
        Column("id", "id", "integer", is_required=True),
        Column("task_id", "taskId", "integer", is_required=True),
        Column("created_date", "createdDate", "instant", is_required=True),
        Column("field", "field", "text"),
        Column("value_from", "value.from", "text"),
        Column("value_to", "value.to", "text"),
        Column("user_id", "user.id", "integer"),
    ),
)
"""Changes of tasks; deadlines stand in `value_from` and `value_to` as seconds since 1970."""
TIMELINE_COMMENTS = RawTable(
    "timeline_comments",
    "crm.timeline.comment.list",
    _columns(
        {
            "ID": "integer",
            "ENTITY_TYPE": "text",
            "ENTITY_ID": "integer",
            "AUTHOR_ID": "integer",
            "CREATED": "instant",
            "COMMENT": "text",
        },
        required=("ID", "ENTITY_TYPE", "ENTITY_ID"),
    ),
    primary_key=("source_key", "entity_type", "entity_id", "id"),
)
"""A comment bound to several cards comes once per card."""

DETAIL_READS_SCHEMA = pa.schema(
    [
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("entity", pa.string(), nullable=False),
        pa.field("owner_type", pa.string(), nullable=False),
        pa.field("owner_id", pa.int64(), nullable=False),
        pa.field("owner_changed_at", ARROW_TYPES["instant"]),
        pa.field("read_at", ARROW_TYPES["instant"], nullable=False),
        pa.field("rows_received", pa.int64(), nullable=False),
    ]
)
"""`raw_bitrix24.detail_reads`: which owners' details were asked for, and as of which change.

Rows of a detail table (`entity`) are current where their `received_at` is not before `read_at` of
their owner; older ones have left the owner since.
"""
DETAIL_READS_KEY = ("source_key", "entity", "owner_type", "owner_id")

TABLES: Mapping[str, RawTable] = {
    table.name: table
    for table in (
        USERS,
        DEPARTMENTS,
        CATEGORIES,
        STATUSES,
        CURRENCIES,
        CUSTOM_FIELDS,
        CUSTOM_FIELD_OPTIONS,
        PRODUCTS,
        COMPANIES,
        CONTACTS,
        LEADS,
        DEALS,
        INVOICES,
        SMART_ITEMS,
        LEAD_STAGE_HISTORY,
        STAGE_HISTORY,
        INVOICE_STAGE_HISTORY,
        ACTIVITIES,
        TASKS,
        CALLS,
        PRODUCT_ROWS,
        ACTIVITY_BINDINGS,
        TASK_HISTORY,
        TIMELINE_COMMENTS,
    )
}
