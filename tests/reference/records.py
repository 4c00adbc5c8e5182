"""A Bitrix24 portal's records, as far as the definitions need them.

Field names are the REST fields in lower case; instants are integer microseconds since 1970 in UTC.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Category:
    """A deal pipeline."""

    id: int
    name: str = ""


@dataclass(frozen=True)
class Status:
    """A dictionary entry.

    A deal stage where `entity_id` is DEAL_STAGE or DEAL_STAGE_<category>, a lead's where it is
    STATUS.
    """

    id: int
    entity_id: str
    status_id: str
    semantics: str | None = None
    name: str = ""


@dataclass(frozen=True)
class User:
    """An account that the portal lists."""

    id: int
    is_active: bool = True
    name: str = ""
    """First and last name."""
    last_login: int | None = None
    last_activity: int | None = None


@dataclass(frozen=True)
class Contact:
    id: int
    company_id: int | None = None
    phones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deal:
    id: int
    date_create: int
    category_id: int
    stage_id: str
    stage_semantic_id: str | None = "P"
    moved_time: int | None = None
    company_id: int | None = None
    contact_id: int | None = None
    assigned_by_id: int | None = None
    is_recurring: bool = False
    lead_id: int | None = None
    """The lead it was made from; such a lead may be gone."""
    created_by_id: int | None = None
    moved_by_id: int | None = None
    source_id: str | None = None


@dataclass(frozen=True)
class HistoryRow:
    id: int
    owner_id: int
    created_time: int
    category_id: int
    stage_id: str
    stage_semantic_id: str | None = "P"


@dataclass(frozen=True)
class Lead:
    id: int
    date_create: int
    status_id: str
    status_semantic_id: str | None = "P"
    date_closed: int | None = None
    company_id: int | None = None
    contact_id: int | None = None
    assigned_by_id: int | None = None
    created_by_id: int | None = None
    source_id: str | None = None


@dataclass(frozen=True)
class LeadHistoryRow:
    id: int
    owner_id: int
    created_time: int
    status_id: str
    status_semantic_id: str | None = "P"


@dataclass(frozen=True)
class Activity:
    id: int
    owner_type_id: int
    """1 is a lead, 2 a deal, 3 a contact, 4 a company."""
    owner_id: int
    type_id: int = 2
    """2 is a call."""
    bindings: tuple[tuple[int, int], ...] = ()
    """(entity type, id) of what it is bound to beside its owner, as far as that was asked for."""


@dataclass(frozen=True)
class CallRow:
    """One row of voximplant.statistic.get; several rows may be one call."""

    id: int
    call_start_date: int
    call_type: int = 1
    call_id: str | None = None
    phone_number: str | None = None
    portal_user_id: int | None = None
    call_category: str | None = "external"
    call_duration: int | None = 0
    call_failed_code: str | None = None
    crm_entity_type: str | None = None
    crm_entity_id: int | None = None
    crm_activity_id: int | None = None
    external_call_id: str | None = None


@dataclass(frozen=True)
class Portal:
    """All records of one portal, and its clock; rows of each kind in the order of their ids."""

    clock: int
    categories: tuple[Category, ...] = ()
    statuses: tuple[Status, ...] = ()
    users: tuple[User, ...] = ()
    contacts: tuple[Contact, ...] = ()
    deals: tuple[Deal, ...] = ()
    stage_history: tuple[HistoryRow, ...] = ()
    leads: tuple[Lead, ...] = ()
    lead_history: tuple[LeadHistoryRow, ...] = ()
    activities: tuple[Activity, ...] = ()
    calls: tuple[CallRow, ...] = ()
    utc_offset: int = 180
    """Minutes east of UTC in which the portal prints instants; the definitions don't use it."""


@dataclass(frozen=True)
class UserSight:
    """An account as loads have seen it, from the first sight of this version to the last."""

    user_id: int
    is_active: bool
    name: str
    first_seen_at: int
    last_seen_at: int
    last_login: int | None = None
    last_activity: int | None = None


@dataclass(frozen=True)
class OwnerSight:
    """Since when loads have seen a card as it was then."""

    card_type: Literal["deal", "lead"]
    card_id: int
    seen_at: int
    owner_id: int | None


@dataclass(frozen=True)
class OwnerLine:
    """A line of owners.csv."""

    deal_id: int
    employee_id: int
    owned_from: dt.date | None = None


@dataclass(frozen=True)
class Past:
    """What a portal does not tell by itself: earlier loads, and the company's files.

    Attributes:
        loads: cuts of the loads in the log, the last one's too.
        users: versions of accounts, in the order of their sights.
        owners: versions of cards.
        deleted: records that raw holds and the portal no longer has, as (kind, id).
        owner_lines: of owners.csv.
        dismissals: of dismissals.csv.
    """

    loads: tuple[int, ...] = ()
    users: tuple[UserSight, ...] = ()
    owners: tuple[OwnerSight, ...] = ()
    deleted: frozenset[tuple[Literal["deal", "lead", "contact"], int]] = frozenset()
    owner_lines: tuple[OwnerLine, ...] = ()
    dismissals: Mapping[int, dt.date] = field(default_factory=dict)


def without_deleted(portal: Portal, past: Past) -> Portal:
    """The portal without what has been deleted in it."""
    return replace(
        portal,
        deals=tuple(deal for deal in portal.deals if ("deal", deal.id) not in past.deleted),
        leads=tuple(lead for lead in portal.leads if ("lead", lead.id) not in past.deleted),
        contacts=tuple(one for one in portal.contacts if ("contact", one.id) not in past.deleted),
    )


