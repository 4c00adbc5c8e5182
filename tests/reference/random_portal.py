"""Small adversarial portals, and the way to hand them to the real pipeline.

They crowd on few instants and few ids, so that ties, both ends of every window, ids of different
length (9 and 10, 999 and 1000), shared numbers and rows after the cut are common, not rare.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sources.demo.store import PortalStore, from_microseconds
from tests.reference.records import (
    Activity,
    CallRow,
    Category,
    Contact,
    Deal,
    HistoryRow,
    Lead,
    LeadHistoryRow,
    Portal,
    Status,
    User,
)
from tests.reference.rules import DAY, MINUTE, SECOND, Rules

RANDOM_RULES = Rules(
    time_zone="Asia/Beirut",
    pipeline_roles={1: "setter", 2: "service", 3: "ignore", 4: "sales"},
)
"""The rules random portals are meant for: every role, and pipeline 0 with the default one.

Clocks of Beirut are changed at midnight: in spring a day has none, in autumn the hour before it
comes twice.
"""

# 2024-03-30 21:59:30 UTC: half a minute before the midnight that Beirut skips, and a day and a half
# before the month's end.
_BASE = 1_711_835_970 * SECOND
# 2024-10-26 20:59:30 UTC: half a minute before Beirut's clocks go back, from midnight to 23:00.
_AUTUMN = 1_729_976_370 * SECOND - _BASE
_CLOCK = _BASE + 31 * DAY
_INSTANTS = [
    _BASE + offset
    for offset in (
        -DAY,
        0,
        SECOND,
        40 * SECOND,
        60 * MINUTE,
        60 * MINUTE + SECOND,
        61 * MINUTE,
        DAY,
        30 * DAY,
        30 * DAY + SECOND,
        31 * DAY,  # the cut itself
        31 * DAY + SECOND,  # after it
        32 * DAY,
    )
]

_STAGES: Mapping[int, Mapping[str, str | None]] = {
    0: {"NEW": None, "WORK": None, "WON": "S", "LOSE": "F", "APOLOGY": "F"},
    1: {"C1:NEW": None, "C1:CALLED": "", "C1:WON": "S", "C1:LOSE": "F"},
    2: {"C2:NEW": None, "C2:WORK": None, "C2:WON": "S", "C2:LOSE": "F"},
    3: {"C3:NEW": None, "C3:WORK": None, "C3:WON": "S", "C3:LOSE": "F"},
    # Ids of pipeline 0 with other semantics: a stage is (pipeline, id), never the id alone.
    4: {"NEW": None, "WORK": "F", "WON": "S", "C4:WORK": None},
}
# Ids of pipeline 0 here too, one of them with other semantics.
_LEAD_STATUSES: Mapping[str, str | None] = {
    "NEW": None,
    "WORK": "",
    "LOSE": None,
    "CONVERTED": "S",
    "JUNK": "F",
}
_UNKNOWN_STAGES = {"GONE_OPEN": "P", "GONE_WON": "S", "GONE_LOST": "F"}

PEOPLE = (9, 10, 999, 1000)
ROBOT = 11
"""No list has it."""
_INSTANT_FIELDS = {
    "date_create",
    "moved_time",
    "created_time",
    "date_closed",
    "call_start_date",
    "last_login",
    "last_activity",
}

_PHONES = ("+7 (912) 345-67-01", "8 912 345 67 01", "79123456702", "+49 30 901820", "101", "hidden")


def random_portal(
    rng: random.Random, deals: int = 8, leads: int = 6, calls: int = 24, contacts: int = 4
) -> Portal:
    """A portal of up to that size; the same generator state gives the same portal."""
    # Mostly deals, mostly leads, or both: a client's open deal takes the calls from its leads, and
    # either from a card that is created later.
    deals, leads = rng.choice([(deals, 2), (1, leads), (deals, leads)])
    contact_ids, deal_ids, lead_ids = (
        random_ids(rng, contacts),
        random_ids(rng, deals),
        random_ids(rng, leads),
    )
    # Often one client has most of the cards. The ids that nobody has are deleted records that
    # others still name.
    favourites = [rng.choice(contact_ids)] * rng.choice([0, 10, 20])
    named_contacts: list[int | None] = [
        None, 0, *contact_ids, *contact_ids, *favourites, _absent(contact_ids),
    ]  # fmt: skip
    named_deals = [*deal_ids, *deal_ids, _absent(deal_ids)]
    named_leads = [*lead_ids, *lead_ids, _absent(lead_ids)]
    companies = [None, 0, 9, 10, 1000]
    users = [None, 9, 10]
    found_leads, lead_history = _leads(rng, lead_ids, named_contacts, companies, users)
    found_deals, history = _deals(rng, deal_ids, named_contacts, companies, users, named_leads)
    activity_ids = random_ids(rng, max(calls // 2, 1))
    named = {1: named_leads, 2: named_deals}
    activities = tuple(_activity_of(rng, number, named) for number in activity_ids)
    portal = Portal(
        clock=_CLOCK,
        categories=tuple(
            Category(id=category, name=f"Pipeline {category}") for category in _STAGES
        ),
        statuses=_statuses(),
        contacts=tuple(
            Contact(
                id=contact_id,
                company_id=rng.choice(companies) if rng.random() < 0.5 else None,
                phones=tuple(rng.sample(_PHONES, rng.choice([0, 1, 1, 2]))),
            )
            for contact_id in contact_ids
        ),
        deals=found_deals,
        stage_history=history,
        leads=found_leads,
        lead_history=lead_history,
        activities=activities,
        calls=tuple(
            _call_row(
                rng,
                call_id,
                {
                    "CONTACT": named_contacts,
                    "COMPANY": companies,
                    "LEAD": named_leads,
                    "DEAL": named_deals,
                },
                activity_ids,
                users,
            )
            for call_id in random_ids(rng, calls)
        ),
    )
    portal = _with_people(rng, portal)
    return _later(portal, _AUTUMN) if rng.random() < 0.5 else portal


def write_portal(portal: Portal, path: Path | str) -> Path:
    """Write a portal into a new demo store, with what the pipeline needs and the reference doesn't.

    `read_store` of the file gives an equal portal.

    Raises:
        FileExistsError: there is a file at the path.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists: write each portal to a new file")
    clock = from_microseconds(portal.clock)
    # Records without an instant of their own are older than everything that names them.
    cards: list[Deal | Lead] = [*portal.deals, *portal.leads]
    moves: list[HistoryRow | LeadHistoryRow] = [*portal.stage_history, *portal.lead_history]
    oldest = min(
        [portal.clock, *(card.date_create for card in cards)]
        + [row.created_time for row in moves]
        + [row.call_start_date for row in portal.calls]
    )
    with PortalStore(path) as store:
        store.create()
        store.insert("category", (_category(c) for c in portal.categories))
        store.insert("status", (_status(s) for s in portal.statuses))
        store.insert("department", [{"ID": 1, "NAME": "Sales", "SORT": 100}])
        store.insert("user", (_user(user, oldest) for user in portal.users))
        store.insert("contact", (_contact(c, oldest) for c in portal.contacts))
        store.insert("deal", (_deal(d, portal.clock) for d in portal.deals))
        store.insert("stage_history", _history(portal))
        store.insert("lead", (_lead(lead, portal.clock) for lead in portal.leads))
        store.insert("lead_stage_history", _lead_history(portal))
        store.insert("activity", (_activity(a, oldest) for a in portal.activities))
        store.insert("binding", _bindings(portal))
        store.insert("call", (_call(row) for row in portal.calls))
        store.clock = clock
        store.set_meta("utc_offset", portal.utc_offset)
        store.set_meta("title", path.stem)
        store.finish()
    return path


