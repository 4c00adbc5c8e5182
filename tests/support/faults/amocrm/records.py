"""Records of the account, written by hand, as the first load finds them and as they become.

`minutes`, after NOON, says when a record changed last. Those of the first load were created as
many minutes after NOON as their id says, later ones when they changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.support.amo_accounts import (
    NEW,
    SALES,
    TALKS,
    client_row,
    lead_row,
    move_row,
    note_row,
    task_row,
)
from tests.support.faults.amocrm.entities import CATALOG
from tests.support.faults.stages import FIRST_IDS
from tests.support.portals import at

DICTIONARIES = ("user", "user_group", "loss_reason", "custom_field", "tag", "catalog")
"""What `dictionary_rows` makes, by the account's own names."""
BINNED = 1_000
"""Added to the numbers of leads that stand in the recycle bin from the beginning."""
NOTE_IDS: Mapping[str, int] = {"leads": 0, "contacts": 10_000, "companies": 20_000}
"""Added to the number of a note, by the kind of its card."""


def dictionary_rows(entity: str, minutes: float) -> list[dict[str, Any]]:
    """All rows of a dictionary: before the change where minutes are 0, then changed and more."""
    changed = " changed" if minutes else ""
    numbers = range(1, 141 if minutes else 131)
    # Records print the names of the first ones.
    names = {number: f"Name {number}{changed if number > 60 else ''}" for number in numbers}
    if entity == "user":
        return [
            {
                "id": number,
                "name": names[number],
                "email": f"user{number}@example.com",
                "lang": "ru",
                "is_admin": number == 1,
                "is_free": 0,
                "is_active": number != 2,
                "group_id": 7,
            }
            for number in numbers
        ]
    if entity == "user_group":
        return [{"id": number, "name": names[number]} for number in numbers]
    if entity == "loss_reason":
        return [
            {
                "id": number,
                "name": name,
                "sort": number,
                "created_at": at(0),
                "updated_at": at(minutes if number > 60 else 0),
            }
            for number, name in names.items()
        ]
    if entity == "custom_field":
        return [
            {
                "id": number,
                # Two other kinds of cards have a field each.
                "entity_type": {1: "contacts", 2: "companies"}.get(number, "leads"),
                "name": f"Field {number}{changed}",
                "type": "select",
                "sort": number,
                "enums": [{"id": number * 10, "value": f"Option{changed}", "sort": 1}],
            }
            for number in numbers
        ]
    if entity == "tag":
        kinds = {1: "contacts", 2: "companies"}
        return [
            {"id": n, "entity_type": kinds.get(n, "leads"), "name": name}
            for n, name in names.items()
        ]
    return [
        {
            "id": number,
            "name": f"Catalogue {number}{changed}",
            "type": "regular",
            "sort": number,
            "created_at": at(0),
            "updated_at": at(minutes),
        }
        for number in range(CATALOG, CATALOG + (4 if minutes else 3))
    ]


def _stamps(number: int, minutes: float) -> dict[str, Any]:
    created = number if number in FIRST_IDS else minutes
    return {"created_at": at(created), "updated_at": at(minutes)}


def _is_linked(number: int) -> bool:
    """Cards print what they are linked with: only those that change together are."""
    return number in range(10, 21) or number in range(41, 101)


def _lead(number: int, minutes: float) -> dict[str, Any]:
    links = {"contacts": [{"id": number, "is_main": True}], "company_id": number}
    return lead_row(
        number,
        responsible_user_id=1 + number % 7,
        status_id=NEW if minutes == number else TALKS,
        loss_reason_id=1,
        custom_fields_values=[{"field_id": 3, "values": [{"value": "Option", "enum_id": 30}]}],
        tags=[{"id": 3, "name": "Name 3"}],
        **_stamps(number, minutes),
        **(links if _is_linked(number) else {}),
    )


def _binned_lead(number: int, minutes: float) -> dict[str, Any]:
    return {**_lead(number, minutes), "id": BINNED + number, "is_deleted": 1}


def _contact(number: int, minutes: float) -> dict[str, Any]:
    links = {"company_id": number} if _is_linked(number) else {}
    return client_row(
        number, name=f"Contact {number} of {minutes:.0f}", **_stamps(number, minutes), **links
    )


def _company(number: int, minutes: float) -> dict[str, Any]:
    name = f"Company {number} of {minutes:.0f}"
    return client_row(number, name=name, **_stamps(number, minutes))


def _task(number: int, minutes: float) -> dict[str, Any]:
    return task_row(number, number, complete_till=at(minutes + 60), **_stamps(number, minutes))


def note_of(kind: str) -> Callable[[int, float], dict[str, Any]]:
    """Makes notes of a kind of card: every other one a call."""

    def note(number: int, minutes: float) -> dict[str, Any]:
        call = {"note_type": "call_in", "params": {"duration": 60, "uniq": f"{kind}-{number}"}}
        return {
            **note_row(NOTE_IDS[kind] + number, kind, number),
            "params": {"text": f"Comment {number} of {minutes:.0f}"},
            **(call if number % 2 else {}),
            **_stamps(number, minutes),
        }

    return note


MAKERS: Mapping[str, tuple[str, Callable[[int, float], dict[str, Any]]]] = {
    "catalog_elements": (
        "catalog_element",
        lambda number, minutes: {
            "id": number,
            "catalog_id": CATALOG,
            "name": f"Thing {number} of {minutes:.0f}",
            **_stamps(number, minutes),
        },
    ),
    "companies": ("company", _company),
    "contacts": ("contact", _contact),
    "leads": ("lead", _lead),
    "deleted_leads": ("lead", _binned_lead),
    "unsorted": (
        "unsorted",
        lambda number, minutes: {
            "uid": f"u{number:05}",
            "source_name": f"Form of {minutes:.0f}",
            "category": "forms",
            "pipeline_id": SALES,
            "created_at": at(number if number in FIRST_IDS else minutes),
            "metadata": {"form_id": number},
        },
    ),
    "lead_notes": ("note", note_of("leads")),
    "contact_notes": ("note", note_of("contacts")),
    "company_notes": ("note", note_of("companies")),
    "tasks": ("task", _task),
    "events": ("event", lambda number, minutes: move_row(number, number, minutes, NEW, TALKS)),
}
"""By entity, the account's own table and a record of a number, changed last at so many minutes."""
