"""Small amoCRM accounts written by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from sources.demo.amocrm.store import AmoStore
from sources.demo.record_store import to_microseconds
from tests.support.portals import NOON

PIPELINE, FIRST, SECOND = 10, 101, 102


def at(minutes: float) -> int:
    """Microseconds of an instant so many minutes after 2 March 2026, 12:00 UTC."""
    return to_microseconds(NOON + dt.timedelta(minutes=minutes))


def _card(record_id: int, minutes: float, fields: dict[str, Any]) -> dict[str, Any]:
    times = {"created_at": at(minutes), "updated_at": at(minutes)}
    return {
        "id": record_id,
        "responsible_user_id": 1,
        "group_id": 0,
        "created_by": 1,
        "updated_by": 1,
        **times,
        **fields,
    }


def lead_row(lead_id: int, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """A lead on the first stage."""
    own = {"name": f"Lead {lead_id}", "price": 100, "pipeline_id": PIPELINE, "status_id": FIRST}
    return _card(lead_id, minutes, {**own, "is_deleted": 0, **fields})


def contact_row(contact_id: int, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """A contact."""
    name = f"Contact {contact_id}"
    return _card(contact_id, minutes, {"name": name, "is_deleted": 0, **fields})


def task_row(task_id: int, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """An open call task on lead 1."""
    own = {"entity_id": 1, "entity_type": "leads", "task_type_id": 1, "is_completed": 0}
    return _card(task_id, minutes, {**own, "text": "Call", "complete_till": at(minutes), **fields})


def note_row(note_id: int, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """An incoming call on lead 1."""
    params = {"uniq": f"call-{note_id}", "duration": 60, "phone": "+79000000001"}
    own = {"entity_id": 1, "entity_type": "leads", "note_type": "call_in", "params": params}
    return _card(note_id, minutes, {**own, **fields})


def make_account(path: Path) -> AmoStore:
    """Two users (one dismissed), a pipeline of two stages, a field with options; no cards."""
    store = AmoStore(path)
    store.create()
    store.clock = NOON + dt.timedelta(days=1)
    store.insert(
        "account",
        [{"id": 77, "name": "Shop", "subdomain": "shop", "created_at": at(-99), "currency": "RUB"}],
    )
    store.insert("user_group", [{"id": 5, "name": "Sales"}])
    store.insert(
        "user",
        [
            {"id": 1, "name": "Anna", "is_active": 1, "is_admin": 1, "group_id": 5},
            {"id": 2, "name": "Boris", "is_active": 0, "is_admin": 0, "group_id": 5},
        ],
    )
    store.insert("pipeline", [{"id": PIPELINE, "name": "Sales", "sort": 1, "is_main": 1}])
    store.insert(
        "status",
        [
            {"pipeline_id": PIPELINE, "id": number, "name": name, "sort": sort, "type": 0}
            for sort, (number, name) in enumerate(
                {FIRST: "New", SECOND: "Offer", 142: "Won", 143: "Lost"}.items()
            )
        ],
    )
    store.insert("loss_reason", [{"id": 31, "name": "Too dear", "sort": 1}])
    store.insert(
        "custom_field",
        [
            {
                "id": 41,
                "entity_type": "leads",
                "name": "Source",
                "type": "select",
                "enums": [{"id": 411, "value": "Site", "sort": 1}],
            }
        ],
    )
    store.insert("tag", [{"id": 51, "entity_type": "leads", "name": "hot"}])
    store.insert("catalog", [{"id": 61, "name": "Goods", "type": "products"}])
    store.insert("catalog_element", [{"id": 611, "catalog_id": 61, "name": "Sofa"}])
    return store
