"""Small amoCRM accounts written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sources.demo.amocrm.store import AmoStore, lead_status
from tests.support.portals import NOON, at

SALES, OLD = 100, 200
"""Pipelines: the main one and an archived one."""
NEW, TALKS, OLD_NEW = 1001, 1002, 2001
WON, LOST = 142, 143


def account_row(**fields: Any) -> dict[str, Any]:
    """The account, number 31, in Moscow."""
    return {
        "id": 31,
        "name": "example",
        "subdomain": "example",
        "created_at": at(0),
        "created_by": 1,
        "updated_at": at(0),
        "updated_by": 1,
        "current_user_id": 1,
        "country": "RU",
        "currency": "RUB",
        "customers_mode": "segments",
        "is_unsorted_on": 1,
        "is_loss_reason_enabled": 1,
        "timezone": "Europe/Moscow",
        "timezone_offset": "+03:00",
        **fields,
    }


def lead_row(lead_id: int, **fields: Any) -> dict[str, Any]:
    """A lead on the first stage of the main pipeline, created at 0 minutes."""
    return {
        "id": lead_id,
        "name": f"Lead {lead_id}",
        "price": 100,
        "responsible_user_id": 1,
        "group_id": 0,
        "status_id": NEW,
        "pipeline_id": SALES,
        "created_by": 1,
        "updated_by": 1,
        "created_at": at(0),
        "updated_at": at(0),
        "is_deleted": 0,
        **fields,
    }


def client_row(client_id: int, **fields: Any) -> dict[str, Any]:
    """A contact or a company."""
    return {
        "id": client_id,
        "name": f"Client {client_id}",
        "responsible_user_id": 1,
        "group_id": 0,
        "created_by": 1,
        "updated_by": 1,
        "created_at": at(0),
        "updated_at": at(0),
        "is_deleted": 0,
        **fields,
    }


def note_row(note_id: int, entity_type: str, entity_id: int, **fields: Any) -> dict[str, Any]:
    """A comment."""
    return {
        "id": note_id,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "created_by": 1,
        "updated_by": 1,
        "created_at": at(note_id),
        "updated_at": at(note_id),
        "responsible_user_id": 1,
        "group_id": 0,
        "note_type": "common",
        "params": {"text": "A comment"},
        **fields,
    }


def task_row(task_id: int, lead_id: int, **fields: Any) -> dict[str, Any]:
    """An open follow-up of a lead."""
    return {
        "id": task_id,
        "created_by": 1,
        "updated_by": 1,
        "created_at": at(0),
        "updated_at": at(task_id),
        "responsible_user_id": 1,
        "group_id": 0,
        "entity_id": lead_id,
        "entity_type": "leads",
        "duration": 0,
        "is_completed": 0,
        "task_type_id": 1,
        "text": "Call back",
        "complete_till": at(60),
        **fields,
    }


def move_row(number: int, lead_id: int, minutes: float, before: int, after: int) -> dict[str, Any]:
    """The event of a move within the main pipeline."""
    return {
        "id": f"01move{number:020}",
        "type": "lead_status_changed",
        "entity_id": lead_id,
        "entity_type": "lead",
        "created_by": 1,
        "created_at": at(minutes),
        "value_after": [lead_status(after, SALES)],
        "value_before": [lead_status(before, SALES)],
    }


def make_account(path: Path) -> AmoStore:
    """A store with the account, two pipelines and two users, and no other records; clock NOON."""
    store = AmoStore(path)
    store.create()
    store.insert("account", [account_row()])
    store.insert("user_group", [{"id": 7, "name": "Sales"}])
    store.insert(
        "user",
        [
            {
                "id": number,
                "name": f"User {number}",
                "email": f"user{number}@example.com",
                "lang": "ru",
                "is_admin": number == 1,
                "is_free": 0,
                "is_active": number == 1,
                "group_id": 7,
            }
            for number in (1, 2)
        ],
    )
    for pipeline_id, name, stages in (
        (SALES, "Sales", ((NEW, "New"), (TALKS, "Talks"))),
        (OLD, "Old sales", ((OLD_NEW, "New"),)),
    ):
        store.insert(
            "pipeline",
            [
                {
                    "id": pipeline_id,
                    "name": name,
                    "sort": pipeline_id,
                    "is_main": pipeline_id == SALES,
                    "is_unsorted_on": 1,
                    "is_archive": pipeline_id == OLD,
                }
            ],
        )
        every = (
            (pipeline_id + 1, "Incoming"),
            *stages,
            (WON, "Won"),
            (LOST, "Lost"),
        )
        store.insert(
            "status",
            [
                {
                    "pipeline_id": pipeline_id,
                    "id": status_id,
                    "name": name,
                    "sort": 10 * position,
                    "is_editable": status_id not in (WON, LOST, pipeline_id + 1),
                    "color": "#fffeb2",
                    "type": int(status_id == pipeline_id + 1),
                }
                for position, (status_id, name) in enumerate(every, start=1)
            ],
        )
    store.finish()
    store.clock = NOON
    return store