def write_portals(portals: Iterable[Portal], folder: Path | str) -> dict[str, Path]:
    """Write each portal into a file of its own, so that one warehouse can load them all.

    Returns:
        Connection name (`p0001`, …) to file; the source key of a portal is `bitrix24:<name>`.
    """
    return {
        (name := f"p{number:04d}"): write_portal(portal, Path(folder) / f"{name}.sqlite")
        for number, portal in enumerate(portals, start=1)
    }


def _with_people(rng: random.Random, portal: Portal) -> Portal:
    """Users, and more of them behind cards and calls; sources that say who made a card.

    Some are missing from the list: they have left, or are no people at all.
    """
    listed = [number for number in PEOPLE if rng.random() < 0.7]
    users = tuple(
        User(
            id=number,
            is_active=rng.random() < 0.6,
            name=f"Anna Employee {number}",
            last_login=rng.choice([None, *_INSTANTS[:-3]]),
            last_activity=rng.choice([None, *_INSTANTS[:-3]]),
        )
        for number in listed
    )

    def person(now: int | None) -> int | None:
        return rng.choice([None, 0, *PEOPLE, ROBOT]) if rng.random() < 0.3 else now

    def source() -> str | None:
        return rng.choice([None, "", "NEW", "CALL", "WEBFORM", "CALLBACK", "1|TELEGRAM"])

    return replace(
        portal,
        users=users,
        deals=tuple(
            replace(
                deal,
                assigned_by_id=person(deal.assigned_by_id),
                created_by_id=rng.choice([None, 0, *PEOPLE, ROBOT]),
                moved_by_id=rng.choice([None, 0, *PEOPLE, *PEOPLE, ROBOT]),
                moved_time=rng.choice([deal.moved_time, *_entries(portal.stage_history, deal.id)]),
                source_id=source(),
            )
            for deal in portal.deals
        ),
        leads=tuple(
            replace(
                lead,
                assigned_by_id=person(lead.assigned_by_id),
                created_by_id=rng.choice([None, 0, *PEOPLE, ROBOT]),
                source_id=source(),
            )
            for lead in portal.leads
        ),
        calls=tuple(
            replace(row, portal_user_id=person(row.portal_user_id)) for row in portal.calls
        ),
    )


