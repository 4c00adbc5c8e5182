"""Planted troubles: what real portals suffer from, each with a known right answer.

Every trouble has a number (its slot of ids), a random stream, telephone numbers, clients and deals
of its own, and its part of the day: one left out changes nothing else. What is expected of it
follows docs/definitions.md and holds whatever the rest of the company does, because nobody else
uses its clients and numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from sources.demo.generator.people import SALES_TEAM, user_row
from sources.demo.generator.pipelines import (
    CATEGORY_OF_STAGE,
    DEAL_TYPE_OF_CATEGORY,
    STAGE_CODE,
    STAGES,
)
from sources.demo.generator.records import (
    CALLBACK,
    INCOMING,
    OUTGOING,
    REDIRECTED,
    Plan,
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
_TIE_DAYS = 75

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
        return _working_day(self.site.setting.rhythm, self.site.setting.clock, days_ago)

    def at(self, days_ago: int, minute: float = 0) -> int:
        """A moment of a working day in this trouble's part of the day."""
        return self.day(days_ago) + _window_start(self._number) + int(minute * MINUTE)

    def user(
        self,
        *,
        last_login: int,
        last_activity: int,
        is_active: bool,
        registered: int,
        extension: str | None = None,
    ) -> int:
        """An account of this trouble's own; gives its id."""
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
            departments=[SALES_TEAM],
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


