"""Raw in: what every load of Bitrix24 must look like before anybody counts it."""

from __future__ import annotations

from functools import partial

from expectations.suites.boundary import Boundary
from expectations.suites.raw_tables import (
    KNOWN_TYPE,
    bookkeeping_boundaries,
    raw_boundary,
    version_boundary,
)

_SCHEMA = "raw_bitrix24"
_boundary = partial(raw_boundary, _SCHEMA)
_versions = partial(version_boundary, _SCHEMA, "raw")

_HISTORY_TYPES = {
    KNOWN_TYPE: ("type_id not in (1, 2, 3, 5)", "entry types are 1, 2, 3 or 5"),
}
_PHONES_ARE_LISTS = {
    "unreadable_phones_share": (
        "json_type(phone) not in ('ARRAY', 'NULL')",
        "telephone numbers come as a list",
    )
}
_SEMANTICS = "not in ('', 'P', 'S', 'F')"
_ENTITY_TYPES = "entity_type_id not in (1, 2, 3, 4, 5, 7, 8, 14, 31, 36) and entity_type_id < 128"

BITRIX24_BOUNDARIES: tuple[Boundary, ...] = (
    _boundary("raw_users_have_keys", "users", is_blocking=True),
    _boundary("raw_departments_have_keys", "departments"),
    _boundary(
        "raw_categories_have_keys_and_known_types",
        "categories",
        key=("entity_type_id", "id"),
        shares={
            KNOWN_TYPE: (
                "entity_type_id not in (2, 31) and entity_type_id < 128",
                "pipelines are of deals, smart invoices or smart processes",
            )
        },
    ),
    _boundary(
        "raw_statuses_have_keys_and_known_semantics",
        "statuses",
        key=("entity_id", "status_id"),
        shares={
            "unknown_semantics_share": (
                f"semantics {_SEMANTICS}",
                "semantics are empty, P, S or F",
            )
        },
    ),
    _boundary(
        "raw_currencies_have_keys_and_rates",
        "currencies",
        key=("currency",),
        counts={
            "impossible_rate_count": ("amount <= 0 or amount_cnt <= 0", "rates are above 0"),
        },
    ),
    _boundary("raw_custom_fields_have_keys", "custom_fields", key=("entity_type", "field")),
    _boundary(
        "raw_custom_field_options_have_keys_and_labels",
        "custom_field_options",
        key=("entity_type", "field", "option_id"),
        shares={"unlabelled_share": ("coalesce(label, '') = ''", "options have labels")},
    ),
    _boundary("raw_products_have_keys", "products"),
    _boundary("raw_companies_have_keys_and_lists", "companies", shares=_PHONES_ARE_LISTS),
    _boundary("raw_contacts_have_keys_and_lists", "contacts", shares=_PHONES_ARE_LISTS),
    _boundary(
        "raw_leads_have_keys_dates_and_known_semantics",
        "leads",
        "date_create",
        "status_id",
        shares={
            "unknown_semantics_share": (
                f"status_semantic_id {_SEMANTICS}",
                "semantics are empty, P, S or F",
            ),
            **_PHONES_ARE_LISTS,
        },
    ),
    _boundary(
        "raw_deals_have_keys_and_dates", "deals", "date_create", "stage_id", is_blocking=True
    ),
    _boundary(
        "raw_invoices_have_keys_and_dates",
        "invoices",
        shares={
            "undated_share": (
                "created_time is null or stage_id is null",
                "invoices have a date and a stage",
            )
        },
    ),
    _boundary(
        "raw_smart_items_have_keys_and_dates",
        "smart_items",
        key=("entity_type_id", "id"),
        shares={"undated_share": ("created_time is null", "items have a date")},
        counts={
            "misplaced_count": ("entity_type_id < 128", "items are of smart processes"),
        },
    ),
    _boundary(
        "raw_lead_stage_history_has_keys_and_known_types",
        "lead_stage_history",
        "owner_id",
        "created_time",
        shares=_HISTORY_TYPES,
    ),
    _boundary(
        "raw_stage_history_has_keys_and_known_types",
        "stage_history",
        "owner_id",
        "created_time",
        shares=_HISTORY_TYPES,
    ),
    _boundary(
        "raw_invoice_stage_history_has_keys_and_known_types",
        "invoice_stage_history",
        "owner_id",
        "created_time",
        shares=_HISTORY_TYPES,
    ),
    _boundary(
        "raw_activities_have_keys_and_known_types",
        "activities",
        shares={
            KNOWN_TYPE: ("type_id not between 1 and 6", "activity types are 1 to 6"),
            "unowned_share": (
                "coalesce(owner_id, 0) = 0 or coalesce(owner_type_id, 0) = 0",
                "activities have an owner",
            ),
        },
    ),
    _boundary(
        "raw_tasks_have_keys_and_known_states",
        "tasks",
        shares={
            # Below 0: what the portal derives, such as overdue.
            "unknown_state_share": ("status not between -3 and 7", "states are -3 to 7"),
            "undated_share": ("created_date is null", "tasks have a date"),
        },
    ),
    _boundary(
        "raw_calls_have_keys_and_known_codes",
        "calls",
        "call_start_date",
        shares={
            KNOWN_TYPE: ("call_type not between 1 and 5", "call types are 1 to 5"),
            "absurd_length_share": (
                "call_duration < 0 or call_duration > 14400",
                "calls last 0 to 4 hours",
            ),
        },
    ),
    _boundary(
        "raw_product_rows_have_keys_and_known_owners",
        "product_rows",
        "owner_id",
        shares={
            KNOWN_TYPE: ("owner_type <> 'D'", "rows of products are of deals"),
            "negative_share": (
                "quantity < 0 or price < 0",
                "prices and quantities are not below 0",
            ),
        },
    ),
    _boundary(
        "raw_activity_bindings_have_keys_and_known_types",
        "activity_bindings",
        key=("activity_id", "entity_type_id", "entity_id"),
        shares={KNOWN_TYPE: (_ENTITY_TYPES, "activities are bound to known kinds of records")},
    ),
    _boundary(
        "raw_task_history_has_keys_and_fields",
        "task_history",
        "task_id",
        "created_date",
        shares={"nameless_share": ("coalesce(field, '') = ''", "changes name their field")},
    ),
    _boundary(
        "raw_timeline_comments_have_keys_and_known_cards",
        "timeline_comments",
        key=("entity_type", "entity_id", "id"),
        shares={
            KNOWN_TYPE: ("entity_type not in ('lead', 'deal')", "comments are of leads or deals"),
            "undated_share": ("created is null", "comments have a date"),
        },
    ),
    _boundary(
        "raw_detail_reads_have_keys",
        "detail_reads",
        "read_at",
        key=("entity", "owner_type", "owner_id"),
    ),
    *bookkeeping_boundaries(_SCHEMA, "raw"),
    _versions("user_versions", "id"),
    _versions("department_versions", "id"),
    _versions("category_versions", "entity_type_id", "id"),
    _versions("status_versions", "entity_id", "status_id"),
    _versions("contact_versions", "id"),
    _versions("company_versions", "id"),
    _versions("lead_versions", "id"),
    _versions("deal_versions", "id"),
    _versions("invoice_versions", "id"),
    _versions("smart_item_versions", "entity_type_id", "id"),
    _versions("activity_versions", "id"),
    _versions("task_versions", "id"),
)
