"""Records of Bitrix24 that change while they are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from sources.demo.store import ENTITIES
from tests.support.faults.bitrix24.entities import READS, STORED
from tests.support.faults.bitrix24.portal import CLOCKS
from tests.support.faults.bitrix24.records import MAKERS, dictionary_rows
from tests.support.faults.stages import Stage
from tests.support.portals import NOON

KINDS = ("insert", "change", "delete")
KNOWN = 3
"""The record that changes; the next one is deleted."""

_PAGED_BY_REQUEST = {
    *(name for name, read in READS.items() if read.in_cut and name != "products"),
    "users",
    "departments",
    "product_rows",
    "task_history",
    "timeline_comments",
}
_STAMPS = ("DATE_MODIFY", "UPDATED_TIME", "LAST_UPDATED", "CHANGED_DATE")
_OWNER_STAMPS = {
    "product_rows": ("deal", "DATE_MODIFY"),
    "timeline_comments": ("deal", "DATE_MODIFY"),
    "task_history": ("task", "CHANGED_DATE"),
}
_WRITTEN_ONCE = (
    "lead_stage_history",
    "stage_history",
    "invoice_stage_history",
    "task_history",
    "activity_bindings",
)
_NEVER_DELETED = (
    "users",  # dismissed
    "categories",
    "statuses",
    "currencies",
    "custom_fields",
    "custom_field_options",
    "activity_bindings",
)
_OWNER_FIELDS = {"product_row": "OWNER_ID", "timeline_comment": "ENTITY_ID"}


def mutations(entity: str, stage: Stage, kinds: Collection[str]) -> list[dict[str, Any]]:
    """Rules that change the portal's records while the entity is being read.

    A deleted row moves the rest of a list by offsets one place forwards. What a first load reads
    comes in one batch, so there it changes between the count and that.
    """
    read, stored = READS[entity], STORED[entity]
    is_second_page = stage == "increment" or not read.in_cut
    place = {
        "method": read.method,
        "where": dict(read.where),
        "nth": min(read.in_cut, 1) + (2 if is_second_page and entity in _PAGED_BY_REQUEST else 1),
    }
    clock = CLOCKS[stage]
    stamp = {name: clock.isoformat() for name in _STAMPS if name in ENTITIES[stored].columns}
    rules: list[dict[str, Any]] = []
    if "insert" in kinds:
        row = _inserted(entity, (clock - NOON).total_seconds() / 60)
        rules.append({**place, "action": "insert", "entity": stored, "row": row})
    if "change" in kinds and entity not in _WRITTEN_ONCE:
        row = {**stamp, **_changed(stored)}
        rules.append({**place, "action": "change", "entity": stored, "id": KNOWN, "row": row})
    if "delete" in kinds and entity not in _NEVER_DELETED:
        rules.append({**place, "action": "delete", "entity": stored, "id": KNOWN + 1})
    if entity in _OWNER_STAMPS:
        # Whoever writes a detail changes its owner.
        owner, name = _OWNER_STAMPS[entity]
        row = {name: (clock + dt.timedelta(minutes=5)).isoformat()}
        rules.append({**place, "action": "change", "entity": owner, "id": KNOWN, "row": row})
    return rules


def _inserted(entity: str, minutes: float) -> dict[str, Any]:
    stored = STORED[entity]
    if stored in ("product_row", "timeline_comment"):
        return {**MAKERS[stored](991, minutes), _OWNER_FIELDS[stored]: KNOWN}
    if stored == "task_history":
        return {**MAKERS[stored](991, minutes), "TASK_ID": KNOWN}
    if stored in MAKERS:
        return MAKERS[stored](990, minutes)
    if stored == "category":
        return {"ID": 990, "NAME": "New", "SORT": 1, "IS_DEFAULT": 0, "ENTITY_TYPE_ID": 2}
    if stored == "currency":
        return {"ID": 990, "CURRENCY": "KZT", "AMOUNT": "1.00", "AMOUNT_CNT": 1}
    row = dict(dictionary_rows(stored, 0)[-1], ID=990)
    if stored == "status":
        row["STATUS_ID"] = "S990"
    if stored == "custom_field":
        row |= {"ID": 990 + len(entity), "FIELD_NAME": f"UF_CRM_{entity.upper()}"}
    return row


def _changed(stored: str) -> dict[str, Any]:
    names = ("TITLE", "NAME", "SUBJECT", "LABEL", "COMMENT", "PRODUCT_NAME", "CALL_RECORD_URL")
    written = [name for name in (*names, "FULL_NAME") if name in ENTITIES[stored].columns]
    return {written[0]: "Changed on the way"}
