"""What planted troubles are built of: accounts, clients, deals, calls, tasks and comments.

Everything is of the trouble's own: its slot of ids, its random stream, its telephone numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.columns import CONTACT_OWNER, CURRENCY, DEAL_OWNER, frame_of_rows
from sources.demo.generator.dictionaries import GRADES, custom_fields
from sources.demo.generator.frames import (
    CALL_APPLICATION,
    CALL_COST_CURRENCY,
    FAILED_REASONS,
    RECORD_ADDRESS,
    Chunk,
)
from sources.demo.generator.ids import Spaces
from sources.demo.generator.people import PARTNERS_TEAM, user_row
from sources.demo.generator.pipelines import (
    CATEGORY_OF_STAGE,
    DEAL_TYPE_OF_CATEGORY,
    STAGE_CODE,
    STAGES,
)
from sources.demo.generator.records import (
    INCOMING,
    OUTGOING,
    REDIRECTED,
    Setting,
)
from sources.demo.generator.rhythm import (
    DAY,
    HOUR,
    Rhythm,
    instant_of,
    to_microseconds,
)
from sources.demo.generator.streams import stream
from sources.demo.generator.work import WAITING
from sources.demo.store import ENTITIES

MINUTE = 60
FIRST_USER = 1_000
USERS_PER_TROUBLE = 10
NUMBERS_PER_TROUBLE = 100_000
_WINDOW = 36 * MINUTE
"""Each trouble has its own 36 minutes of the day: the two reserved sellers are never in two calls
at once, unless that is the trouble."""
_WINDOWS = 15
"""How many of them the day has."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """What a trouble may know of the company it is planted into."""

    setting: Setting
    spaces: Spaces


class Ref:
    """A record whose id is not known until all records of its trouble are."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.id = 0


@dataclass(frozen=True)
class Client:
    """A planted contact and its number in E.164."""

    ref: Ref
    owner: Any
    number: int

    @property
    def phone(self) -> str:
        """E.164."""
        return f"+{names.COUNTRY + self.number}"


@dataclass(frozen=True)
class Card:
    """A planted deal and its row."""

    ref: Ref
    row: dict[str, Any]


@dataclass(frozen=True)
class Link:
    """A task's link to a planted deal, as the portal writes it."""

    card: Card


