"""Records of the portal, written by hand, as the first load finds them and as they become.

`minutes`, after NOON, says when a record changed last. Those of the first load were created as
many minutes after NOON as their id says, later ones when they changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.support.faults.bitrix24.entities import SMART_PROCESS
from tests.support.faults.stages import CHANGED, FIRST_IDS
from tests.support.portals import at, call_row, deal_row, history_row

DICTIONARIES = ("user", "department", "status", "currency", "custom_field")
"""What `dictionary_rows` makes, by the portal's own names."""


def dictionary_rows(entity: str, minutes: float) -> list[dict[str, Any]]:
    """All rows of a dictionary: before the change where minutes are 0, then changed and more."""
    changed = " changed" if minutes else ""
    count = 125 if minutes else 120
    if entity == "user":
        return [
            {
                "ID": number,
                "ACTIVE": 1,
                "NAME": f"Name {number}{changed if number > 60 else ''}",
                "LAST_NAME": "Test",
                "USER_TYPE": "employee",
            }
            for number in range(1, count)
        ]
    if entity == "department":
        return [{"ID": number, "NAME": f"Team {number}{changed}"} for number in range(1, count)]
    if entity == "status":
        return [
            {
                "ID": 100 + number,
                "ENTITY_ID": "SOURCE" if number > 20 else "SMART_INVOICE_STAGE_5",
                "STATUS_ID": f"S{number}",
                "NAME": f"Status {number}{changed}",
                "SORT": number,
            }
            for number in range(1, count)
        ]
    if entity == "currency":
        return [
            {"ID": number, "CURRENCY": code, "AMOUNT": f"{number + minutes:.2f}", "AMOUNT_CNT": 1}
            for number, code in enumerate(("RUB", "USD", "EUR"), start=1)
        ]
    return [
        {
            "ID": number,
            "ENTITY_TYPE": kind,
            "FIELD_NAME": f"UF_CRM_{number}",
            "USER_TYPE": "enumeration",
            "LABEL": f"Field {number}{changed}",
            "IS_MULTIPLE": 0,
            "ITEMS": [{"ID": str(number * 10), "VALUE": f"Option{changed}"}],
        }
        for number, kind in enumerate(("lead", "deal", "contact", "company"), start=1)
    ]


def _created(number: int, minutes: float) -> float:
    return number if number in FIRST_IDS else minutes


def _card(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "ASSIGNED_BY_ID": 1 + number % 7,
        "CREATED_BY_ID": 1,
        "DATE_CREATE": at(_created(number, minutes)),
        "DATE_MODIFY": at(minutes),
    }


def _deal(number: int, minutes: float) -> dict[str, Any]:
    custom = {"UF_CRM_2": "20"}
    # Three deals a client: a call may belong to any of them, so that the portal has to be asked,
    # also when one of the three is gone.
    return deal_row(number, **_card(number, minutes), CONTACT_ID=1 + number // 3, CUSTOM=custom)


def _lead(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "TITLE": f"Lead {number}", "STATUS_ID": "NEW"}


def _contact(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "NAME": f"Contact {number}", "PHONE": []}


def _company(number: int, minutes: float) -> dict[str, Any]:
    return {**_card(number, minutes), "TITLE": f"Company {number}"}


def _item(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "TITLE": f"Item {number}",
        "CATEGORY_ID": 5,
        "STAGE_ID": f"S{1 + number % 3}",
        "OPPORTUNITY": "10.00",
        "CURRENCY_ID": "RUB",
        "PARENT_ID_2": number,
        "ASSIGNED_BY_ID": 1,
        "CREATED_TIME": at(_created(number, minutes)),
        "UPDATED_TIME": at(minutes),
    }


def _activity(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "OWNER_ID": number,
        "OWNER_TYPE_ID": 2,
        "TYPE_ID": 2 if number % 2 else 1,
        "SUBJECT": f"Activity {number}",
        "CREATED": at(_created(number, minutes)),
        "LAST_UPDATED": at(minutes),
        "COMPLETED": number % 3 == 0,
        "RESPONSIBLE_ID": 1,
    }


def _task(number: int, minutes: float) -> dict[str, Any]:
    return {
        "ID": number,
        "TITLE": f"Task {number}",
        "STATUS": 2,
        "CREATED_BY": 1,
        "RESPONSIBLE_ID": 1,
        "CREATED_DATE": at(_created(number, minutes)),
        "CHANGED_DATE": at(minutes),
        "DEADLINE": at(minutes + 60),
    }


def comment_row(number: int, minutes: float, owner: int) -> dict[str, Any]:
    """A comment in the timeline of a deal; every fourth is of the lead of that number."""
    return {
        "ID": number,
        "ENTITY_TYPE": "deal" if number % 4 else "lead",
        "ENTITY_ID": owner,
        "AUTHOR_ID": 1,
        "CREATED": at(minutes),
        "COMMENT": f"Comment {number} of {minutes:.0f}",
    }


def product_row(number: int, minutes: float, owner: int) -> dict[str, Any]:
    """A product row of a deal."""
    return {
        "ID": number,
        "OWNER_TYPE": "D",
        "OWNER_ID": owner,
        "PRODUCT_ID": 1,
        "PRODUCT_NAME": f"Thing {minutes:.0f}",
        "PRICE": "5.00",
        "QUANTITY": "1",
    }


MAKERS: Mapping[str, Callable[[int, float], dict[str, Any]]] = {
    "product": lambda number, minutes: {
        "ID": number,
        "NAME": f"Product {number} of {minutes:.0f}",
        "PRICE": "5.00",
        "DATE_CREATE": at(number),
    },
    "company": _company,
    "contact": _contact,
    "lead": _lead,
    "deal": _deal,
    "invoice": _item,
    "smart_item": lambda number, minutes: {
        **_item(number, minutes),
        "CATEGORY_ID": 7,
        "ENTITY_TYPE_ID": SMART_PROCESS,
    },
    "lead_stage_history": lambda number, minutes: {
        "ID": number,
        "TYPE_ID": 1,
        "OWNER_ID": number,
        "CREATED_TIME": at(minutes),
        "STATUS_ID": "NEW",
    },
    "stage_history": lambda number, minutes: history_row(number, number, minutes, "NEW"),
    "invoice_stage_history": lambda number, minutes: {
        "ID": number,
        "TYPE_ID": 1,
        "OWNER_ID": number,
        "CREATED_TIME": at(minutes),
        "CATEGORY_ID": 5,
        "STAGE_ID": "S1",
    },
    "activity": _activity,
    "task": _task,
    "call": lambda number, minutes: call_row(
        number, _created(number, minutes), CALL_VOTE=5 if minutes == CHANGED else None
    ),
    "binding": lambda number, minutes: {
        "ID": number,
        "ACTIVITY_ID": number,
        "ENTITY_TYPE_ID": 3,
        "ENTITY_ID": number,
    },
    "product_row": lambda number, minutes: product_row(number, minutes, number),
    "timeline_comment": lambda number, minutes: comment_row(number, minutes, number),
    "task_history": lambda number, minutes: {
        "ID": number,
        "TASK_ID": number,
        "CREATED_DATE": at(minutes),
        "USER_ID": 1,
        "FIELD": "STATUS",
        "VALUE_FROM": "1",
        "VALUE_TO": "2",
    },
}
"""By the portal's own names, a record of an id, changed last at so many minutes."""
