"""Small portals written by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from sources.demo.store import PortalStore, to_microseconds

NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


def at(minutes: float) -> int:
    """Microseconds of an instant so many minutes after 2 March 2026, 12:00 UTC."""
    return to_microseconds(NOON + dt.timedelta(minutes=minutes))


def deal_row(deal_id: int, **fields: Any) -> dict[str, Any]:
    """A deal of pipeline 0 on stage NEW, created at 0 minutes."""
    return {
        "ID": deal_id,
        "TITLE": f"Deal {deal_id}",
        "CATEGORY_ID": 0,
        "STAGE_ID": "NEW",
        "STAGE_SEMANTIC_ID": "P",
        "IS_RECURRING": 0,
        "OPPORTUNITY": "100.00",
        "CURRENCY_ID": "RUB",
        "ASSIGNED_BY_ID": 1,
        "DATE_CREATE": at(0),
        "DATE_MODIFY": at(0),
        "MOVED_TIME": at(0),
        **fields,
    }


def history_row(
    row_id: int, deal_id: int, minutes: float, stage: str, **fields: Any
) -> dict[str, Any]:
    """An entry of a deal into a stage of pipeline 0."""
    return {
        "ID": row_id,
        "TYPE_ID": 2,
        "OWNER_ID": deal_id,
        "CREATED_TIME": at(minutes),
        "CATEGORY_ID": 0,
        "STAGE_SEMANTIC_ID": "P",
        "STAGE_ID": stage,
        **fields,
    }


def call_row(row_id: int, minutes: float, **fields: Any) -> dict[str, Any]:
    """An answered outgoing call of a minute by user 1."""
    return {
        "ID": row_id,
        "PORTAL_USER_ID": 1,
        "PHONE_NUMBER": "+79000000001",
        "CALL_ID": f"call-{row_id}",
        "CALL_CATEGORY": "external",
        "CALL_DURATION": 60,
        "CALL_START_DATE": at(minutes),
        "CALL_FAILED_CODE": "200",
        "CALL_TYPE": 1,
        **fields,
    }


LEAD_STAGE = {"ID": 80, "ENTITY_ID": "STATUS", "STATUS_ID": "NEW", "NAME": "New", "SORT": 10}


def lead_row(lead_id: int, **fields: Any) -> dict[str, Any]:
    """An open lead of user 1 on LEAD_STAGE, created at 0 minutes."""
    return {
        "ID": lead_id,
        "TITLE": f"Lead {lead_id}",
        "STATUS_ID": "NEW",
        "STATUS_SEMANTIC_ID": "P",
        "ASSIGNED_BY_ID": 1,
        "DATE_CREATE": at(0),
        "DATE_MODIFY": at(0),
        **fields,
    }


def planned_call(activity_id: int, *, owner: tuple[int, int], **fields: Any) -> dict[str, Any]:
    """A task of user 1 on a card (its type and id): a call, due on the twentieth day."""
    return {
        "ID": activity_id,
        "TYPE_ID": 2,
        "PROVIDER_ID": "VOXIMPLANT_CALL",
        "OWNER_TYPE_ID": owner[0],
        "OWNER_ID": owner[1],
        "COMPLETED": 0,
        "DEADLINE": at(20 * 24 * 60),
        "CREATED": at(0),
        "LAST_UPDATED": at(60),
        "RESPONSIBLE_ID": 1,
        **fields,
    }


def make_portal(
    path: Path, *, clock_minutes: float = 24 * 60, offset_minutes: int = 180
) -> PortalStore:
    """An empty portal with one pipeline (NEW, WORK, WON, LOST) and one user."""
    store = PortalStore(path)
    store.create()
    store.set_meta("clock", at(clock_minutes))
    store.set_meta("utc_offset", offset_minutes)
    store.insert("category", [{"ID": 0, "NAME": "Sales", "SORT": 10, "IS_DEFAULT": 1}])
    store.insert(
        "status",
        [
            {
                "ID": number,
                "ENTITY_ID": "DEAL_STAGE",
                "STATUS_ID": stage,
                "NAME": stage.title(),
                "SORT": number * 10,
                "SEMANTICS": semantics,
            }
            for number, (stage, semantics) in enumerate(
                {"NEW": None, "WORK": None, "WON": "S", "LOST": "F"}.items(), start=1
            )
        ],
    )
    store.insert(
        "user",
        [{"ID": 1, "ACTIVE": 1, "NAME": "Anna", "LAST_NAME": "Test", "USER_TYPE": "employee"}],
    )
    store.finish()
    return store