def read_store(path: Path | str) -> Portal:
    """The portal kept in the SQLite file of the demo portal (see sources/demo/store.py).

    Raises:
        ValueError: the store has no clock, or a record lacks the instant that places it in time.
    """
    uri = f"{Path(path).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.row_factory = sqlite3.Row

        def rows(table: str) -> Iterable[sqlite3.Row]:
            return connection.execute(f'select * from "{table}" order by "ID"')

        meta = {
            row["key"]: json.loads(row["value"])
            for row in connection.execute("select key, value from meta")
        }
        bindings: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for row in rows("binding"):
            bindings[row["ACTIVITY_ID"]].append((row["ENTITY_TYPE_ID"], row["ENTITY_ID"]))
        if "clock" not in meta:
            raise ValueError(f"{path} has no clock: set it with PortalStore.clock")
        return Portal(
            clock=int(meta["clock"]),
            utc_offset=int(meta.get("utc_offset", 180)),
            categories=tuple(
                Category(id=row["ID"], name=row["NAME"] or "") for row in rows("category")
            ),
            statuses=tuple(
                Status(
                    id=row["ID"],
                    entity_id=row["ENTITY_ID"],
                    status_id=row["STATUS_ID"],
                    semantics=row["SEMANTICS"],
                    name=row["NAME"] or "",
                )
                for row in rows("status")
            ),
            users=tuple(
                User(
                    id=row["ID"],
                    is_active=bool(row["ACTIVE"]),
                    name=" ".join(name for name in (row["NAME"], row["LAST_NAME"]) if name),
                    last_login=row["LAST_LOGIN"],
                    last_activity=row["LAST_ACTIVITY_DATE"],
                )
                for row in rows("user")
            ),
            contacts=tuple(
                Contact(
                    id=row["ID"], company_id=row["COMPANY_ID"], phones=_phone_values(row["PHONE"])
                )
                for row in rows("contact")
            ),
            deals=tuple(
                Deal(
                    id=row["ID"],
                    date_create=_instant(row, "DATE_CREATE"),
                    category_id=row["CATEGORY_ID"] or 0,
                    stage_id=row["STAGE_ID"],
                    stage_semantic_id=row["STAGE_SEMANTIC_ID"],
                    moved_time=row["MOVED_TIME"],
                    company_id=row["COMPANY_ID"],
                    contact_id=row["CONTACT_ID"],
                    assigned_by_id=row["ASSIGNED_BY_ID"],
                    is_recurring=bool(row["IS_RECURRING"]),
                    lead_id=row["LEAD_ID"],
                    created_by_id=row["CREATED_BY_ID"],
                    moved_by_id=row["MOVED_BY_ID"],
                    source_id=row["SOURCE_ID"],
                )
                for row in rows("deal")
            ),
            stage_history=tuple(
                HistoryRow(
                    id=row["ID"],
                    owner_id=row["OWNER_ID"],
                    created_time=_instant(row, "CREATED_TIME"),
                    category_id=row["CATEGORY_ID"] or 0,
                    stage_id=row["STAGE_ID"],
                    stage_semantic_id=row["STAGE_SEMANTIC_ID"],
                )
                for row in rows("stage_history")
            ),
            leads=tuple(
                Lead(
                    id=row["ID"],
                    date_create=_instant(row, "DATE_CREATE"),
                    status_id=row["STATUS_ID"],
                    status_semantic_id=row["STATUS_SEMANTIC_ID"],
                    date_closed=row["DATE_CLOSED"],
                    company_id=row["COMPANY_ID"],
                    contact_id=row["CONTACT_ID"],
                    assigned_by_id=row["ASSIGNED_BY_ID"],
                    created_by_id=row["CREATED_BY_ID"],
                    source_id=row["SOURCE_ID"],
                )
                for row in rows("lead")
            ),
            lead_history=tuple(
                LeadHistoryRow(
                    id=row["ID"],
                    owner_id=row["OWNER_ID"],
                    created_time=_instant(row, "CREATED_TIME"),
                    status_id=row["STATUS_ID"],
                    status_semantic_id=row["STATUS_SEMANTIC_ID"],
                )
                for row in rows("lead_stage_history")
            ),
            activities=tuple(
                Activity(
                    id=row["ID"],
                    owner_type_id=row["OWNER_TYPE_ID"],
                    owner_id=row["OWNER_ID"],
                    type_id=row["TYPE_ID"],
                    bindings=tuple(bindings[row["ID"]]),
                )
                for row in rows("activity")
            ),
            calls=tuple(
                CallRow(
                    id=row["ID"],
                    call_start_date=_instant(row, "CALL_START_DATE"),
                    call_type=row["CALL_TYPE"],
                    call_id=row["CALL_ID"],
                    phone_number=row["PHONE_NUMBER"],
                    portal_user_id=row["PORTAL_USER_ID"],
                    call_category=row["CALL_CATEGORY"],
                    call_duration=row["CALL_DURATION"],
                    call_failed_code=row["CALL_FAILED_CODE"],
                    crm_entity_type=row["CRM_ENTITY_TYPE"],
                    crm_entity_id=row["CRM_ENTITY_ID"],
                    crm_activity_id=row["CRM_ACTIVITY_ID"],
                    external_call_id=row["EXTERNAL_CALL_ID"],
                )
                for row in rows("call")
            ),
        )


def _instant(row: sqlite3.Row, column: str) -> int:
    if row[column] is None:
        raise ValueError(f"record {row['ID']} has no {column}")
    return int(row[column])


def _phone_values(stored: str | None) -> tuple[str, ...]:
    """The numbers of a multi field: a JSON list of {ID, VALUE_TYPE, VALUE, TYPE_ID}."""
    values: list[Any] = json.loads(stored) if stored else []
    return tuple(item["VALUE"] for item in values if item.get("VALUE"))
