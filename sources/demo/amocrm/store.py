"""The store of an amoCRM account: one SQLite file, one indexed table per entity.

Columns carry the names of the REST fields. What the API puts under `_embedded` stands in a column
of its own: `tags` [{id, name}], `contacts` [{id, is_main}], `catalog_elements` [{id, metadata}],
`company_id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sources.demo.record_store import (
    Entity,
    Kind,
    RecordId,
    RecordStore,
    catalogue,
    to_microseconds,
)

WON_ID, LOST_ID = 142, 143
"""The final stages of every pipeline."""

_AUTHORSHIP: Mapping[str, Kind] = {
    "responsible_user_id": "integer",
    "group_id": "integer",
    "created_by": "integer",
    "updated_by": "integer",
    "created_at": "instant",
    "updated_at": "instant",
}

ACCOUNT = Entity(
    "account",
    {
        "id": "integer",
        "name": "text",
        "subdomain": "text",
        "created_at": "instant",
        "created_by": "integer",
        "updated_at": "instant",
        "updated_by": "integer",
        "current_user_id": "integer",
        "country": "text",
        "currency": "text",
        "currency_symbol": "text",
        "customers_mode": "text",
        "is_unsorted_on": "flag",
        "is_loss_reason_enabled": "flag",
        "timezone": "text",
        "timezone_offset": "text",
    },
)
USER = Entity(
    "user",
    {
        "id": "integer",
        "name": "text",
        "email": "text",
        "lang": "text",
        "phone_number": "text",
        "is_admin": "flag",
        "is_free": "flag",
        "is_active": "flag",
        "group_id": "integer",
        "role_id": "integer",
    },
)
"""A dismissed user is inactive; one who was removed has no row, while records keep the id."""
USER_GROUP = Entity("user_group", {"id": "integer", "name": "text", "uuid": "text"})
PIPELINE = Entity(
    "pipeline",
    {
        "id": "integer",
        "name": "text",
        "sort": "integer",
        "is_main": "flag",
        "is_unsorted_on": "flag",
        "is_archive": "flag",
    },
)
STATUS = Entity(
    "status",
    {
        "pipeline_id": "integer",
        "id": "integer",
        "name": "text",
        "sort": "integer",
        "is_editable": "flag",
        "color": "text",
        "type": "integer",
    },
    key_size=2,
)
"""142 and 143 are in every pipeline; `type` 1 is "incoming leads"."""
LOSS_REASON = Entity(
    "loss_reason",
    {
        "id": "integer",
        "name": "text",
        "sort": "integer",
        "created_at": "instant",
        "updated_at": "instant",
    },
)
CUSTOM_FIELD = Entity(
    "custom_field",
    {
        "id": "integer",
        "entity_type": "text",
        "name": "text",
        "type": "text",
        "code": "text",
        "sort": "integer",
        "is_api_only": "flag",
        "enums": "json",
        "group_id": "text",
        "is_deletable": "flag",
        "is_predefined": "flag",
    },
    key_size=2,
)
"""`entity_type` is leads, contacts or companies; `enums` a list of id, value, sort (and code).
Contacts and companies share the fields of phones and e-mails."""
TAG = Entity("tag", {"id": "integer", "entity_type": "text", "name": "text"})
CATALOG = Entity(
    "catalog",
    {
        "id": "integer",
        "name": "text",
        "created_by": "integer",
        "updated_by": "integer",
        "created_at": "instant",
        "updated_at": "instant",
        "sort": "integer",
        "type": "text",
        "can_add_elements": "flag",
        "can_show_in_cards": "flag",
        "can_link_multiple": "flag",
        "can_be_deleted": "flag",
    },
)
CATALOG_ELEMENT = Entity(
    "catalog_element",
    {
        "id": "integer",
        "catalog_id": "integer",
        "name": "text",
        "created_by": "integer",
        "updated_by": "integer",
        "created_at": "instant",
        "updated_at": "instant",
        "is_deleted": "flag",
        "custom_fields_values": "json",
    },
    indexes=("catalog_id",),
)
LEAD = Entity(
    "lead",
    {
        "id": "integer",
        "name": "text",
        "price": "integer",
        **_AUTHORSHIP,
        "status_id": "integer",
        "pipeline_id": "integer",
        "loss_reason_id": "integer",
        "source_id": "integer",
        "closed_at": "instant",
        "closest_task_at": "instant",
        "is_deleted": "flag",
        "custom_fields_values": "json",
        "score": "integer",
        "labor_cost": "integer",
        "is_price_modified_by_robot": "flag",
        "tags": "json",
        "contacts": "json",
        "company_id": "integer",
        "catalog_elements": "json",
    },
    indexes=("updated_at", "created_at"),
)
CONTACT = Entity(
    "contact",
    {
        "id": "integer",
        "name": "text",
        "first_name": "text",
        "last_name": "text",
        **_AUTHORSHIP,
        "closest_task_at": "instant",
        "is_deleted": "flag",
        "custom_fields_values": "json",
        "tags": "json",
        "company_id": "integer",
    },
    indexes=("updated_at", "company_id"),
)
COMPANY = Entity(
    "company",
    {
        "id": "integer",
        "name": "text",
        **_AUTHORSHIP,
        "closest_task_at": "instant",
        "is_deleted": "flag",
        "custom_fields_values": "json",
        "tags": "json",
    },
    indexes=("updated_at",),
)
TASK = Entity(
    "task",
    {
        "id": "integer",
        **_AUTHORSHIP,
        "entity_id": "integer",
        "entity_type": "text",
        "duration": "integer",
        "is_completed": "flag",
        "task_type_id": "integer",
        "text": "text",
        "result": "json",
        "complete_till": "instant",
    },
    indexes=("updated_at", "entity_id"),
)
NOTE = Entity(
    "note",
    {
        "id": "integer",
        "entity_type": "text",
        "entity_id": "integer",
        **_AUTHORSHIP,
        "note_type": "text",
        "params": "json",
    },
    indexes=("entity_id", "updated_at"),
)
"""`entity_type` is plural here (leads), as in the addresses; in events it is singular."""
EVENT = Entity(
    "event",
    {
        "id": "text",
        "type": "text",
        "entity_id": "integer",
        "entity_type": "text",
        "created_by": "integer",
        "created_at": "instant",
        "value_after": "json",
        "value_before": "json",
    },
    # Without the id every page sorts all events: 78 ms of a page of 36,000.
    indexes=("created_at,id", "entity_id"),
)
UNSORTED = Entity(
    "unsorted",
    {
        "uid": "text",
        "source_uid": "text",
        "source_name": "text",
        "category": "text",
        "pipeline_id": "integer",
        "created_at": "instant",
        "metadata": "json",
        "lead_id": "integer",
        "contact_id": "integer",
        "company_id": "integer",
    },
)
"""`category` is sip, mail, forms or chats. The lead and the contact of one that nobody has accepted
are in no other table."""

ENTITIES: Mapping[str, Entity] = catalogue(
    ACCOUNT,
    USER,
    USER_GROUP,
    PIPELINE,
    STATUS,
    LOSS_REASON,
    CUSTOM_FIELD,
    TAG,
    CATALOG,
    CATALOG_ELEMENT,
    LEAD,
    CONTACT,
    COMPANY,
    TASK,
    NOTE,
    EVENT,
    UNSORTED,
)

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_PLURAL = {"lead": "leads", "contact": "contacts", "company": "companies"}


def _belongings(entity_type: str) -> tuple[str, ...]:
    of_card = f'"entity_type" = \'{entity_type}\' and "entity_id" = ?'
    return (f"delete from note where {of_card}", f"delete from task where {of_card}")


class AmoStore(RecordStore):
    """An amoCRM account's records in one SQLite file."""

    entities: ClassVar[Mapping[str, Entity]] = ENTITIES
    belongings: ClassVar[Mapping[str, Sequence[str]]] = {
        "pipeline": ('delete from status where "pipeline_id" = ?',),
        **{entity: _belongings(plural) for entity, plural in _PLURAL.items()},
    }

    def delete(self, entity_name: str, record_id: RecordId) -> None:
        """Delete a record as a user does, at the account's clock.

        A lead goes to the recycle bin first, with its notes and tasks (`with=only_deleted`), and
        is gone when deleted once more. Leads, contacts, companies and tasks leave an event.
        """
        is_card = entity_name in _PLURAL
        rows = self.query(
            f'select * from "{entity_name}" where {ENTITIES[entity_name].of_key}',
            record_id if isinstance(record_id, tuple) else (record_id,),
        )
        if not rows:
            return
        row = dict(rows[0])
        if entity_name == "lead" and not row["is_deleted"]:
            self.insert("lead", [{**row, "is_deleted": 1, "updated_at": self.clock}])
        else:
            self.purge(entity_name, record_id)
            if entity_name == "lead":
                return
        if is_card or entity_name == "task":
            self.add_event(f"{entity_name}_deleted", entity_id=row["id"], entity_type=entity_name)

    def restore_lead(self, lead_id: int) -> None:
        """Take a lead out of the recycle bin, with its event."""
        (found,) = self.query("select * from lead where id = ?", (lead_id,))
        self.insert("lead", [{**dict(found), "is_deleted": 0, "updated_at": self.clock}])
        self.add_event("lead_restored", entity_id=lead_id)

    def purge(self, entity_name: str, record_id: RecordId) -> None:
        """Remove a record with its notes and tasks, without a trace; events stay as they are."""
        super().delete(entity_name, record_id)

    def add_event(
        self,
        event_type: str,
        *,
        entity_id: int,
        entity_type: str = "lead",
        created_by: int = 0,
        created_at: int | None = None,
        value_after: Sequence[Any] = (),
        value_before: Sequence[Any] = (),
    ) -> str:
        """Write an event, at the account's clock if no instant is given; its id."""
        instant = to_microseconds(self.clock) if created_at is None else int(created_at)
        number = self.query("select coalesce(max(rowid), 0) + 1 from event")[0][0]
        new_id = event_id(instant, number)
        self.insert(
            "event",
            [
                {
                    "id": new_id,
                    "type": event_type,
                    "entity_id": entity_id,
                    "entity_type": entity_type,
                    "created_by": created_by,
                    "created_at": instant,
                    "value_after": list(value_after),
                    "value_before": list(value_before),
                }
            ],
        )
        return new_id

    def move_lead(
        self, lead_id: int, status_id: int, pipeline_id: int | None = None, *, created_by: int = 0
    ) -> None:
        """Move a lead to another stage at the account's clock, with its event and `closed_at`."""
        (found,) = self.query("select * from lead where id = ?", (lead_id,))
        row = dict(found)
        pipeline_id = row["pipeline_id"] if pipeline_id is None else pipeline_id
        now = self.clock
        self.insert(
            "lead",
            [
                {
                    **row,
                    "status_id": status_id,
                    "pipeline_id": pipeline_id,
                    "updated_at": now,
                    "updated_by": created_by,
                    "closed_at": now if status_id in (WON_ID, LOST_ID) else None,
                }
            ],
        )
        self.add_event(
            "lead_status_changed",
            entity_id=lead_id,
            created_by=created_by,
            value_before=[lead_status(row["status_id"], row["pipeline_id"])],
            value_after=[lead_status(status_id, pipeline_id)],
        )


def event_id(microseconds: int, number: int) -> str:
    """An event's id as amoCRM makes them: 26 characters that sort by time, then by number."""
    rest, text = (microseconds // 1_000 << 80) + number, ""
    for _ in range(26):
        rest, digit = divmod(rest, 32)
        text = _BASE32[digit] + text
    return text


def lead_status(status_id: int, pipeline_id: int) -> dict[str, dict[str, int]]:
    """A stage as it stands in an event's value."""
    return {"lead_status": {"id": status_id, "pipeline_id": pipeline_id}}
