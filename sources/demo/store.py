"""The portal's store: one SQLite file, one indexed table per Bitrix24 entity.

The generator and the replay write it, the HTTP portal reads it. How a method prints a column
(string or number, `Y`/`N` or true/false, offset of the portal) is the portal's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sources.demo.record_store import (
    UTC,
    Entity,
    Kind,
    RecordStore,
    catalogue,
    from_microseconds,
    to_microseconds,
)

__all__ = [
    "DEAL_TYPE_ID",
    "ENTITIES",
    "INVOICE_TYPE_ID",
    "UTC",
    "Entity",
    "Kind",
    "PortalStore",
    "from_microseconds",
    "to_microseconds",
]

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

ENTITIES: Mapping[str, Entity] = catalogue(
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


class PortalStore(RecordStore):
    """A Bitrix24 portal's records in one SQLite file.

    Deleting a lead or a deal takes its stage history, activities with the bindings of these,
    comments, bindings and product rows with it (vendor's page crm-deal-delete).
    """

    entities: ClassVar[Mapping[str, Entity]] = ENTITIES
    belongings: ClassVar[Mapping[str, Sequence[str]]] = _CARDS