def _entries(history: Sequence[HistoryRow], deal_id: int) -> list[int]:
    return [row.created_time for row in history if row.owner_id == deal_id]


def _later(portal: Portal, step: int) -> Portal:
    """The same portal at another time."""

    def moved(record: Any) -> Any:
        if isinstance(record, tuple):
            return tuple(moved(one) for one in record)
        names = _INSTANT_FIELDS & {field.name for field in fields(record)}
        found = {name: getattr(record, name) for name in names}
        return replace(record, **{name: at + step for name, at in found.items() if at is not None})

    lists = {
        field.name: moved(value)
        for field in fields(portal)
        if isinstance(value := getattr(portal, field.name), tuple)
    }
    return replace(portal, clock=portal.clock + step, **lists)


def random_ids(rng: random.Random, count: int) -> list[int]:
    """Distinct ids, sorted, around the places where numbers grow a digit."""
    pool = [edge + step for edge in (10, 100, 1000) for step in (-2, -1, 0, 1)]
    edge = 10_000
    while len(pool) < count:
        pool += range(edge - 50, edge + 50)
        edge *= 10
    return sorted(rng.sample(pool, count))


def _activity_of(
    rng: random.Random, activity_id: int, named: Mapping[int, Sequence[int]]
) -> Activity:
    """A call, rarely another kind; half of them bound to more than their owner."""
    main = rng.choice([1, 2])

    def entity(types: Sequence[int]) -> tuple[int, int]:
        # Mostly of one type. Ids of contacts and companies are those of deals too: the type tells
        # them apart.
        entity_type = rng.choice([main, main, main, *types])
        return entity_type, rng.choice(named.get(entity_type, named[2]))

    owner = entity([1, 2, 3])
    found = [entity([1, 2, 3, 4]) for _ in range(5)]
    further = found[: rng.choice([0, 0, 2, 3, 4, 5])]
    return Activity(
        id=activity_id,
        owner_type_id=owner[0],
        owner_id=owner[1],
        type_id=rng.choice([2] * 7 + [6]),
        bindings=tuple(dict.fromkeys(binding for binding in further if binding != owner)),
    )


