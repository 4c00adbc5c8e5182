"""What amoCRM forgets: of which tables versions are kept, and which tables are archived.

Stages, owners and deadlines have events; versions are kept beside them because events are only as
complete as the access's rights, and because no event tells of a user who was switched off, moved to
another group or removed, or of a pipeline's stages.
"""

from __future__ import annotations

from sources.archive import ArchivedTable
from sources.history import VersionedTable

USERS = VersionedTable(
    "users", "user_versions", key=("id",), content=("is_active", "name", "group_id", "is_admin")
)
PIPELINES = VersionedTable(
    "pipelines",
    "pipeline_versions",
    key=("id",),
    content=("name", "sort", "is_main", "is_archive", "is_unsorted_on"),
)
STATUSES = VersionedTable(
    "statuses",
    "status_versions",
    key=("pipeline_id", "id"),
    # Deleted stages keep their last name; the order dates breaks of a funnel.
    content=("name", "sort", "type"),
)
LEADS = VersionedTable("leads", "lead_versions", key=("id",), content=("responsible_user_id",))
TASKS = VersionedTable("tasks", "task_versions", key=("id",), content=("complete_till",))
VERSIONED = (USERS, PIPELINES, STATUSES, LEADS, TASKS)

ARCHIVED = (
    # How long an account keeps its events is not documented.
    ArchivedTable("events", key=("id",)),
    # When a record was found gone can't be asked again; and without the marks the first load over
    # restored history would take all that vanished in the meantime for a loss.
    ArchivedTable(
        "deleted_records", key=("entity", "id"), seen="noticed_at", is_loaded_by_dlt=False
    ),
    *(table.archived for table in VERSIONED),
)
