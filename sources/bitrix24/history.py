"""What Bitrix24 forgets: of which tables versions are kept, and which tables are archived.

A content column costs a row of versions at each load in which it has changed, so each has to be a
fact that a report needs. Left out everywhere: what changes without anyone's act
(`last_activity_time`), and what the present alone is asked for (titles, sources).
"""

from __future__ import annotations

from sources.archive import ArchivedTable
from sources.history import VersionedTable

USERS = VersionedTable(
    "users",
    "user_versions",
    key=("id",),
    # Activity and department date dismissals and teams, the extension says who spoke on the phone
    # then, the name is the last known one of a user who is gone. No e-mail: no report needs it.
    content=(
        "active",
        "name",
        "last_name",
        "second_name",
        "uf_department",
        "work_position",
        "uf_phone_inner",
        "user_type",
    ),
    # They move daily; only the last one before a dismissal matters.
    refreshed=("last_login", "last_activity_date"),
)
DEPARTMENTS = VersionedTable(
    "departments", "department_versions", key=("id",), content=("name", "parent", "uf_head")
)
CATEGORIES = VersionedTable(
    "categories", "category_versions", key=("entity_type_id", "id"), content=("name", "sort")
)
STATUSES = VersionedTable(
    "statuses",
    "status_versions",
    key=("entity_id", "status_id"),
    # Deleted stages keep their last name; order and semantics date breaks of a funnel.
    content=("name", "sort", "semantics"),
)
DEALS = VersionedTable(
    "deals",
    "deal_versions",
    key=("id",),
    # Whoever changes one of these is the modifier, so date_modify alone decides the number of
    # versions (at most one per load) and the others cost no row: the owner, the planned date,
    # stage and mover (history has no actor), the amount on which the open pipeline stood.
    content=(
        "assigned_by_id",
        "moved_by_id",
        "moved_time",
        "modify_by_id",
        "date_modify",
        "stage_id",
        "category_id",
        "closedate",
        "opportunity",
        "currency_id",
    ),
)
LEADS = VersionedTable(
    "leads",
    "lead_versions",
    key=("id",),
    content=(
        "assigned_by_id",
        "moved_by_id",
        "moved_time",
        "modify_by_id",
        "date_modify",
        "status_id",
    ),
)
# Of a client only the owner is a fact: changes by employee are counted on cards. With date_modify
# as content every message to a client would make a version.
CONTACTS = VersionedTable(
    "contacts",
    "contact_versions",
    key=("id",),
    content=("assigned_by_id",),
    refreshed=("modify_by_id", "date_modify"),
)
COMPANIES = VersionedTable(
    "companies",
    "company_versions",
    key=("id",),
    content=("assigned_by_id",),
    refreshed=("modify_by_id", "date_modify"),
)
_ITEM_CONTENT = ("assigned_by_id", "moved_by", "moved_time", "stage_id", "closedate")
INVOICES = VersionedTable(
    "invoices",
    "invoice_versions",
    key=("id",),
    # Not cards: who paid or moved them counts, not who edited them last.
    content=_ITEM_CONTENT,
    refreshed=("updated_by", "updated_time"),
)
SMART_ITEMS = VersionedTable(
    "smart_items",
    "smart_item_versions",
    key=("entity_type_id", "id"),
    content=_ITEM_CONTENT,
    refreshed=("updated_by", "updated_time"),
)
ACTIVITIES = VersionedTable(
    "activities",
    "activity_versions",
    key=("id",),
    content=("deadline", "completed", "status", "responsible_id"),
    # What was never seen planned has no deadline to move: calls and messages are written down
    # completed, and would be ten million rows.
    condition="completed is distinct from true",
)
TASKS = VersionedTable(
    "tasks",
    "task_versions",
    key=("id",),
    # No changed_date: it moves with every comment. Who moved a deadline stands in task_history.
    content=("deadline", "responsible_id", "status"),
)
VERSIONED = (
    USERS,
    DEPARTMENTS,
    CATEGORIES,
    STATUSES,
    CONTACTS,
    COMPANIES,
    LEADS,
    DEALS,
    INVOICES,
    SMART_ITEMS,
    ACTIVITIES,
    TASKS,
)

ARCHIVED = (
    # A portal drops the history of a card or a task with it.
    ArchivedTable("stage_history", key=("id",)),
    ArchivedTable("lead_stage_history", key=("id",)),
    ArchivedTable("invoice_stage_history", key=("id",)),
    ArchivedTable("task_history", key=("id",)),
    # When a record was found gone can't be asked again; and without the marks the first load over
    # restored history would take all that vanished in the meantime for a loss.
    ArchivedTable(
        "deleted_records", key=("entity", "id"), seen="noticed_at", is_loaded_by_dlt=False
    ),
    *(table.archived for table in VERSIONED),
)
"""Not archived: what a portal still answers for (`timeline_comments` too: they are people's texts,
and go with their cards, which then leave every count); `detail_reads` and cursors, because a
restored warehouse reads everything anew; `load_log`, because restored rows are no finished load.
"""
