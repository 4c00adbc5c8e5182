"""Calls, tasks, comments, e-mails and chats of the converted company: notes, tasks and events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sources.demo.amocrm.store import event_id
from sources.demo.store import PortalStore

_CARDS = {1: None, 2: "leads", 3: "contacts", 4: "companies"}
"""Bitrix24's owner types; its leads have no counterpart."""
_SINGULAR = {"leads": "lead", "contacts": "contact", "companies": "company"}
_CALL_CARDS = {"DEAL": "leads", "CONTACT": "contacts", "COMPANY": "companies"}
_COMMENT_CARDS = {"deal": "leads", "contact": "contacts", "company": "companies"}
_TASK_CARDS = {"D": "leads", "C": "contacts", "CO": "companies"}
_DIRECTIONS = {1: "call_out", 2: "call_in", 3: "call_in", 4: "call_out"}
"""Redirected calls came in, callbacks go out; informational ones (5) are left out."""
_CALL_EVENTS = {"call_in": "incoming_call", "call_out": "outgoing_call"}
_CALL_STATUSES = {"200": 4, "304": 6, "603": 6, "603-S": 6, "480": 3, "486": 7, "404": 5, "484": 5}
_CALL_RESULT = {4: "Разговор состоялся", 6: "Не дозвонились", 7: "Занято", 3: "Нет на месте"}
_UNDEFINED = 8
_END_OF_TIME = 253_000_000_000_000_000
"""Where Bitrix24 prints the year 9999, there is no deadline."""
_ACTIVITY_TASKS, _COMMENT_NOTES, _MAIL_NOTES, _CALL_NOTES, _BOUND_NOTES = (
    number * 1_000_000_000 for number in range(1, 6)
)
"""Where ids begin that come from another table than the one with the same numbers."""
_OF_CALL, _OF_BOUND, _OF_COMMENT, _OF_CHAT, _OF_TASK, _OF_END, _OF_CHANGE = (
    kind << 40 for kind in range(4, 11)
)


class Card(NamedTuple):
    """A lead, contact or company, as addresses name it."""

    entity_type: str
    entity_id: int


