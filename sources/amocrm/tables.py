"""The raw tables of amoCRM and Kommo: documented fields typed, everything else in one JSON column.

`sources.raw_tables` says what every table has beside them. Navigation (`_links`) is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from sources.raw_tables import Column, Kind, RawTable


def _columns(kinds: Mapping[str, Kind], required: tuple[str, ...] = ("id",)) -> tuple[Column, ...]:
    """`_embedded.tags` and `rights.is_active` become the columns `tags` and `is_active`."""
    return tuple(
        Column(field.rpartition(".")[2], field, kind, field in required)
        for field, kind in kinds.items()
    )


_AUTHORSHIP: Mapping[str, Kind] = {
    "responsible_user_id": "integer",
    "group_id": "integer",
    "created_by": "integer",
    "updated_by": "integer",
    "created_at": "seconds",
    "updated_at": "seconds",
}

ACCOUNT = RawTable(
    "account",
    "account",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "subdomain": "text",
            "created_at": "seconds",
            "current_user_id": "integer",
            "country": "text",
            "currency": "text",
            "is_unsorted_on": "flag",
            "is_loss_reason_enabled": "flag",
        }
    ),
)
USERS = RawTable(
    "users",
    "users",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "email": "text",
            "lang": "text",
            "rights.is_active": "flag",
            "rights.is_admin": "flag",
            "rights.is_free": "flag",
            "rights.group_id": "integer",
            "rights.role_id": "integer",
            "rights": "json",
            "_embedded.groups": "json",
            "_embedded.roles": "json",
        }
    ),
)
"""`is_active` stands inside `rights`; a user who was removed is not listed any more."""
GROUPS = RawTable(
    "groups",
    "account",
    _columns({"id": "integer", "name": "text", "uuid": "text"}),
)
"""`users_groups` of the account: what other systems call departments."""
PIPELINES = RawTable(
    "pipelines",
    "leads/pipelines",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "sort": "integer",
            "is_main": "flag",
            "is_unsorted_on": "flag",
            "is_archive": "flag",
        }
    ),
)
STATUSES = RawTable(
    "statuses",
    "leads/pipelines",
    _columns(
        {
            "id": "integer",
            "pipeline_id": "integer",
            "name": "text",
            "sort": "integer",
            "type": "integer",
            "is_editable": "flag",
            "color": "text",
        },
        required=("id", "pipeline_id"),
    ),
    primary_key=("source_key", "pipeline_id", "id"),
)
"""142 (won) and 143 (lost) are in every pipeline; type 1 is "incoming leads"."""
LOSS_REASONS = RawTable(
    "loss_reasons",
    "leads/loss_reasons",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "sort": "integer",
            "created_at": "seconds",
            "updated_at": "seconds",
        }
    ),
)
CUSTOM_FIELDS = RawTable(
    "custom_fields",
    "{entity_type}/custom_fields",
    _columns(
        {
            "id": "integer",
            "entity_type": "text",
            "name": "text",
            "code": "text",
            "type": "text",
            "sort": "integer",
            "is_deletable": "flag",
            "is_predefined": "flag",
        },
        required=("id", "entity_type"),
    ),
    primary_key=("source_key", "entity_type", "id"),
)
"""`entity_type` is leads, contacts or companies."""
CUSTOM_FIELD_ENUMS = RawTable(
    "custom_field_enums",
    "{entity_type}/custom_fields",
    _columns(
        {
            "id": "integer",
            "entity_type": "text",
            "field_id": "integer",
            "value": "text",
            "code": "text",
            "sort": "integer",
        },
        required=("id", "entity_type", "field_id"),
    ),
    primary_key=("source_key", "entity_type", "field_id", "id"),
)
"""What the ids of list fields mean."""
TAGS = RawTable(
    "tags",
    "{entity_type}/tags",
    _columns(
        {"id": "integer", "entity_type": "text", "name": "text"}, required=("id", "entity_type")
    ),
    primary_key=("source_key", "entity_type", "id"),
)
CATALOGS = RawTable(
    "catalogs",
    "catalogs",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "type": "text",
            "sort": "integer",
            "created_at": "seconds",
            "updated_at": "seconds",
        }
    ),
)
CATALOG_ELEMENTS = RawTable(
    "catalog_elements",
    "catalogs/{catalog_id}/elements",
    _columns(
        {
            "id": "integer",
            "catalog_id": "integer",
            "name": "text",
            "created_at": "seconds",
            "updated_at": "seconds",
            "is_deleted": "flag",
            "custom_fields_values": "json",
        },
        required=("id", "catalog_id"),
    ),
    primary_key=("source_key", "catalog_id", "id"),
)
"""Products are elements of a catalog of type `products`; the price is a custom field PRICE."""
LEADS = RawTable(
    "leads",
    "leads",
    _columns(
        {
            "id": "integer",
            "name": "text",
            "price": "decimal",
            **_AUTHORSHIP,
            "closed_at": "seconds",
            "closest_task_at": "seconds",
            "status_id": "integer",
            "pipeline_id": "integer",
            "loss_reason_id": "integer",
            "source_id": "integer",
            "labor_cost": "integer",
            "score": "integer",
            "is_deleted": "flag",
            "is_price_modified_by_robot": "flag",
            "custom_fields_values": "json",
            "_embedded.tags": "json",
            "_embedded.contacts": "json",
            "_embedded.companies": "json",
            "_embedded.loss_reason": "json",
            "_embedded.catalog_elements": "json",
            "_embedded.source": "json",
        },
        required=("id", "status_id", "pipeline_id", "created_at"),
    ),
)
"""amoCRM's leads are our deals."""
DELETED_LEADS = RawTable(
    "deleted_leads",
    "leads",
    _columns({"id": "integer", "updated_at": "seconds", "is_deleted": "flag"}),
)
"""`with=only_deleted`: leads in the recycle bin."""
UNSORTED = RawTable(
    "unsorted",
    "leads/unsorted",
    _columns(
        {
            "uid": "text",
            "category": "text",
            "source_uid": "text",
            "source_name": "text",
            "pipeline_id": "integer",
            "created_at": "seconds",
            "metadata": "json",
            "_embedded.leads": "json",
            "_embedded.contacts": "json",
            "_embedded.companies": "json",
        },
        required=("uid",),
    ),
    primary_key=("source_key", "uid"),
)
"""Incoming leads that nobody has accepted yet: sip, mail, forms, chats."""
_CLIENT: Mapping[str, Kind] = {
    "id": "integer",
    "name": "text",
    **_AUTHORSHIP,
    "closest_task_at": "seconds",
    "is_deleted": "flag",
    "custom_fields_values": "json",
    "_embedded.tags": "json",
}
CONTACTS = RawTable(
    "contacts",
    "contacts",
    _columns(
        {
            **_CLIENT,
            "first_name": "text",
            "last_name": "text",
            "_embedded.companies": "json",
            "_embedded.leads": "json",
        }
    ),
)
"""Phones and e-mails stand in `custom_fields_values` under the codes PHONE and EMAIL."""
COMPANIES = RawTable(
    "companies",
    "companies",
    _columns({**_CLIENT, "_embedded.contacts": "json", "_embedded.leads": "json"}),
)
TASKS = RawTable(
    "tasks",
    "tasks",
    _columns(
        {
            "id": "integer",
            **_AUTHORSHIP,
            "entity_id": "integer",
            "entity_type": "text",
            "task_type_id": "integer",
            "is_completed": "flag",
            "text": "text",
            "result": "json",
            "duration": "integer",
            "complete_till": "seconds",
        }
    ),
)
NOTES = RawTable(
    "notes",
    "{entity_type}/notes",
    _columns(
        {
            "id": "integer",
            "entity_type": "text",
            "entity_id": "integer",
            **_AUTHORSHIP,
            "note_type": "text",
            "params": "json",
        },
        required=("id", "entity_type", "entity_id"),
    ),
    primary_key=("source_key", "entity_type", "id"),
)
"""Notes of leads, contacts and companies (`entity_type`): calls, e-mails, comments."""
EVENTS = RawTable(
    "events",
    "events",
    _columns(
        {
            "id": "text",
            "type": "text",
            "entity_id": "integer",
            "entity_type": "text",
            "created_by": "integer",
            "created_at": "seconds",
            "value_after": "json",
            "value_before": "json",
        },
        required=("id", "type", "created_at"),
    ),
)
"""Stage and owner changes, deletions, merges, links, messages; `entity_type` is singular here."""

TABLES: Mapping[str, RawTable] = {
    table.name: table
    for table in (
        ACCOUNT,
        USERS,
        GROUPS,
        PIPELINES,
        STATUSES,
        LOSS_REASONS,
        CUSTOM_FIELDS,
        CUSTOM_FIELD_ENUMS,
        TAGS,
        CATALOGS,
        CATALOG_ELEMENTS,
        COMPANIES,
        CONTACTS,
        LEADS,
        DELETED_LEADS,
        UNSORTED,
        EVENTS,
        NOTES,
        TASKS,
    )
}
