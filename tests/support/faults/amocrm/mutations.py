"""Records of amoCRM that change while they are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from sources.demo.amocrm.store import ENTITIES
from tests.support.faults.amocrm.account import CLOCKS, RESTORED
from tests.support.faults.amocrm.entities import CATALOG, HELD
from tests.support.faults.amocrm.plans import FAULTS, place
from tests.support.faults.amocrm.records import BINNED, MAKERS, NOTE_IDS, dictionary_rows
from tests.support.faults.stages import Stage
from tests.support.portals import NOON

KINDS = ("insert", "change", "delete", "merge", "restore", "restore_in_the_sweep")
KNOWN = 3
"""The record that changes; the next one is deleted, the two after it are merged."""
NEW = 5_000
"""Of every entity, the number of the record that comes on the way."""

_FIRSTS = {
    "deleted_leads": BINNED,
    "lead_notes": NOTE_IDS["leads"],
    "contact_notes": NOTE_IDS["contacts"],
    "company_notes": NOTE_IDS["companies"],
}
"""Added to the numbers of records."""
_CARDS = {"leads": "lead", "contacts": "contact", "companies": "company"}
_NEVER_DELETED = ("account", "users", "pipelines", "statuses", "catalogs", "events")
_WRITTEN_ONCE = ("events", "unsorted")


def mutations(entity: str, stage: Stage, kinds: Collection[str]) -> list[dict[str, Any]]:
    """Rules that change the account's records while the entity is being read.

    All befall the second of three pages, after the third has been read: what vanishes moves the
    rest of a list by numbered pages one place forwards, what enters before it one place back.
    """
    at = place(FAULTS["delay"], entity, stage)
    stored, clock = HELD[entity].stored, CLOCKS[stage]
    stamp = {"updated_at": clock.isoformat()} if "updated_at" in ENTITIES[stored].columns else {}
    changes: list[dict[str, Any]] = []
    if "insert" in kinds and (row := _inserted(entity, clock)):
        changes.append({"action": "insert", "entity": stored, "row": row})
    if "change" in kinds and entity not in _WRITTEN_ONCE:
        changes.append(_change(stored, _id(entity, KNOWN), {**stamp, **_changed(stored)}))
    if "delete" in kinds and entity not in _NEVER_DELETED:
        changes.append({"action": "delete", "entity": stored, "id": _id(entity, KNOWN + 1)})
    if entity in _CARDS:
        if "merge" in kinds:
            changes += _merge(entity, stamp, clock)
        if "restore" in kinds and entity != "companies":
            changes += _restore(entity, stamp, clock)
    rules = [{**at, **change} for change in changes]
    if "restore_in_the_sweep" in kinds and stage == "increment" and entity in ("leads", "contacts"):
        # The same page once more for the last one, and for the ids.
        rules += [{**at, "nth": 4, **change} for change in _restore(entity, stamp, clock)]
    return rules


def _id(entity: str, number: int) -> int | str | tuple[int | str, ...]:
    if entity == "unsorted":
        return f"u{number:05}"
    if entity == "account":
        return 31
    if entity == "pipelines":
        return 300
    if entity == "statuses":
        return (300, 3001)
    if entity in ("custom_fields", "custom_field_enums"):
        return (number, "leads")
    if entity == "catalogs":
        return CATALOG
    return _FIRSTS.get(entity, 0) + number


def _change(stored: str, record_id: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {"action": "change", "entity": stored, "id": record_id, "row": row}


def _merge(entity: str, stamp: dict[str, Any], clock: dt.datetime) -> list[dict[str, Any]]:
    """The second card takes over the notes of the first, which is gone for good."""
    stored, first, second = _CARDS[entity], KNOWN + 2, KNOWN + 3
    gone = {"action": "delete", "entity": stored, "id": first}
    return [
        _change("note", NOTE_IDS[entity] + first, {**stamp, "entity_id": second}),
        _change(stored, second, {**stamp, "name": "Merged on the way"}),
        # A lead passes through the recycle bin.
        *([gone, gone] if entity == "leads" else [gone]),
        _event("entity_merged", stored, second, clock),
    ]


def _restore(entity: str, stamp: dict[str, Any], clock: dt.datetime) -> list[dict[str, Any]]:
    stored = _CARDS[entity]
    return [
        _change(stored, RESTORED, {**stamp, "is_deleted": 0}),
        _event(f"{stored}_restored", stored, RESTORED, clock),
    ]


def _event(kind: str, stored: str, record_id: int, clock: dt.datetime) -> dict[str, Any]:
    row = {
        "id": f"02{kind}{stored}{record_id:05}",
        "type": kind,
        "entity_type": stored,
        "entity_id": record_id,
        "created_at": clock.isoformat(),
    }
    return {"action": "insert", "entity": "event", "row": row}


def _inserted(entity: str, clock: dt.datetime) -> dict[str, Any]:
    """A record of which there was none; empty where the account has one only."""
    if entity in MAKERS:
        return MAKERS[entity][1](NEW, (clock - NOON).total_seconds() / 60)
    if entity == "account":
        return {}
    if entity == "pipelines":
        return {"id": NEW, "name": "New", "sort": 9}
    if entity == "statuses":
        return {"pipeline_id": 300, "id": NEW, "name": "New", "sort": 9}
    row = {**dictionary_rows(HELD[entity].stored, 0)[-1], "id": NEW + len(entity)}
    if "updated_at" in row:
        row["updated_at"] = clock.isoformat()
    return row


def _changed(stored: str) -> dict[str, Any]:
    names = ("name", "text", "params", "metadata")
    written = next(name for name in names if name in ENTITIES[stored].columns)
    if written == "params":
        return {"params": {"text": "Changed on the way"}}
    return {written: "Changed on the way"}