def _absent(ids: Sequence[int]) -> int:
    return next(number for number in (9, 10, 999, 1000, 7) if number not in ids or number == 7)


def _statuses() -> tuple[Status, ...]:
    stages = [
        (category, stage_id, semantics)
        for category, found in _STAGES.items()
        for stage_id, semantics in found.items()
    ]
    deal_stages = [
        Status(
            id=number,
            entity_id=f"DEAL_STAGE_{category}" if category else "DEAL_STAGE",
            status_id=stage_id,
            semantics=semantics,
            name=stage_id.title(),
        )
        for number, (category, stage_id, semantics) in enumerate(stages, start=1)
    ]
    lead_statuses = [
        Status(
            id=number,
            entity_id="STATUS",
            status_id=status_id,
            semantics=semantics,
            name=status_id.title(),
        )
        for number, (status_id, semantics) in enumerate(_LEAD_STATUSES.items(), start=800)
    ]
    # The dictionary holds other things than stages, with the same ids.
    source = Status(id=900, entity_id="SOURCE", status_id="NEW", name="Call")
    return (*deal_stages, *lead_statuses, source)


def _random_stage(rng: random.Random, stages: Mapping[str, str | None]) -> tuple[str, str]:
    """(stage id, its semantics code as the row says it), one in eight not in the dictionary."""
    if rng.random() < 0.125:
        stage_id = rng.choice(list(_UNKNOWN_STAGES))
        return stage_id, _UNKNOWN_STAGES[stage_id]
    # Lost ones half as often: a client needs several open deals before one has to be chosen, and a
    # won one before it is a repeat client.
    stage_id = rng.choice([*stages, *(stage for stage, code in stages.items() if code != "F")])
    # A row may contradict the dictionary; the dictionary wins.
    wrong = rng.random() < 0.1
    return stage_id, rng.choice("PSF") if wrong else stages[stage_id] or "P"


def _entry_times(rng: random.Random, created: int) -> list[int]:
    """When a card's history has rows; one in five has none, some begin before the creation."""
    if rng.random() >= 0.8:
        return []
    times = sorted(rng.choices(_INSTANTS, k=rng.choice([1, 1, 2, 3, 4, 6])))
    if rng.random() < 0.7:
        return [created, *(time for time in times if time >= created)]
    return times


def _history_ids(rng: random.Random, count: int) -> list[int]:
    """Ids that don't follow time: at ties they decide, elsewhere they must not."""
    ids = random_ids(rng, count)
    if rng.random() < 0.5:
        rng.shuffle(ids)
    return ids


def _leads(
    rng: random.Random,
    lead_ids: Sequence[int],
    named_contacts: Sequence[int | None],
    companies: Sequence[int | None],
    users: Sequence[int | None],
) -> tuple[tuple[Lead, ...], tuple[LeadHistoryRow, ...]]:
    found: list[Lead] = []
    entries: list[tuple[int, int, str, str]] = []
    for lead_id in lead_ids:
        # Mostly before the deals that name it.
        created = min(rng.choices(_INSTANTS, k=rng.choice([1, 2, 3])))
        status_id, code = _random_status(rng)
        for moved in _entry_times(rng, created):
            if rng.random() < 0.8:  # else a row that repeats the status
                status_id, code = _random_status(rng)
            entries.append((lead_id, moved, status_id, code))
        found.append(
            Lead(
                id=lead_id,
                date_create=created,
                status_id=status_id,
                status_semantic_id=code,
                date_closed=rng.choice([None, *_INSTANTS]),
                company_id=rng.choice(companies) if rng.random() < 0.3 else None,
                contact_id=rng.choice(named_contacts),
                assigned_by_id=rng.choice(users),
            )
        )
    if rng.random() < 0.3:
        entries.append((_absent(lead_ids), rng.choice(_INSTANTS), "NEW", "P"))
    history = [
        LeadHistoryRow(row_id, *entry)
        for row_id, entry in zip(_history_ids(rng, len(entries)), entries, strict=True)
    ]
    return tuple(found), tuple(sorted(history, key=lambda row: row.id))