class Work:
    """What people did on the cards."""

    def __init__(self, source: PortalStore, groups: Mapping[int, int | None]) -> None:
        self._source = source
        self._groups = groups
        self._present = {
            plural: {row[0] for row in source.query(f"select ID from {entity} {condition}")}
            for entity, plural, condition in (
                ("deal", "leads", "where coalesce(IS_RECURRING, 0) = 0"),
                ("contact", "contacts", ""),
                ("company", "companies", ""),
            )
        }
        self._tasks = [*self._portal_tasks(), *self._activity_tasks()]
        self._closest: dict[Card, int] = {}
        for task in self._tasks:
            till = task["complete_till"]
            if not task["is_completed"] and till is not None and task["entity_id"] is not None:
                card = Card(task["entity_type"], task["entity_id"])
                self._closest[card] = min(till, self._closest.get(card, till))

    def authorship(self, row: Any) -> dict[str, Any]:
        """Who made, owns and changed a deal, contact or company, and when."""
        return self._authors(
            row["ASSIGNED_BY_ID"],
            row["CREATED_BY_ID"],
            row["DATE_CREATE"],
            row["MODIFY_BY_ID"],
            row["DATE_MODIFY"],
        )

    def closest_task_at(self, entity_type: str, entity_id: int) -> int | None:
        """The earliest deadline of a card's open tasks."""
        return self._closest.get(Card(entity_type, entity_id))

    def tasks(self) -> Iterable[dict[str, Any]]:
        """Rows of the entity `task`."""
        return self._tasks

    def notes(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `note`."""
        for number, _, card, call in self._calls():
            status = _CALL_STATUSES.get(call["CALL_FAILED_CODE"] or "", _UNDEFINED)
            params = {
                # The telephony's own id, where the integration has told one.
                "uniq": call["EXTERNAL_CALL_ID"] or call["CALL_ID"],
                "duration": call["CALL_DURATION"] or 0,
                "source": call["REST_APP_NAME"] or "",
                "link": call["CALL_RECORD_URL"] or "",
                "phone": call["PHONE_NUMBER"] or "",
                "call_result": _CALL_RESULT.get(status, ""),
                "call_status": status,
                "call_responsible": call["PORTAL_USER_ID"],
            }
            author = call["PORTAL_USER_ID"]
            kind = _DIRECTIONS[call["CALL_TYPE"]]
            yield self._note(number, card, kind, params, author, call["CALL_START_DATE"])
        for row in self._comments():
            card = Card(_COMMENT_CARDS[row["ENTITY_TYPE"]], row["ENTITY_ID"])
            number, params = _COMMENT_NOTES + row["ID"], {"text": row["COMMENT"]}
            yield self._note(number, card, "common", params, row["AUTHOR_ID"], row["CREATED"])
        for row, card in self._activities("CRM_EMAIL"):
            number = _MAIL_NOTES + row["ID"]
            params = {"subject": row["SUBJECT"], "income": row["DIRECTION"] != 2}
            yield self._note(
                number, card, "amomail_message", params, row["RESPONSIBLE_ID"], row["CREATED"]
            )

    def events(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `event`, but those of leads' stages."""
        for number, order, card, call in self._calls():
            yield event_row(
                _CALL_EVENTS[_DIRECTIONS[call["CALL_TYPE"]]],
                (_SINGULAR[card.entity_type], card.entity_id),
                call["CALL_START_DATE"],
                order,
                call["PORTAL_USER_ID"],
                after=[{"note": {"id": number}}],
            )
        for row in self._comments():
            yield event_row(
                "common_note_added",
                (_SINGULAR[_COMMENT_CARDS[row["ENTITY_TYPE"]]], row["ENTITY_ID"]),
                row["CREATED"],
                _OF_COMMENT + row["ID"],
                row["AUTHOR_ID"],
                after=[{"note": {"id": _COMMENT_NOTES + row["ID"]}}],
            )
        for row, card in self._activities("IMOPENLINES_SESSION"):
            is_out = row["DIRECTION"] == 2
            yield event_row(
                "outgoing_chat_message" if is_out else "incoming_chat_message",
                (_SINGULAR[card.entity_type], card.entity_id),
                row["CREATED"],
                _OF_CHAT + row["ID"],
                row["RESPONSIBLE_ID"] if is_out else 0,
                after=[{"message": {"id": str(row["ID"]), "talk_id": row["ID"]}}],
            )
        yield from self._task_events()

    def _calls(self) -> Iterator[tuple[int, int, Card, Any]]:
        """Note id, order among events, card and call: once for every card a call is bound to."""
        bound: dict[int, list[tuple[int, Card]]] = {}
        for row in self._source.query(
            "select * from binding where ACTIVITY_ID in "
            "(select CRM_ACTIVITY_ID from call) order by ID"
        ):
            entity_type = _CARDS.get(row["ENTITY_TYPE_ID"])
            if entity_type:
                card = Card(entity_type, row["ENTITY_ID"])
                bound.setdefault(row["ACTIVITY_ID"], []).append((row["ID"], card))
        for call in self._source.query(
            "select call.*, OWNER_TYPE_ID, OWNER_ID from call "
            'left join activity on activity."ID" = CRM_ACTIVITY_ID order by call."ID"'
        ):
            if call["CALL_TYPE"] not in _DIRECTIONS:
                continue
            entity_type = _CARDS.get(call["OWNER_TYPE_ID"])
            cards = [(0, Card(entity_type, call["OWNER_ID"]))] if entity_type else []
            cards += bound.get(call["CRM_ACTIVITY_ID"], [])
            if not cards and call["CRM_ENTITY_TYPE"] in _CALL_CARDS:
                own = Card(_CALL_CARDS[call["CRM_ENTITY_TYPE"]], call["CRM_ENTITY_ID"])
                cards = [(0, own)]
            seen: set[Card] = set()
            for binding_id, card in cards:
                if card in seen or card.entity_id not in self._present[card.entity_type]:
                    continue
                # The first card's note carries the call's number, whichever binding names it.
                number = _CALL_NOTES + call["ID"] if not seen else _BOUND_NOTES + binding_id
                order = _OF_CALL + call["ID"] if not seen else _OF_BOUND + binding_id
                seen.add(card)
                yield number, order, card, call

    def _comments(self) -> Iterator[Any]:
        for row in self._source.query("select * from timeline_comment order by ID"):
            entity_type = _COMMENT_CARDS.get(row["ENTITY_TYPE"])
            if entity_type and row["ENTITY_ID"] in self._present[entity_type]:
                yield row

    def _activities(self, *providers: str) -> Iterator[tuple[Any, Card]]:
        marks = ", ".join("?" * len(providers))
        for row in self._source.query(
            f"select * from activity where PROVIDER_ID in ({marks}) order by ID", providers
        ):
            entity_type = _CARDS.get(row["OWNER_TYPE_ID"])
            if entity_type and row["OWNER_ID"] in self._present[entity_type]:
                yield row, Card(entity_type, row["OWNER_ID"])

    def _portal_tasks(self) -> Iterator[dict[str, Any]]:
        for row in self._source.query("select * from task order by ID"):
            bindings = json.loads(row["UF_CRM_TASK"] or "[]")
            cards = [card for card in map(_task_card, bindings) if card is not None]
            if bindings and not cards:
                continue
            card = cards[0] if cards else None
            if card is not None and card.entity_id not in self._present[card.entity_type]:
                continue
            yield {
                "id": row["ID"],
                **self._authors(
                    row["RESPONSIBLE_ID"],
                    row["CREATED_BY"],
                    row["CREATED_DATE"],
                    row["CLOSED_BY"] or row["RESPONSIBLE_ID"],
                    row["CHANGED_DATE"],
                ),
                **_task(card, 1, row["TITLE"], row["DEADLINE"], is_completed=row["STATUS"] == 5),
            }

    def _activity_tasks(self) -> Iterator[dict[str, Any]]:
        for row, card in self._activities("CRM_TODO", "CRM_MEETING"):
            kind = 2 if row["PROVIDER_ID"] == "CRM_MEETING" else 1
            done = bool(row["COMPLETED"])
            yield {
                "id": _ACTIVITY_TASKS + row["ID"],
                **self._authors(
                    row["RESPONSIBLE_ID"],
                    row["AUTHOR_ID"],
                    row["CREATED"],
                    row["EDITOR_ID"],
                    row["LAST_UPDATED"],
                ),
                **_task(card, kind, row["SUBJECT"], row["DEADLINE"], is_completed=done),
            }

    def _task_events(self) -> Iterator[dict[str, Any]]:
        closed = {
            row["ID"]: (row["CLOSED_DATE"], row["CLOSED_BY"])
            for row in self._source.query("select ID, CLOSED_DATE, CLOSED_BY from task")
        }
        for task in self._tasks:
            number, card = task["id"], ("task", task["id"])
            instant, author = task["created_at"], task["created_by"]
            yield event_row("task_added", card, instant, _OF_TASK + number, author)
            if task["is_completed"]:
                closed_at, closer = closed.get(number, (None, None))
                instant = closed_at or task["updated_at"]
                author = closer or task["responsible_user_id"]
                yield event_row("task_completed", card, instant, _OF_END + number, author)
        known = {task["id"] for task in self._tasks}
        for row in self._source.query(
            "select * from task_history where FIELD in ('DEADLINE', 'RESPONSIBLE_ID') order by ID"
        ):
            if row["TASK_ID"] not in known:
                continue
            is_deadline = row["FIELD"] == "DEADLINE"
            before, after = (_value(is_deadline, row[name]) for name in ("VALUE_FROM", "VALUE_TO"))
            yield event_row(
                "task_deadline_changed" if is_deadline else "entity_responsible_changed",
                ("task", row["TASK_ID"]),
                row["CREATED_DATE"],
                _OF_CHANGE + row["ID"],
                row["USER_ID"],
                after=after,
                before=before,
            )

    def _authors(
        self,
        owner: int | None,
        creator: int | None,
        created_at: int,
        editor: int | None,
        updated_at: int | None,
    ) -> dict[str, Any]:
        return {
            "responsible_user_id": owner or 0,
            "group_id": self._groups.get(owner or 0) or 0,
            "created_by": creator or 0,
            "updated_by": editor or creator or 0,
            "created_at": created_at,
            "updated_at": created_at if updated_at is None else updated_at,
        }

    def _note(
        self,
        number: int,
        card: Card,
        kind: str,
        params: Mapping[str, Any],
        author: int | None,
        instant: int,
    ) -> dict[str, Any]:
        return {
            "id": number,
            **card._asdict(),
            **self._authors(author, author, instant, author, instant),
            "note_type": kind,
            "params": dict(params),
        }


def _task(
    card: Card | None, kind: int, text: str | None, deadline: int | None, *, is_completed: bool
) -> dict[str, Any]:
    has_deadline = deadline is not None and deadline < _END_OF_TIME
    return {
        "entity_id": card.entity_id if card else None,
        "entity_type": card.entity_type if card else None,
        "duration": 0,
        "is_completed": is_completed,
        "task_type_id": kind,
        "text": text,
        "result": None,
        "complete_till": deadline if has_deadline else None,
    }


def _task_card(binding: str) -> Card | None:
    code, _, number = binding.rpartition("_")
    entity_type = _TASK_CARDS.get(code)
    return Card(entity_type, int(number)) if entity_type else None


def _value(is_deadline: bool, text: str | None) -> list[dict[str, Any]]:
    if not text:
        return []
    number = int(text)
    if is_deadline:
        return [{"task_deadline": {"timestamp": number}}]
    return [{"responsible_user": {"id": number}}]


def event_row(
    event_type: str,
    entity: tuple[str, int],
    instant: int,
    number: int,
    created_by: int | None,
    *,
    after: list[dict[str, Any]] | None = None,
    before: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A row of the entity `event`.

    Args:
        event_type: as the API names it.
        entity: its type, singular, and its id.
        instant: when, in microseconds.
        number: the place among the events of one millisecond.
        created_by: who; None is a robot.
        after: the new value.
        before: the old value.
    """
    return {
        "id": event_id(instant, number),
        "type": event_type,
        "entity_id": entity[1],
        "entity_type": entity[0],
        "created_by": created_by or 0,
        "created_at": instant,
        "value_after": after or [],
        "value_before": before or [],
    }