class Planter:
    """Builds the records of one trouble. Times are local seconds."""

    def __init__(self, name: str, number: int, site: Site) -> None:
        self.site = site
        self.rng = stream(site.setting.seed, f"trouble {name}")
        self._number = number
        self._rows: dict[str, list[tuple[Ref, dict[str, Any]]]] = {
            entity: [] for entity in ENTITIES
        }
        self._used_slots: set[int] = set()

    @property
    def sellers(self) -> tuple[int, int]:
        """The reserved sellers."""
        return self.site.setting.staff.reserved

    def day(self, days_ago: int) -> int:
        """Midnight of a working day so many days ago, or of the one before."""
        return working_day(self.site.setting.rhythm, self.site.setting.clock, days_ago)

    def at(self, days_ago: int, minute: float = 0) -> int:
        """A moment of a working day in this trouble's part of the day.

        Raises:
            ValueError: the day has no part left for this trouble: it has accounts of its own.
        """
        if self._number > _WINDOWS:
            raise ValueError(f"trouble {self._number} has no part of the day: take slots")
        return self.day(days_ago) + window_start(self._number) + int(minute * MINUTE)

    def user(
        self,
        *,
        last_login: int,
        last_activity: int,
        is_active: bool,
        registered: int,
        extension: str | None = None,
        department: int = PARTNERS_TEAM,
    ) -> int:
        """An account of this trouble's own; gives its id.

        Departments that `companies/demo/sellers.csv` does not name are left out of medians.
        """
        number = len(self._rows["user"])
        user_id = FIRST_USER + USERS_PER_TROUBLE * self._number + number
        drawn = names.draw_names(self.rng, 1)
        row = user_row(
            user_id=user_id,
            names=(
                names.GIVEN_NAMES[int(drawn.given[0])],
                names.PATRONYMICS[int(drawn.patronymic[0])],
                names.SURNAMES[int(drawn.surname[0])],
            ),
            position="Менеджер по продажам",
            departments=[department],
            extension=extension or str(user_id),
            registered=registered,
            last_login=last_login,
            last_activity=last_activity,
            is_active=is_active,
        )
        self._rows["user"].append((Ref(), row))
        return user_id

    def client(self, created: int, owner: int) -> Client:
        """A contact with a number that nobody else has."""
        ref = Ref(created)
        serial = len(self._rows["contact"])
        number = names.PLANTED_NUMBERS + NUMBERS_PER_TROUBLE * self._number + serial
        drawn = names.draw_names(self.rng, 1)
        spelling = self.rng.integers(0, names.PHONE_FORMATS, size=1)
        phone = names.print_phones(np.array([number]), spelling)[0].as_py()
        row = {
            "NAME": names.GIVEN_NAMES[int(drawn.given[0])],
            "LAST_NAME": names.SURNAMES[int(drawn.surname[0])],
            "SOURCE_ID": "CALL",
            "ASSIGNED_BY_ID": owner,
            "CREATED_BY_ID": owner,
            "MODIFY_BY_ID": owner,
            "DATE_CREATE": _stored(created),
            "DATE_MODIFY": _stored(created),
            "PHONE": f'[{{"ID":"{number}","VALUE_TYPE":"WORK","VALUE":"{phone}",'
            '"TYPE_ID":"PHONE"}]',
            "EMAIL": "[]",
            "CUSTOM": "{}",
        }
        self._rows["contact"].append((ref, row))
        return Client(ref, owner, number)

    def free_number(self) -> int:
        """A national number of this trouble's own that no contact has."""
        return names.PLANTED_NUMBERS + NUMBERS_PER_TROUBLE * self._number + 90_000

    def deal(
        self,
        client: Client,
        owner: int,
        steps: Sequence[tuple[int, str]],
        *,
        amount: int | None = None,
        mover: int | None = None,
    ) -> Card:
        """A deal with its history: (moment, stage id), the first at creation."""
        times = [moment for moment, _ in steps]
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError(f"the steps of a planted deal go back in time: {steps}")
        created = times[0]
        moved, stage_id = steps[-1]
        ref = Ref(created)
        category = CATEGORY_OF_STAGE[stage_id]
        semantics = STAGES[STAGE_CODE[stage_id]].semantics
        product = names.PRODUCTS[int(self.rng.integers(0, len(names.PRODUCTS)))]
        grade = GRADES[int(self.rng.integers(0, len(GRADES)))]
        drawn = int(product.price * self.rng.uniform(0.7, 1.5)) // 100 * 100
        midnight = created - created % DAY
        row = {
            "TITLE": product.name,
            "TYPE_ID": DEAL_TYPE_OF_CATEGORY[category],
            "CATEGORY_ID": category,
            "STAGE_ID": stage_id,
            "STAGE_SEMANTIC_ID": semantics,
            "IS_NEW": int(stage_id.endswith("NEW")),
            "IS_RECURRING": 0,
            "IS_RETURN_CUSTOMER": 0,
            "CURRENCY_ID": CURRENCY,
            "OPPORTUNITY": f"{drawn if amount is None else amount}.00",
            "IS_MANUAL_OPPORTUNITY": 1,
            "CONTACT_ID": client.ref,
            "BEGINDATE": _stored(midnight),
            "CLOSEDATE": _stored(midnight + 7 * DAY),
            "OPENED": 1,
            "CLOSED": int(semantics != "P"),
            "ASSIGNED_BY_ID": owner,
            "CREATED_BY_ID": owner,
            "MODIFY_BY_ID": mover or owner,
            "MOVED_BY_ID": mover or owner,
            "DATE_CREATE": _stored(created),
            "DATE_MODIFY": _stored(moved),
            "MOVED_TIME": _stored(moved),
            "SOURCE_ID": "CALL",
            "LAST_ACTIVITY_TIME": _stored(moved),
            "LAST_ACTIVITY_BY": owner,
            "CUSTOM": custom_fields(product.name, grade),
        }
        self._rows["deal"].append((ref, row))
        before: str | None = None
        for moment, stage in steps:
            self._history(ref, moment, before, stage)
            before = stage
        return Card(ref, row)

    def _history(self, deal: Ref, moment: int, before: str | None, stage_id: str) -> None:
        semantics = STAGES[STAGE_CODE[stage_id]].semantics
        category = CATEGORY_OF_STAGE[stage_id]
        if before is None:
            kind = 1
        elif CATEGORY_OF_STAGE[before] != category:
            kind = 5
        else:
            kind = 2 if semantics == "P" else 3
        row = {
            "TYPE_ID": kind,
            "OWNER_ID": deal,
            "CREATED_TIME": _stored(moment),
            "CATEGORY_ID": category,
            "STAGE_SEMANTIC_ID": semantics,
            "STAGE_ID": stage_id,
        }
        self._rows["stage_history"].append((Ref(moment), row))

    def call(
        self,
        talker: int,
        start: int,
        client: Client | None = None,
        *,
        number: int | None = None,
        seconds: int = 90,
        kind: int = OUTGOING,
        code: str = "200",
        names_client: bool = False,
        activity_of: Card | Client | None = None,
    ) -> Ref:
        """A call with a client or a number.

        Args:
            talker: user id.
            start: when.
            client: who; its number is taken.
            number: national number without a client.
            seconds: talk.
            kind: CALL_TYPE.
            code: CALL_FAILED_CODE.
            names_client: the call names the contact (always, if it has an activity).
            activity_of: the owner of the call's activity; none: the call has no activity.
        """
        ref = Ref(start + seconds)
        digest = self.rng.bytes(16).hex()
        epoch = int(instant_of(start).timestamp())
        call_id = f"externalCall.{digest}.{epoch}"
        named = client is not None and (names_client or activity_of is not None)
        row: dict[str, Any] = {
            "PORTAL_USER_ID": talker,
            "PORTAL_NUMBER": names.LINES[0],
            "PHONE_NUMBER": str(names.COUNTRY + (client.number if client else number or 0)),
            "CALL_ID": call_id,
            "EXTERNAL_CALL_ID": f"{epoch}.{digest[:8]}",
            "CALL_CATEGORY": "external",
            "CALL_DURATION": seconds,
            "CALL_START_DATE": _stored(start),
            "CALL_RECORD_URL": f"{RECORD_ADDRESS}{digest}.mp3" if seconds >= 5 else None,
            "COST": f"{-(-seconds // 60) * 2}.0000",
            "COST_CURRENCY": CALL_COST_CURRENCY,
            "CALL_FAILED_CODE": code,
            "CALL_FAILED_REASON": FAILED_REASONS[code],
            "CRM_ENTITY_TYPE": "CONTACT" if named else None,
            "CRM_ENTITY_ID": client.ref if named and client else None,
            "REST_APP_ID": CALL_APPLICATION[0],
            "REST_APP_NAME": CALL_APPLICATION[1],
            "CALL_TYPE": kind,
        }
        if activity_of is not None:
            row["CRM_ACTIVITY_ID"] = self._activity_of_call(row, Ref(start), activity_of)
        self._rows["call"].append((ref, row))
        return ref

    def _activity_of_call(self, call: Mapping[str, Any], ref: Ref, owner: Card | Client) -> Ref:
        is_incoming = call["CALL_TYPE"] in (INCOMING, REDIRECTED)
        is_done = call["CALL_FAILED_CODE"] == "200"
        started, talker = call["CALL_START_DATE"], call["PORTAL_USER_ID"]
        ended = started + call["CALL_DURATION"] * 1_000_000
        row = {
            "OWNER_ID": owner.ref,
            "OWNER_TYPE_ID": DEAL_OWNER if isinstance(owner, Card) else CONTACT_OWNER,
            "TYPE_ID": 2,
            "PROVIDER_ID": "VOXIMPLANT_CALL",
            "PROVIDER_TYPE_ID": "CALL",
            "SUBJECT": "Входящий звонок" if is_incoming else "Исходящий звонок",
            "CREATED": started,
            "LAST_UPDATED": ended,
            "START_TIME": started,
            "END_TIME": ended,
            "DEADLINE": started,
            "COMPLETED": int(is_done),
            "STATUS": 2 if is_done else 1,
            "RESPONSIBLE_ID": talker,
            "PRIORITY": 2,
            "DIRECTION": 1 if is_incoming else 2,
            "AUTHOR_ID": talker,
            "EDITOR_ID": talker,
            "ORIGIN_ID": f"VI_{call['CALL_ID']}",
        }
        self._rows["activity"].append((ref, row))
        if isinstance(owner, Card):
            owner.row["LAST_ACTIVITY_TIME"] = max(owner.row["LAST_ACTIVITY_TIME"], ended)
        return ref

    def task(
        self, card: Card, responsible: int, created: int, deadlines: Sequence[tuple[int, int]]
    ) -> Ref:
        """An open task of a deal, with the activity that mirrors it and its history.

        Args:
            card: the deal.
            responsible: user id, who also gave the task.
            created: when.
            deadlines: (moment, deadline set then), the first at the creation.
        """
        ref = Ref(created)
        changed, deadline = deadlines[-1]
        title = "Дожать клиента"
        row = {
            "TITLE": title,
            "STATUS": WAITING,
            "PRIORITY": 1,
            "CREATED_BY": responsible,
            "RESPONSIBLE_ID": responsible,
            "CREATED_DATE": _stored(created),
            "CHANGED_DATE": _stored(changed),
            "DEADLINE": _stored(deadline),
            "GROUP_ID": 0,
            "UF_CRM_TASK": Link(card),
        }
        self._rows["task"].append((ref, row))
        changes: list[tuple[int, str, int | None, int | None]] = [(created, "NEW", None, None)]
        for (_, before), (moment, after) in itertools.pairwise(deadlines):
            changes.append((moment, "DEADLINE", before, after))
        for moment, field, old, new in changes:
            event = {
                "TASK_ID": ref,
                "CREATED_DATE": _stored(moment),
                "USER_ID": responsible,
                "FIELD": field,
                "VALUE_FROM": None if old is None else str(_stored(old) // 1_000_000),
                "VALUE_TO": None if new is None else str(_stored(new) // 1_000_000),
            }
            self._rows["task_history"].append((Ref(moment), event))
        mirror = {
            "OWNER_ID": card.ref,
            "OWNER_TYPE_ID": DEAL_OWNER,
            "TYPE_ID": 3,
            "PROVIDER_ID": "CRM_TASKS_TASK",
            "PROVIDER_TYPE_ID": "TASK",
            "SUBJECT": title,
            "CREATED": _stored(created),
            "LAST_UPDATED": _stored(changed),
            "START_TIME": _stored(created),
            "END_TIME": _stored(deadline),
            "DEADLINE": _stored(deadline),
            "COMPLETED": 0,
            "STATUS": 1,
            "RESPONSIBLE_ID": responsible,
            "PRIORITY": 2,
            "AUTHOR_ID": responsible,
            "EDITOR_ID": responsible,
        }
        self._rows["activity"].append((Ref(created), mirror))
        return ref

    def comment(self, card: Card, author: int, written: int, text: str) -> Ref:
        """A comment in the timeline of a deal."""
        ref = Ref(written)
        row = {
            "ENTITY_TYPE": "deal",
            "ENTITY_ID": card.ref,
            "AUTHOR_ID": author,
            "CREATED": _stored(written),
            "COMMENT": text,
        }
        self._rows["timeline_comment"].append((ref, row))
        return ref

    def slots(self, count: int, first: int, last: int) -> list[int]:
        """Distinct ascending moments on a grid of six minutes in working hours of `[first, last)`.

        For an account of the trouble's own: nobody else calls under it.
        """
        days = np.arange(first // DAY, last // DAY)
        days = days[self.site.setting.rhythm.is_working(days)]
        grid = 9 * HOUR + np.arange(90) * 6 * MINUTE
        moments = (days[:, None] * DAY + grid).ravel()
        moments = moments[~np.isin(moments, list(self._used_slots))]
        chosen = np.sort(self.rng.choice(moments, size=count, replace=False))
        self._used_slots.update(int(moment) for moment in chosen)
        return [int(moment) for moment in chosen + self.rng.integers(0, 30, size=count)]

    def finish(self, label: str, entries: Iterable[Entry]) -> Chunk:
        """Give the records their ids and print them."""
        for entity in (
            "contact", "deal", "stage_history", "activity", "call", "task", "task_history",
            "timeline_comment",
        ):  # fmt: skip
            rows = sorted(self._rows[entity], key=lambda pair: pair[0].at)
            times = np.array([ref.at for ref, _ in rows], dtype=np.int64)
            ids = getattr(self.site.spaces, entity).planted(self._number, times)
            for (ref, row), record_id in zip(rows, ids, strict=True):
                ref.id = record_id
                row["ID"] = record_id
            self._rows[entity] = rows
        return Chunk(
            label=label,
            frames={
                entity: frame_of_rows(entity, [_resolved(row) for _, row in rows])
                for entity, rows in self._rows.items()
            },
            planted=tuple(_resolved(entry) for entry in entries),
        )


def working_day(rhythm: Rhythm, clock: int, days_ago: int) -> int:
    """Midnight of a working day so many days before the clock, or of the one before."""
    return int(rhythm.previous_working(np.array([clock // DAY - days_ago]))[0]) * DAY


def window_start(number: int) -> int:
    """Where a trouble's part of the day begins, in seconds after midnight."""
    return 9 * HOUR + (number - 1) * _WINDOW


def _resolved(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with ids in place of references, at any depth."""

    def plain(value: object) -> object:
        if isinstance(value, Ref):
            return value.id
        if isinstance(value, Link):
            return f'["D_{value.card.ref.id}"]'
        if isinstance(value, Card | Client):
            return value.ref.id
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value

    return {key: plain(value) for key, value in record.items()}


def _stored(local: int) -> int:
    return int(to_microseconds(np.array([local], dtype=np.int64))[0])


def text_of(local: int) -> str:
    """An instant of local seconds, ISO 8601 in UTC."""
    return instant_of(local).isoformat()