def _random_status(rng: random.Random) -> tuple[str, str]:
    """Half of the leads are closed: an open one takes the calls of its client."""
    if rng.random() < 0.4:
        return "CONVERTED", "S"
    return _random_stage(rng, _LEAD_STATUSES)


def _deals(
    rng: random.Random,
    deal_ids: Sequence[int],
    named_contacts: Sequence[int | None],
    companies: Sequence[int | None],
    users: Sequence[int | None],
    named_leads: Sequence[int],
) -> tuple[tuple[Deal, ...], tuple[HistoryRow, ...]]:
    found: list[Deal] = []
    entries: list[tuple[int, int, int, str, str]] = []
    # Most deals begin in the portal's main pipeline.
    main = rng.choice([0, 0, 1, 1, 2, 3, 3, 3, 4])
    for deal_id in deal_ids:
        # Rather early, so that several deals of a client stand beside its calls.
        created = min(rng.choices(_INSTANTS, k=rng.choice([1, 2, 2])))
        category = rng.choice([*_STAGES, *[main] * 15])
        stage_id, code = _random_stage(rng, _STAGES[category])
        moved = rng.choice(_INSTANTS)
        for moved in _entry_times(rng, created):
            if rng.random() < 0.25:
                category = rng.choice(list(_STAGES))
            if rng.random() < 0.8:  # else a row that repeats the stage, or takes its id along
                stage_id, code = _random_stage(rng, _STAGES[category])
            entries.append((deal_id, moved, category, stage_id, code))
        found.append(
            Deal(
                id=deal_id,
                date_create=created,
                category_id=category,
                stage_id=stage_id,
                stage_semantic_id=code,
                moved_time=moved,
                company_id=rng.choice(companies) if rng.random() < 0.3 else None,
                contact_id=rng.choice(named_contacts),
                assigned_by_id=rng.choice(users),
                is_recurring=rng.random() < 0.08,
                lead_id=rng.choice([None, 0, *named_leads]),
            )
        )
    if rng.random() < 0.3:
        entries.append((_absent(deal_ids), rng.choice(_INSTANTS), 0, "NEW", "P"))
    history = [
        HistoryRow(row_id, *entry)
        for row_id, entry in zip(_history_ids(rng, len(entries)), entries, strict=True)
    ]
    return tuple(found), tuple(sorted(history, key=lambda row: row.id))


def _call_row(
    rng: random.Random,
    call_id: int,
    named: Mapping[str, Sequence[int | None]],
    activity_ids: Sequence[int],
    users: Sequence[int | None],
) -> CallRow:
    entity_type = rng.choice([None, "", *["CONTACT"] * 4, "COMPANY", "LEAD", "DEAL"])
    has_activity = rng.random() < 0.35
    return CallRow(
        id=call_id,
        call_start_date=rng.choice(_INSTANTS),
        call_type=rng.choice([1] * 4 + [2] * 4 + [3, 4, 5]),
        call_id=rng.choice([None, "", "a", "b", *(f"call-{call_id}" for _ in range(8))]),
        phone_number=rng.choice([*_PHONES, *_PHONES[:3] * 2]),
        portal_user_id=rng.choice(users),
        call_category=rng.choice(["external"] * 6 + [None, "", "internal"]),
        call_duration=rng.choice([0, 1, 39, 40, 41, 600]),
        call_failed_code=rng.choice(["200", "200", "200", None, "", "304", "603-S"]),
        crm_entity_type=entity_type,
        crm_entity_id=rng.choice(named.get(entity_type or "", [None])),
        crm_activity_id=rng.choice([*activity_ids, _absent(activity_ids)])
        if has_activity
        else None,
    )