def _working_day(rhythm: Rhythm, clock: int, days_ago: int) -> int:
    return int(rhythm.previous_working(np.array([clock // DAY - days_ago]))[0]) * DAY


def _window_start(number: int) -> int:
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


def _text(local: int) -> str:
    return instant_of(local).isoformat()


def digits_grow_at(plan: Plan) -> int:
    """When deal ids get one more digit: at the first deal of the tie by id."""
    number = list(TROUBLES).index("contacts_with_two_open_deals") + 1
    return _working_day(plan.setting.rhythm, plan.setting.clock, _TIE_DAYS) + _window_start(number)


def _dismissed(planter: Planter, *, days_ago: int, works_for_days: int) -> Entry:
    """An inactive account with deals of every outcome and calls before the last own action."""
    last_action = planter.day(days_ago) + 17 * HOUR + 20 * MINUTE
    begins = planter.day(days_ago + works_for_days)
    user = planter.user(
        is_active=False,
        registered=begins - 200 * DAY,
        last_login=last_action - 8 * HOUR,
        last_activity=last_action,
    )
    open_deals = []
    for number in range(6):
        created = begins + (number * works_for_days // 8) * DAY + 10 * HOUR
        client = planter.client(created - 40, user)
        steps = [(created, "NEW"), (created + 2 * DAY, "PREPARATION")]
        if number == 4:
            steps += [(created + 4 * DAY, "PREPAYMENT_INVOICE"), (created + 6 * DAY, "WON")]
        elif number == 5:
            steps += [(created + 3 * DAY, "LOSE")]
        elif number % 2:
            steps += [(created + 4 * DAY, "PREPAYMENT_INVOICE")]
        card = planter.deal(client, user, steps)
        if number < 4:
            open_deals.append(card)
        # The account is silent from the day before the last own action on.
        for start in planter.slots(5, created + DAY, last_action - DAY):
            planter.call(user, start, client, activity_of=card)
    return {
        "user_id": user,
        "last_own_action_at": _text(last_action),
        "open_deal_ids": open_deals,
    }


def _dismissed_before_first_load(planter: Planter) -> list[Entry]:
    return [_dismissed(planter, days_ago=225, works_for_days=32)]


def _dismissed_inside_period(planter: Planter) -> list[Entry]:
    return [_dismissed(planter, days_ago=95, works_for_days=120)]


def _works_after_dismissal(planter: Planter) -> list[Entry]:
    last_action = planter.day(110) + 16 * HOUR
    user = planter.user(
        is_active=False,
        registered=last_action - 700 * DAY,
        last_login=last_action - 6 * HOUR,
        last_activity=last_action,
    )
    calls = []
    for number in range(3):
        created = planter.day(150 - 5 * number) + 11 * HOUR
        client = planter.client(created - 60, planter.sellers[0])
        steps = [(created, "NEW"), (created + 3 * DAY, "PREPARATION")]
        card = planter.deal(client, planter.sellers[0], steps)
        planter.call(user, planter.at(120 - 2 * number), client, activity_of=card)
        for back in (100, 70, 40):
            start = planter.at(back - 3 * number, 5)
            calls.append(planter.call(user, start, client, activity_of=card, seconds=140))
    return [{"user_id": user, "call_ids": calls, "last_own_action_at": _text(last_action)}]


def _shared_line(planter: Planter) -> list[Entry]:
    extension = "777"
    users = [
        planter.user(
            is_active=True,
            registered=planter.day(400),
            last_login=planter.site.setting.clock - 9 * HOUR,
            last_activity=planter.site.setting.clock - HOUR,
            extension=extension,
        )
        for _ in range(2)
    ]
    calls = []
    for number in range(4):
        created = planter.day(90 - 9 * number) + 10 * HOUR
        owner = users[number % 2]
        clients = [planter.client(created - 90 + second, owner) for second in range(2)]
        for place, client in enumerate(clients):
            steps = [(created + place, "NEW"), (created + DAY, "PREPARATION")]
            card = planter.deal(client, owner, steps)
            # Four minutes each, the second a minute and a half after the first.
            start = planter.at(80 - 9 * number, 1.5 * place)
            calls.append(planter.call(users[0], start, client, activity_of=card, seconds=240))
    return [{"extension": extension, "user_ids": users, "call_ids": calls}]


def _contacts_with_two_open_deals(planter: Planter) -> list[Entry]:
    first, second = planter.sellers
    director = planter.site.setting.staff.director
    entries = []

    # A tie in everything but the id: created and moved together by the robot, owned by nobody
    # who calls. Its deals come first in time: ids get one more digit between the two.
    created = planter.at(_TIE_DAYS)
    client = planter.client(created - 30, director)
    together = planter.at(_TIE_DAYS - 3)
    tied = [
        planter.deal(
            client,
            director,
            [(created + gap, "NEW"), (together, "PREPARATION")],
            mover=planter.site.setting.staff.robot,
        )
        for gap in (0, 45)
    ]
    calls = [
        {
            "call_id": planter.call(
                seller, planter.at(50 - number, 10), client, names_client=named
            ),
            "chosen_deal_id": tied[0],
        }
        for number, (seller, named) in enumerate(((first, True), (second, False)))
    ]
    entries.append({"contact_id": client, "deal_ids": tied, "calls": calls})

    # The talker owns one of them; the other one moved later.
    created = planter.at(70, 2)
    client = planter.client(created - 30, first)
    own = planter.deal(client, first, [(created, "NEW"), (planter.at(66), "PREPARATION")])
    other = planter.deal(
        client,
        second,
        [(planter.at(68, 3), "NEW"), (planter.at(60), "PREPAYMENT_INVOICE")],
    )
    calls = [
        {
            "call_id": planter.call(first, planter.at(47, 10), client, names_client=True),
            "chosen_deal_id": own,
        },
        {
            "call_id": planter.call(second, planter.at(46, 10), client, kind=INCOMING),
            "chosen_deal_id": other,
        },
    ]
    entries.append({"contact_id": client, "deal_ids": [own, other], "calls": calls})

    # The talker owns neither: the latest stage entry before the call decides, and it changes.
    created = planter.at(64, 4)
    client = planter.client(created - 30, director)
    early = planter.deal(
        client,
        director,
        [(created, "NEW"), (planter.at(55), "PREPARATION"), (planter.at(35), "EXECUTING")],
    )
    late = planter.deal(
        client, director, [(planter.at(62, 5), "NEW"), (planter.at(52), "PREPARATION")]
    )
    calls = [
        {
            "call_id": planter.call(first, planter.at(54, 20), client, names_client=True),
            "chosen_deal_id": early,
        },
        {
            "call_id": planter.call(first, planter.at(45, 20), client, names_client=True),
            "chosen_deal_id": late,
        },
        {
            "call_id": planter.call(second, planter.at(28, 20), client),
            "chosen_deal_id": early,
        },
    ]
    entries.append({"contact_id": client, "deal_ids": [early, late], "calls": calls})
    return entries


def _calls_in_the_second_of_a_move(planter: Planter) -> list[Entry]:
    entries = []
    cases = (
        ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", False),
        ("C1:NEW", "C1:PREPARATION", "C1:UC_SAMPLE", True),
        ("C2:NEW", "C2:UC_CALL", "C2:PREPARATION", False),
    )
    for number, (first, second, third, is_bound) in enumerate(cases):
        seller = planter.sellers[number % 2]
        created = planter.at(84 - 7 * number)
        move, next_move = planter.at(80 - 7 * number, 4), planter.at(77 - 7 * number, 4)
        client = planter.client(created - 50, seller)
        card = planter.deal(client, seller, [(created, first), (move, second), (next_move, third)])
        for moment, stage_id in ((move, second), (next_move, third)):
            call = planter.call(
                seller,
                moment,
                client,
                names_client=True,
                activity_of=card if is_bound else None,
            )
            entries.append(
                {
                    "call_id": call,
                    "deal_id": card,
                    "category_id": CATEGORY_OF_STAGE[stage_id],
                    "stage_id": stage_id,
                }
            )
    return entries


def _stage_revisits(planter: Planter) -> list[Entry]:
    entries = []
    lives = (
        ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", "PREPARATION", "PREPAYMENT_INVOICE"),
        ("NEW", "PREPARATION", "EXECUTING", "PREPARATION", "EXECUTING", "PREPARATION"),
        ("C1:NEW", "C1:PREPARATION", "C1:NEW", "C1:PREPARATION", "C1:EXECUTING", "C1:WON"),
        ("C3:NEW", "C3:EXECUTING", "C3:PREPARATION", "C3:EXECUTING", "C3:LOSE"),
    )
    for number, stages in enumerate(lives):
        begins = 88 - 6 * number
        steps = [(planter.at(begins - 5 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[0])
        card = planter.deal(client, planter.sellers[0], steps)
        entries += [
            {
                "deal_id": card,
                "category_id": CATEGORY_OF_STAGE[stage],
                "stage_id": stage,
                "visits": stages.count(stage),
            }
            for stage in dict.fromkeys(stages)
            if stages.count(stage) > 1
        ]
    return entries


def _moved_between_pipelines(planter: Planter) -> list[Entry]:
    entries = []
    lives: tuple[tuple[tuple[str, ...], int], ...] = (
        (("C2:NEW", "C2:UC_CALL", "C2:PREPARATION", "NEW", "PREPARATION"), 3),
        (("C2:NEW", "C2:PREPARATION", "C2:WON", "NEW", "PREPARATION", "EXECUTING", "WON"), 3),
        (("NEW", "PREPARATION", "C1:NEW", "C1:PREPARATION", "C1:LOSE"), 2),
        (("C1:NEW", "C1:PREPARATION", "PREPARATION", "PREPAYMENT_INVOICE"), 2),
    )
    for number, (stages, position) in enumerate(lives):
        begins = 86 - 8 * number
        steps = [(planter.at(begins - 4 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[1])
        card = planter.deal(client, planter.sellers[1], steps)
        entries.append(
            {
                "deal_id": card,
                "from_category_id": CATEGORY_OF_STAGE[stages[position - 1]],
                "to_category_id": CATEGORY_OF_STAGE[stages[position]],
                "moved_at": _text(steps[position][0]),
            }
        )
    return entries


def _lost_to_other_lost(planter: Planter) -> list[Entry]:
    entries = []
    lives = (
        ("NEW", "PREPARATION", "LOSE", "APOLOGY"),
        ("C1:NEW", "C1:PREPARATION", "C1:LOSE", "C1:UC_PRICE"),
        ("C2:NEW", "C2:LOSE", "C2:APOLOGY"),
    )
    for number, stages in enumerate(lives):
        begins = 82 - 10 * number
        steps = [(planter.at(begins - 9 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[0])
        card = planter.deal(client, planter.sellers[0], steps)
        entries.append(
            {
                "deal_id": card,
                "first_lost_at": _text(steps[-2][0]),
                "second_lost_at": _text(steps[-1][0]),
                "stage_ids": list(stages[-2:]),
            }
        )
    return entries


def _zero_amount_wins(planter: Planter) -> list[Entry]:
    entries = []
    for number, stages in enumerate(
        (("NEW", "EXECUTING", "WON"), ("NEW", "WON"), ("C2:NEW", "C2:PREPARATION", "C2:WON"))
    ):
        begins = 40 - 6 * number
        steps = [(planter.at(begins - 4 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[1])
        card = planter.deal(client, planter.sellers[1], steps, amount=0)
        entries.append({"deal_id": card})
    return entries


def _missed_never_called_back(planter: Planter) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(3):
        created = planter.at(60 - 6 * number)
        client = planter.client(created - 60, planter.sellers[0])
        planter.deal(client, planter.sellers[0], [(created, "NEW"), (created + DAY, "PREPARATION")])
        start = planter.at(33 - 7 * number, 4)
        call = planter.call(
            planter.sellers[0],
            start,
            client,
            seconds=0,
            kind=INCOMING,
            code="304",
            activity_of=client,
        )
        entries.append({"call_id": call, "phone": client.phone, "contact_id": client})
    number = planter.free_number()
    call = planter.call(
        planter.sellers[1], planter.at(12, 4), number=number, seconds=0, kind=INCOMING, code="304"
    )
    phone = f"+{names.COUNTRY + number}"
    entries.append({"call_id": call, "phone": phone, "contact_id": None})
    return entries


def _calls_after_close(planter: Planter) -> list[Entry]:
    entries = []
    cases = (
        ("WON", 10, False, "after_close"),
        ("LOSE", 29, False, "after_close"),
        ("WON", 31, False, "no_open_card"),
        ("LOSE", 45, False, "no_open_card"),
        ("WON", 60, True, "after_close"),
        ("LOSE", 2, True, "after_close"),
    )
    for number, (final, days, is_bound, method) in enumerate(cases):
        # The call is on a working day; the close a whole number of days before it, to the minute.
        start = planter.at(7 + number, 12)
        closed = start - days * DAY
        steps = [
            (closed - 12 * DAY, "NEW"),
            (closed - 9 * DAY, "PREPAYMENT_INVOICE"),
            (closed, final),
        ]
        seller = planter.sellers[number % 2]
        client = planter.client(steps[0][0] - 60, seller)
        card = planter.deal(client, seller, steps)
        call = planter.call(
            seller,
            start + 20 * number,
            client,
            kind=INCOMING,
            seconds=15,
            names_client=True,
            activity_of=card if is_bound else None,
        )
        entries.append(
            {"call_id": call, "deal_id": card, "days_after": days, "expected_method": method}
        )
    return entries


def _calls_bound_to_a_later_deal(planter: Planter) -> list[Entry]:
    entries = []
    for number, minutes in enumerate((12, 59, 61, 2_880)):
        created = planter.at(58 - 5 * number, 30)
        start = created - minutes * MINUTE
        seller = planter.site.setting.staff.director
        client = planter.client(start - 60, seller)
        card = planter.deal(client, seller, [(created, "NEW"), (created + 2 * DAY, "PREPARATION")])
        call = planter.call(seller, start, client, kind=INCOMING, activity_of=card)
        entries.append(
            {
                "call_id": call,
                "deal_id": card,
                "minutes_before": minutes,
                "expected_method": "started_deal" if minutes <= 60 else "before_deal",
            }
        )
    return entries


def _contact_with_thousands_of_calls(planter: Planter) -> list[Entry]:
    setting = planter.site.setting
    third_day = setting.edges[:1] // DAY + 2
    first = int(setting.rhythm.next_working(third_day)[0]) * DAY
    user = planter.user(
        is_active=True,
        registered=first - 300 * DAY,
        last_login=setting.clock - 9 * HOUR,
        last_activity=setting.clock - HOUR,
    )
    client = planter.client(first - DAY // 2, user)
    card = planter.deal(
        client, user, [(first - DAY // 4, "NEW"), (first + 20 * DAY, "PREPARATION")]
    )
    for start in planter.slots(setting.size.heavy_calls, first, setting.clock):
        chance = planter.rng.random(4)
        kind = OUTGOING if chance[0] < 0.7 else INCOMING if chance[0] < 0.95 else CALLBACK
        is_answered = chance[1] < 0.85
        failed = "304" if kind == INCOMING else "480"
        planter.call(
            user,
            start,
            client,
            seconds=int(5 + chance[2] * 290) if is_answered else 0,
            kind=kind,
            code="200" if is_answered else failed,
            names_client=True,
            activity_of=card if chance[3] < 0.5 else client if chance[3] < 0.8 else None,
        )
    return [{"contact_id": client, "calls": setting.size.heavy_calls}]


def _moved_deadlines(planter: Planter) -> list[Entry]:
    setting = planter.site.setting
    user = planter.user(
        is_active=True,
        registered=planter.day(420),
        last_login=setting.clock - 9 * HOUR,
        last_activity=setting.clock - HOUR,
    )
    tasks, cards = [], []
    moves = 0
    for number in range(5):
        created = planter.day(70 - 6 * number) + 10 * HOUR
        client = planter.client(created - 60, user)
        steps = [(created, "NEW"), (created + DAY, "PREPARATION"), (created + 4 * DAY, "EXECUTING")]
        card = planter.deal(client, user, steps)
        (start,) = planter.slots(1, created + DAY, created + 5 * DAY)
        planter.call(user, start, client, activity_of=card)
        # The task follows the only call; from then on nothing happens but the moving.
        given = max(start + HOUR, created + 5 * DAY)
        deadlines = [(given, given + 2 * DAY)]
        while len(deadlines) < 6 + number:
            before = deadlines[-1][1]
            deadlines.append((before - 40 * MINUTE, before + (3 + number) * DAY))
        deadlines = [item for item in deadlines if item[0] < setting.clock - HOUR]
        tasks.append(planter.task(card, user, given, deadlines))
        cards.append(card)
        moves += len(deadlines) - 1
    return [{"user_id": user, "task_ids": tasks, "deal_ids": cards, "moves": moves}]


TROUBLES: Mapping[str, Callable[[Planter], list[Entry]]] = {
    "dismissed_before_first_load": _dismissed_before_first_load,
    "dismissed_inside_period": _dismissed_inside_period,
    "works_after_dismissal": _works_after_dismissal,
    "shared_line": _shared_line,
    "contacts_with_two_open_deals": _contacts_with_two_open_deals,
    "calls_in_the_second_of_a_move": _calls_in_the_second_of_a_move,
    "stage_revisits": _stage_revisits,
    "moved_between_pipelines": _moved_between_pipelines,
    "lost_to_other_lost": _lost_to_other_lost,
    "zero_amount_wins": _zero_amount_wins,
    "missed_never_called_back": _missed_never_called_back,
    "calls_after_close": _calls_after_close,
    "calls_bound_to_a_later_deal": _calls_bound_to_a_later_deal,
    "contact_with_thousands_of_calls": _contact_with_thousands_of_calls,
    "moved_deadlines": _moved_deadlines,
}
"""Name to function, in the order of their slots; append only, a changed order changes ids.

All slots are taken: one more trouble needs a larger `ids.STRIDE`, and with it other ids."""


def plant(name: str, site: Site) -> Chunk:
    """All records of one trouble and what it consists of."""
    planter = Planter(name, list(TROUBLES).index(name) + 1, site)
    return planter.finish(name, TROUBLES[name](planter))
