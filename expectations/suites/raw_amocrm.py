"""Raw in: what every load of amoCRM must look like before anybody counts it.

Tables of a company without amoCRM are empty, and pass. So do the users that only an administrator
may list: without them reports are right, and UNREAD tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from expectations.suites.boundary import Boundary
from expectations.suites.raw_tables import (
    KNOWN_TYPE,
    bookkeeping_boundaries,
    raw_boundary,
    version_boundary,
)
from sources.amocrm.lists import NOTE_TYPES, NOTED
from sources.amocrm.windows import EVENT_TYPES

_SCHEMA = "raw_amocrm"
_boundary = partial(raw_boundary, _SCHEMA)
_versions = partial(version_boundary, _SCHEMA, "amocrm")


def _one_of(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _of_note(kinds: Iterable[str], field: str) -> str:
    """A parameter of notes of some kinds as text; null where it is empty."""
    text = f"nullif(params ->> '$.{field}', '')"
    return f"(case when note_type in ({_one_of(kinds)}) then {text} end)"


def _of_event(kind: str, field: str) -> str:
    """Whether an event of a kind lacks a number of its new value; null for other kinds."""
    number = f"try_cast(value_after ->> '$[0].{field}' as bigint)"
    return f"case when type = '{kind}' then {number} is null end"


_CALLS = ("call_in", "call_out")
_STATUS = _of_note(_CALLS, "call_status")
_LENGTH = _of_note(_CALLS, "duration")
CALL_STATUSES = tuple(map(str, range(1, 9)))
"""As in the seed `amocrm_call_statuses`."""

_OF_CARDS = {
    KNOWN_TYPE: (f"entity_type not in ({_one_of(NOTED)})", "they are of leads, contacts, companies")
}
_NAMED = {"nameless_share": ("coalesce(name, '') = ''", "they have names")}
_LISTED_FIELDS = {
    "unreadable_fields_share": (
        "json_type(custom_fields_values) not in ('ARRAY', 'NULL')",
        "custom fields come as a list",
    )
}
_LISTED_PHONES = {
    "unreadable_phones_share": (
        "len(list_filter(json_extract(custom_fields_values, '$[*]'), lambda field: "
        "field ->> '$.field_code' = 'PHONE' "
        "and json_type(field, '$.values') is distinct from 'ARRAY')) > 0",
        "telephone numbers come as a list",
    )
}

AMOCRM_BOUNDARIES: tuple[Boundary, ...] = (
    _boundary(
        "amocrm_account_has_a_key_and_stays_the_same",
        "account",
        shares={"currencyless_share": ("coalesce(currency, '') = ''", "accounts have a currency")},
        counts={
            "exchanged_count": (
                f"source_key in (select source_key from {_SCHEMA}.account "
                "group by source_key having count(*) > 1)",
                "a connection leads to one account, ever: ids of two mean different records",
            )
        },
    ),
    _boundary(
        "amocrm_users_have_keys_and_a_state",
        "users",
        shares={"stateless_share": ("is_active is null", "their rights say who is active")},
    ),
    _boundary("amocrm_groups_have_keys", "groups"),
    _boundary("amocrm_pipelines_have_keys", "pipelines", is_blocking=True),
    _boundary("amocrm_statuses_have_keys", "statuses", key=("pipeline_id", "id"), is_blocking=True),
    _boundary(
        "amocrm_statuses_have_known_types",
        "statuses",
        key=(),
        shares={
            KNOWN_TYPE: ("type not in (0, 1)", "statuses are regular (0) or of incoming leads (1)")
        },
    ),
    _boundary(
        "amocrm_pipelines_end_in_won_and_lost",
        "pipelines",
        key=(),
        counts={
            "endless_count": (
                f"(select count(*) from {_SCHEMA}.statuses "
                "where statuses.source_key = pipelines.source_key "
                "and statuses.pipeline_id = pipelines.id and statuses.id in (142, 143)) < 2",
                "142 (won) and 143 (lost) are in every pipeline",
            )
        },
    ),
    _boundary("amocrm_loss_reasons_have_keys_and_names", "loss_reasons", shares=_NAMED),
    _boundary(
        "amocrm_custom_fields_have_keys_and_names",
        "custom_fields",
        key=("entity_type", "id"),
        shares={**_NAMED, **_OF_CARDS},
    ),
    _boundary(
        "amocrm_custom_field_enums_have_keys_and_labels",
        "custom_field_enums",
        key=("entity_type", "field_id", "id"),
        shares={
            "unlabelled_share": ("coalesce(value, '') = ''", "options have labels"),
            **_OF_CARDS,
        },
    ),
    _boundary(
        "amocrm_tags_have_keys_and_names",
        "tags",
        key=("entity_type", "id"),
        shares={**_NAMED, **_OF_CARDS},
    ),
    _boundary("amocrm_catalogs_have_keys_and_names", "catalogs", shares=_NAMED),
    _boundary(
        "amocrm_catalog_elements_have_keys_and_lists",
        "catalog_elements",
        key=("catalog_id", "id"),
        shares=_LISTED_FIELDS,
    ),
    _boundary(
        "amocrm_companies_have_keys_and_lists",
        "companies",
        shares={**_LISTED_FIELDS, **_LISTED_PHONES},
    ),
    _boundary(
        "amocrm_contacts_have_keys_and_lists",
        "contacts",
        shares={**_LISTED_FIELDS, **_LISTED_PHONES},
    ),
    _boundary(
        "amocrm_leads_have_keys_and_dates",
        "leads",
        "created_at",
        "status_id",
        "pipeline_id",
        is_blocking=True,
    ),
    _boundary(
        "amocrm_leads_have_lists_and_sane_prices",
        "leads",
        key=(),
        shares={**_LISTED_FIELDS, "negative_share": ("price < 0", "prices are not below 0")},
    ),
    _boundary(
        "amocrm_deleted_leads_have_keys_and_dates",
        "deleted_leads",
        shares={"undated_share": ("updated_at is null", "deletions have a date")},
    ),
    _boundary(
        "amocrm_unsorted_have_keys_and_known_categories",
        "unsorted",
        key=("uid",),
        shares={
            KNOWN_TYPE: (
                "category not in ('sip', 'mail', 'forms', 'chats')",
                "incoming leads are calls, mails, forms or chats",
            ),
            "undated_share": ("created_at is null", "incoming leads have a date"),
        },
    ),
    _boundary(
        "amocrm_events_have_keys_and_known_types",
        "events",
        "type",
        "created_at",
        shares={
            KNOWN_TYPE: (
                f"type not in ({_one_of(EVENT_TYPES)})",
                "events are of the types that were asked for",
            ),
            "unowned_share": ("coalesce(entity_id, 0) = 0", "events are of a record"),
            "unreadable_moves_share": (
                _of_event("lead_status_changed", "lead_status.id"),
                "changes of stage name the new one",
            ),
            "unreadable_owners_share": (
                _of_event("entity_responsible_changed", "responsible_user.id"),
                "changes of the responsible user name the new one",
            ),
        },
    ),
    _boundary(
        "amocrm_notes_have_keys_and_known_codes",
        "notes",
        "entity_id",
        key=("entity_type", "id"),
        shares={
            **_OF_CARDS,
            "unknown_kind_share": (
                f"note_type not in ({_one_of(NOTE_TYPES)})",
                "notes are of the types that were asked for",
            ),
            "undated_share": ("created_at is null", "notes have a date"),
            "unknown_call_status_share": (
                f"{_STATUS} not in ({_one_of(CALL_STATUSES)})",
                "call statuses are 1 to 8",
            ),
            "absurd_length_share": (
                # A length that is no number is absurd; a missing one is not judged.
                f"case when {_LENGTH} is not null then "
                f"coalesce(try_cast({_LENGTH} as bigint), -1) not between 0 and 14400 end",
                "calls last 0 to 4 hours",
            ),
        },
    ),
    _boundary(
        "amocrm_tasks_have_keys_and_known_states",
        "tasks",
        shares={
            "unknown_state_share": ("is_completed is null", "tasks are done or not"),
            KNOWN_TYPE: (
                f"entity_type not in ({_one_of((*NOTED, 'customers'))})",
                "tasks are of leads, contacts, companies, customers or nothing",
            ),
            "undated_share": ("created_at is null", "tasks have a date"),
        },
    ),
    *bookkeeping_boundaries(_SCHEMA, "amocrm"),
    _versions("user_versions", "id"),
    _versions("pipeline_versions", "id"),
    _versions("status_versions", "pipeline_id", "id"),
    _versions("lead_versions", "id"),
    _versions("task_versions", "id"),
)