Row = dict[str, Any]


def _category(category: Category) -> Row:
    return {
        "ID": category.id,
        "NAME": category.name,
        "SORT": 100 + category.id,
        "IS_DEFAULT": category.id == 0,
    }


def _status(status: Status) -> Row:
    number = status.entity_id.removeprefix("DEAL_STAGE").removeprefix("_")
    is_stage = status.entity_id.startswith("DEAL_STAGE")
    return {
        "ID": status.id,
        "ENTITY_ID": status.entity_id,
        "STATUS_ID": status.status_id,
        "NAME": status.name,
        "SORT": status.id * 10,
        "SYSTEM": False,
        "CATEGORY_ID": int(number or 0) if is_stage else None,
        "SEMANTICS": status.semantics,
    }


def _user(user: User, oldest: int) -> Row:
    first, _, last = user.name.partition(" ")
    return {
        "ID": user.id,
        "ACTIVE": user.is_active,
        "NAME": first,
        "LAST_NAME": last,
        "LAST_LOGIN": user.last_login,
        "LAST_ACTIVITY_DATE": user.last_activity,
        "DATE_REGISTER": oldest,
        "UF_DEPARTMENT": [1],
        "USER_TYPE": "employee",
    }


def _contact(contact: Contact, oldest: int) -> Row:
    phones = [
        {"ID": str(number), "VALUE_TYPE": "WORK", "VALUE": value, "TYPE_ID": "PHONE"}
        for number, value in enumerate(contact.phones, start=1)
    ]
    return {
        "ID": contact.id,
        "NAME": f"Contact {contact.id}",
        "COMPANY_ID": contact.company_id,
        "DATE_CREATE": oldest,
        "DATE_MODIFY": oldest,
        "PHONE": phones,
        "EMAIL": [],
        "CUSTOM": {},
    }


def _modified(created: int, moved: int | None, clock: int) -> int:
    """The portal shows no change later than its clock, except to cards that are created later."""
    return max(created, min(created if moved is None else moved, clock))


def _deal(deal: Deal, clock: int) -> Row:
    return {
        "ID": deal.id,
        "TITLE": f"Deal {deal.id}",
        "CATEGORY_ID": deal.category_id,
        "STAGE_ID": deal.stage_id,
        "STAGE_SEMANTIC_ID": deal.stage_semantic_id,
        "IS_RECURRING": deal.is_recurring,
        "CURRENCY_ID": "RUB",
        "OPPORTUNITY": "1000.00",
        "COMPANY_ID": deal.company_id,
        "CONTACT_ID": deal.contact_id,
        "BEGINDATE": deal.date_create,
        # The planned end, which says nothing about the close.
        "CLOSEDATE": deal.date_create + 7 * DAY,
        "CLOSED": deal.stage_semantic_id in ("S", "F"),
        "ASSIGNED_BY_ID": deal.assigned_by_id,
        "CREATED_BY_ID": deal.created_by_id,
        "MODIFY_BY_ID": deal.assigned_by_id,
        "MOVED_BY_ID": deal.moved_by_id,
        "SOURCE_ID": deal.source_id,
        "DATE_CREATE": deal.date_create,
        "DATE_MODIFY": _modified(deal.date_create, deal.moved_time, clock),
        "MOVED_TIME": deal.moved_time,
        "LEAD_ID": deal.lead_id,
        "CUSTOM": {},
    }


