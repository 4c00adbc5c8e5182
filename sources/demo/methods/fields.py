"""What crm.item.fields and crm.lead.fields, crm.deal.fields, crm.contact.fields and
crm.company.fields answer.

Types and flags are those of the vendor's pages crm-lead-fields, crm-deal-fields,
crm-contact-fields, crm-company-fields and crm-item-fields; titles are the field's names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sources.demo.methods.catalogue import FIRST_SMART_TYPE_ID, item_view
from sources.demo.methods.views import camel
from sources.demo.store import ENTITIES, Kind, PortalStore

ENTITIES_WITH_FIELDS = ("lead", "deal", "contact", "company")

_TYPES: Mapping[Kind, str] = {
    "integer": "integer",
    "text": "string",
    "instant": "datetime",
    "flag": "char",
    "decimal": "double",
    "json": "crm_multifield",
}
_TYPES_BY_NAME: Mapping[str, str] = {
    "CATEGORY_ID": "crm_category",
    "CURRENCY_ID": "crm_currency",
    "LEAD_ID": "crm_lead",
    "COMPANY_ID": "crm_company",
    "CONTACT_ID": "crm_contact",
    "BEGINDATE": "date",
    "CLOSEDATE": "date",
    "ASSIGNED_BY_ID": "user",
    "CREATED_BY_ID": "user",
    "MODIFY_BY_ID": "user",
    "MOVED_BY_ID": "user",
    "CREATED_BY": "user",
    "UPDATED_BY": "user",
    "MOVED_BY": "user",
    "LAST_ACTIVITY_BY": "user",
}
_DICTIONARIES: Mapping[tuple[str, str], str] = {
    ("deal", "TYPE_ID"): "DEAL_TYPE",
    ("deal", "STAGE_ID"): "DEAL_STAGE",
    ("deal", "SOURCE_ID"): "SOURCE",
    ("lead", "STATUS_ID"): "STATUS",
    ("lead", "SOURCE_ID"): "SOURCE",
    ("contact", "SOURCE_ID"): "SOURCE",
    ("company", "COMPANY_TYPE"): "COMPANY_TYPE",
    ("company", "INDUSTRY"): "INDUSTRY",
}
_READ_ONLY = frozenset(
    {
        "ID",
        "CREATED_BY_ID",
        "MODIFY_BY_ID",
        "MOVED_BY_ID",
        "DATE_CREATE",
        "DATE_MODIFY",
        "DATE_CLOSED",
        "MOVED_TIME",
        "CREATED_BY",
        "UPDATED_BY",
        "MOVED_BY",
        "CREATED_TIME",
        "UPDATED_TIME",
        "LEAD_ID",
        "STAGE_SEMANTIC_ID",
        "STATUS_SEMANTIC_ID",
        "IS_NEW",
        "HAS_PHONE",
        "HAS_EMAIL",
        "HAS_IMOL",
        "LAST_ACTIVITY_TIME",
        "LAST_ACTIVITY_BY",
    }
)
_REQUIRED = frozenset(
    {
        ("company", "TITLE"),
        ("contact", "NAME"),
        ("contact", "SECOND_NAME"),
        ("contact", "LAST_NAME"),
    }
)
_PARENTS: Mapping[tuple[str, str], int] = {
    ("deal", "COMPANY_ID"): 4,
    ("deal", "LEAD_ID"): 1,
    ("lead", "COMPANY_ID"): 4,
    ("company", "LEAD_ID"): 1,
}
_DEPRECATED = frozenset({("deal", "CONTACT_ID"), ("lead", "CONTACT_ID"), ("contact", "COMPANY_ID")})


def field_descriptions(store: PortalStore, entity_name: str) -> dict[str, dict[str, Any]]:
    """Every field of an entity with its type, custom fields last with their options.

    Args:
        store: the records.
        entity_name: lead, deal, contact or company.
    """
    described = {
        name: _standard(entity_name, name, kind)
        for name, kind in ENTITIES[entity_name].columns.items()
        if name != "CUSTOM"
    }
    return described | _custom_fields(store, entity_name)


def item_field_descriptions(
    store: PortalStore, type_id: int, *, original_names: bool
) -> dict[str, dict[str, Any]]:
    """Every field that crm.item.* prints of an entity type, by its name there.

    Args:
        store: the records.
        type_id: of a lead, deal, contact, company, invoice or smart process.
        original_names: custom fields keep their stored names.
    """
    laid_out = item_view(type_id)
    kind = laid_out.entity.name
    described = {
        field.name: {**_standard(kind, field.column, field.kind), "title": key, "upperName": key}
        for key, field in laid_out.fields.items()
    }
    owner = f"{kind}_{type_id}" if type_id >= FIRST_SMART_TYPE_ID else kind
    for name, spec in _custom_fields(store, owner).items():
        described[name if original_names else camel(name)] = {**spec, "upperName": name}
    return described


def _custom_fields(store: PortalStore, owner: str) -> dict[str, dict[str, Any]]:
    rows = store.query(
        'select "FIELD_NAME", "USER_TYPE", "LABEL", "IS_MULTIPLE", "ITEMS" from custom_field '
        'where "ENTITY_TYPE" = ? order by "ID"',
        (owner,),
    )
    return {
        name: _custom(name, user_type, label, bool(is_multiple), items)
        for name, user_type, label, is_multiple, items in rows
    }


def _standard(entity_name: str, name: str, kind: Kind) -> dict[str, Any]:
    key = (entity_name, name)
    dictionary = _DICTIONARIES.get(key)
    # Of a lead it is what the portal found out, of a deal what somebody says.
    is_read_only = name in _READ_ONLY or key == ("lead", "IS_RETURN_CUSTOMER")
    described: dict[str, Any] = {
        "type": "crm_status" if dictionary else _TYPES_BY_NAME.get(name, _TYPES[kind]),
        "isRequired": key in _REQUIRED,
        "isReadOnly": is_read_only,
        "isImmutable": name == "CATEGORY_ID",
        "isMultiple": kind == "json",
        "isDynamic": False,
    }
    if key in _DEPRECATED:
        described["isDeprecated"] = True
    if dictionary:
        described["statusType"] = dictionary
    described["title"] = name
    if key in _PARENTS:
        described["settings"] = {"parentEntityTypeId": _PARENTS[key]}
    return described


def _custom(
    name: str, user_type: str, label: str, is_multiple: bool, items: str | None
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": user_type,
        "isRequired": False,
        "isReadOnly": False,
        "isImmutable": False,
        "isMultiple": is_multiple,
        "isDynamic": True,
    }
    if user_type == "enumeration":
        options = json.loads(items or "[]")
        described["items"] = [
            {"ID": str(option["ID"]), "VALUE": option["VALUE"]} for option in options
        ]
    # The portal calls a custom field by its name; what people read are the labels.
    described["title"] = name
    described["listLabel"] = described["formLabel"] = described["filterLabel"] = label
    return described