def _lead(lead: Lead, clock: int) -> Row:
    modified = _modified(lead.date_create, lead.date_closed, clock)
    return {
        "ID": lead.id,
        "TITLE": f"Lead {lead.id}",
        "STATUS_ID": lead.status_id,
        "STATUS_SEMANTIC_ID": lead.status_semantic_id,
        "CURRENCY_ID": "RUB",
        "OPPORTUNITY": "500.00",
        "COMPANY_ID": lead.company_id,
        "CONTACT_ID": lead.contact_id,
        "ASSIGNED_BY_ID": lead.assigned_by_id,
        "CREATED_BY_ID": lead.created_by_id,
        "SOURCE_ID": lead.source_id,
        "MODIFY_BY_ID": lead.assigned_by_id,
        "MOVED_BY_ID": lead.assigned_by_id,
        "DATE_CREATE": lead.date_create,
        "DATE_MODIFY": modified,
        "DATE_CLOSED": lead.date_closed,
        # Not what a lead without history is closed by.
        "MOVED_TIME": modified,
        "PHONE": [],
        "EMAIL": [],
        "CUSTOM": {},
    }


def _history(portal: Portal) -> Iterable[Row]:
    """Rows with TYPE_ID: 1 created, 2 moved, 3 to a final stage, 5 to another pipeline."""
    category_of_owner: dict[int, int] = {}
    for row in sorted(portal.stage_history, key=lambda row: (row.created_time, row.id)):
        category = category_of_owner.get(row.owner_id)
        if category is None:
            type_id = 1
        elif category != row.category_id:
            type_id = 5
        else:
            type_id = 3 if row.stage_semantic_id in ("S", "F") else 2
        category_of_owner[row.owner_id] = row.category_id
        yield {
            "ID": row.id,
            "TYPE_ID": type_id,
            "OWNER_ID": row.owner_id,
            "CREATED_TIME": row.created_time,
            "CATEGORY_ID": row.category_id,
            "STAGE_SEMANTIC_ID": row.stage_semantic_id,
            "STAGE_ID": row.stage_id,
        }


def _lead_history(portal: Portal) -> Iterable[Row]:
    """Rows with TYPE_ID: 1 created, 2 moved, 3 to a final status."""
    seen: set[int] = set()
    for row in sorted(portal.lead_history, key=lambda row: (row.created_time, row.id)):
        is_final = row.status_semantic_id in ("S", "F")
        type_id = 1 if row.owner_id not in seen else 3 if is_final else 2
        seen.add(row.owner_id)
        yield {
            "ID": row.id,
            "TYPE_ID": type_id,
            "OWNER_ID": row.owner_id,
            "CREATED_TIME": row.created_time,
            "STATUS_SEMANTIC_ID": row.status_semantic_id,
            "STATUS_ID": row.status_id,
        }


def _activity(activity: Activity, oldest: int) -> Row:
    return {
        "ID": activity.id,
        "OWNER_ID": activity.owner_id,
        "OWNER_TYPE_ID": activity.owner_type_id,
        "TYPE_ID": activity.type_id,
        "PROVIDER_ID": "VOXIMPLANT_CALL",
        "SUBJECT": "Call",
        "CREATED": oldest,
        "LAST_UPDATED": oldest,
        "COMPLETED": True,
    }


def _bindings(portal: Portal) -> Iterable[Row]:
    bound = (
        (activity.id, *binding) for activity in portal.activities for binding in activity.bindings
    )
    for number, (activity_id, entity_type, entity_id) in enumerate(bound, start=1):
        yield {
            "ID": number,
            "ACTIVITY_ID": activity_id,
            "ENTITY_TYPE_ID": entity_type,
            "ENTITY_ID": entity_id,
        }


def _call(row: CallRow) -> Row:
    return {
        "ID": row.id,
        "PORTAL_USER_ID": row.portal_user_id,
        "PHONE_NUMBER": row.phone_number,
        "CALL_ID": row.call_id,
        "CALL_CATEGORY": row.call_category,
        "CALL_DURATION": row.call_duration,
        "CALL_START_DATE": row.call_start_date,
        "CALL_FAILED_CODE": row.call_failed_code,
        "CRM_ENTITY_TYPE": row.crm_entity_type,
        "CRM_ENTITY_ID": row.crm_entity_id,
        "CRM_ACTIVITY_ID": row.crm_activity_id,
        "CALL_TYPE": row.call_type,
    }
