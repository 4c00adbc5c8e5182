"""amoCRM accounts in the models: what becomes of leads, events, notes, users and dictionaries.

Every account is a connection of one company, beside a portal of Bitrix24, and all are one build.
Minutes count from NOON, 2 March 2026; every account is read ten days later.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pytest

from expectations.outcomes import Outcome, outcomes
from orchestration.settings import Settings
from sources.bookkeeping import Books, EntityLoad
from sources.demo.amocrm.store import AmoStore, lead_status
from tests.support.amo_accounts import (
    LOST,
    NEW,
    OLD,
    OLD_NEW,
    SALES,
    TALKS,
    WON,
    client_row,
    lead_row,
    make_account,
    note_row,
)
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm

DAY = 24 * 60
LAST_DAY = 10
CUT = NOON + dt.timedelta(days=LAST_DAY)
INCOMING = SALES + 1
OFFER, DEMO, NEVER_SEEN, REMOVED = 1003, 1004, 1999, 300
"""Statuses of the main pipeline that the dictionary no longer has, and a pipeline likewise."""
ANNA, BORIS, OTHER_BORIS, VERA, MARRIED, RESTORED = 11, 12, 13, 14, 15, 16
TALK = {"duration": 60, "call_status": 4, "phone": "+79000000001"}


def on_day(day: float) -> dt.datetime:
    """Noon UTC of a day after 2 March 2026."""
    return NOON + dt.timedelta(days=day)


def event(number: int, kind: str, lead_id: int, minutes: float, **fields: Any) -> dict[str, Any]:
    """An event; ids order as their numbers."""
    return {
        "id": f"01{number:024}",
        "type": kind,
        "entity_id": lead_id,
        "entity_type": "lead",
        "created_by": 1,
        "created_at": at(minutes),
        "value_after": [],
        "value_before": [],
        **fields,
    }


def change(
    number: int, lead_id: int, minutes: float, before: int, after: int, **fields: Any
) -> dict[str, Any]:
    """The event of a move; within the main pipeline, unless it says otherwise."""
    return event(
        number,
        "lead_status_changed",
        lead_id,
        minutes,
        **{
            "value_before": [lead_status(before, SALES)],
            "value_after": [lead_status(after, SALES)],
            **fields,
        },
    )


def handover(
    number: int, lead_id: int, minutes: float, before: int, after: int, **fields: Any
) -> dict[str, Any]:
    """The event of a change of the responsible user."""
    return event(
        number,
        "entity_responsible_changed",
        lead_id,
        minutes,
        value_before=[{"responsible_user": {"id": before}}],
        value_after=[{"responsible_user": {"id": after}}],
        **fields,
    )


def call_note(
    note_id: int, entity_type: str, entity_id: int, params: Mapping[str, Any], **fields: Any
) -> dict[str, Any]:
    """An outgoing answered call of a minute."""
    return note_row(
        note_id,
        entity_type,
        entity_id,
        **{"note_type": "call_out", "params": {**TALK, **params}, **fields},
    )


def user_row(user_id: int, name: str, **fields: Any) -> dict[str, Any]:
    """An active user of the group Sales."""
    return {"id": user_id, "name": name, "is_active": 1, "group_id": 7, **fields}


def custom_field(field_id: int, code: str | None, value: str) -> dict[str, Any]:
    """A custom field of a lead or a contact with its value."""
    return {
        "field_id": field_id,
        "field_name": f"Field {field_id}",
        "field_code": code,
        "field_type": "text",
        "values": [{"value": value}],
    }


def phone(number: str) -> list[dict[str, Any]]:
    """A contact's number."""
    return [custom_field(1, "PHONE", number)]


def history_account(store: AmoStore) -> None:
    store.insert(
        "lead",
        [
            lead_row(1, status_id=TALKS),
            lead_row(2, status_id=TALKS),
            lead_row(3, status_id=OLD_NEW, pipeline_id=OLD),
            lead_row(4, status_id=LOST, closed_at=at(60)),
            lead_row(5),
            lead_row(6, status_id=TALKS),
            lead_row(7, status_id=LOST, closed_at=at(90)),
            lead_row(8, status_id=TALKS),
            lead_row(9, status_id=TALKS),
            lead_row(10, status_id=TALKS),
            lead_row(11, status_id=WON),
            lead_row(12, status_id=WON, pipeline_id=OLD, closed_at=at(80)),
            lead_row(13, status_id=TALKS),
            lead_row(14, status_id=NEW),
            lead_row(15, status_id=WON, closed_at=at(0)),
            lead_row(16, status_id=WON, closed_at=at(150)),
            lead_row(17, status_id=TALKS),
            lead_row(18, status_id=TALKS),
        ],
    )
    store.insert(
        "event",
        [
            change(1, 1, 60, NEW, TALKS),
            change(2, 2, 30, NEW, NEW),
            change(3, 2, 60, NEW, TALKS),
            change(4, 2, 90, TALKS, TALKS),
            change(5, 3, 60, NEW, OLD_NEW, value_after=[lead_status(OLD_NEW, OLD)]),
            # Two in one second, written in the wrong order.
            change(100, 4, 60, TALKS, LOST),
            change(99, 4, 60, NEW, TALKS),
            event(101, "lead_added", 5, 0),
            event(102, "lead_added", 8, 0),
            change(103, 8, 60, NEW, TALKS),
            event(104, "lead_added", 9, 0),
            change(105, 9, 60, NEW, TALKS),
            change(106, 10, 60, NEW, TALKS),
            event(107, "lead_added", 11, 0),
            change(108, 12, 60, NEW, WON),
            change(
                109,
                12,
                80,
                WON,
                WON,
                value_before=[lead_status(WON, SALES)],
                value_after=[lead_status(WON, OLD)],
            ),
            change(110, 13, -60, NEW, TALKS),
            event(111, "lead_added", 15, 0),
            change(112, 16, 60, NEW, LOST),
            change(113, 16, 90, LOST, TALKS),
            change(114, 16, 150, TALKS, WON),
            event(115, "lead_added", 17, 0),
            change(116, 18, 60, NEW, INCOMING),
        ],
    )


def history_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """Rows later than the cut, or than the server's clock when they were received."""
    later = CUT + dt.timedelta(hours=1)
    for number, created, received in (
        (103, later, later),
        (105, CUT + dt.timedelta(days=5), CUT),
        # By now the cut has passed it; when it came it lay in the future.
        (106, on_day(2), on_day(1)),
    ):
        connection.execute(
            "update raw_amocrm.events set created_at = ?, received_at = ? "
            "where source_key = 'amocrm:history' and id = ?",
            [created, received, f"01{number:024}"],
        )
    connection.execute(
        "update raw_amocrm.leads set updated_at = ?, received_at = ?, "
        "closed_at = case when id = 11 then ?::timestamptz end "
        "where source_key = 'amocrm:history' and id in (8, 11, 17, 18)",
        [later, later, later],
    )


def stages_account(store: AmoStore) -> None:
    store.insert("status", [status_row(OFFER, "Offer")])
    store.insert("pipeline", [{"id": REMOVED, "name": "Removed", "sort": 300, "is_archive": 0}])
    store.insert(
        "lead",
        [
            lead_row(1),
            lead_row(2, pipeline_id=OLD, status_id=OLD_NEW),
            lead_row(3, pipeline_id=REMOVED, status_id=3001),
        ],
    )
    store.insert(
        "event",
        [
            change(1, 1, 10, NEW, OFFER),
            change(2, 1, 20, OFFER, DEMO),
            change(3, 1, 30, DEMO, NEVER_SEEN),
            change(4, 1, 40, NEVER_SEEN, NEW),
            event(5, "lead_added", 2, 0),
            event(6, "lead_added", 3, 0),
        ],
    )
    store.insert("note", [call_note(1, "leads", 1, {"uniq": "a"})])


def status_row(status_id: int, name: str) -> dict[str, Any]:
    return {
        "pipeline_id": SALES,
        "id": status_id,
        "name": name,
        "sort": 25,
        "is_editable": 1,
        "color": "#fffeb2",
        "type": 0,
    }


def stages_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """A status and a pipeline that an earlier load has seen, and one only the archive knows."""
    connection.execute(
        "update raw_amocrm.statuses set received_at = ? "
        "where source_key = 'amocrm:stages' and id = ?",
        [on_day(3), OFFER],
    )
    connection.execute(
        "update raw_amocrm.pipelines set received_at = ? "
        "where source_key = 'amocrm:stages' and id = ?",
        [on_day(3), REMOVED],
    )
    for name, first in (("Presentation", 0), ("Demo", 2)):
        connection.execute(
            "insert into raw_amocrm.status_versions "
            "(source_key, pipeline_id, id, name, sort, type, first_seen_at, last_seen_at) "
            "values ('amocrm:stages', ?, ?, ?, 26, 0, ?, ?)",
            [SALES, DEMO, name, on_day(first), on_day(first + 1)],
        )


def owners_account(store: AmoStore) -> None:
    store.insert("user", [user_row(3, "User 3")])
    store.insert(
        "lead",
        [
            lead_row(1, status_id=WON, closed_at=at(150)),
            lead_row(2, status_id=TALKS, responsible_user_id=3),
            lead_row(3, responsible_user_id=3),
            lead_row(4, responsible_user_id=3),
            lead_row(5, responsible_user_id=3),
            lead_row(6, responsible_user_id=3),
        ],
    )
    store.insert(
        "contact", [client_row(1, responsible_user_id=3), client_row(3, responsible_user_id=3)]
    )
    store.insert(
        "event",
        [
            event(1, "lead_added", 1, 0),
            change(2, 1, 50, NEW, TALKS),
            handover(3, 1, 100, 1, 3),
            change(4, 1, 150, TALKS, WON),
            handover(5, 1, 200, 3, 1),
            # Nothing tells of the creation of lead 2.
            change(6, 2, 50, NEW, TALKS),
            handover(7, 2, 100, 1, 3),
            event(8, "lead_added", 3, 0),
            # A contact with the lead's number changes hands.
            handover(9, 3, 5, 1, 3, entity_type="contact"),
            # Nobody was responsible at first.
            event(10, "lead_added", 4, 0),
            handover(11, 4, 100, 0, 3),
            # Two hand-overs in one second, and an artefact, written in the wrong order.
            event(12, "lead_added", 5, 0),
            handover(15, 5, 50, 3, 3),
            handover(14, 5, 40, 2, 3),
            handover(13, 5, 40, 1, 2),
            change(16, 5, 60, TALKS, NEW),
            # Handed over after the cut.
            event(17, "lead_added", 6, 0),
            handover(18, 6, 100, 1, 3),
        ],
    )


def owners_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    later = CUT + dt.timedelta(hours=1)
    connection.execute(
        "update raw_amocrm.events set created_at = ?, received_at = ? "
        "where source_key = 'amocrm:owners' and id = ?",
        [later, later, f"01{18:024}"],
    )


def calls_account(store: AmoStore) -> None:
    store.insert(
        "user",
        [
            user_row(ANNA, "Anna Petrova"),
            user_row(BORIS, "Boris Same"),
            user_row(OTHER_BORIS, "boris same"),
            user_row(VERA, "Вера Иванова"),
            user_row(MARRIED, "Galina New"),
        ],
    )
    store.insert("company", [client_row(1), client_row(2)])
    store.insert("contact", [client_row(1, company_id=1), client_row(2), client_row(3)])
    store.insert(
        "lead",
        [
            lead_row(1, company_id=1, contacts=[{"id": 1, "is_main": True}]),
            lead_row(2, contacts=[{"id": 3, "is_main": False}, {"id": 2, "is_main": True}]),
        ],
    )
    said: list[Any] = [
        ANNA,
        str(ANNA),
        "ANNA PETROVA",
        "  Anna Petrova ",
        "вера иванова",
        "Boris Same",
        "Somebody Else",
        0,
        None,
        "",
        "galina old",
        "Rita Restored",
    ]
    store.insert(
        "note",
        [
            call_note(number, "leads", 2, {"call_responsible": who})
            for number, who in enumerate(said, start=101)
        ]
        + [
            call_note(120, "leads", 2, {}, responsible_user_id=0, created_by=VERA),
            call_note(121, "leads", 2, {}, responsible_user_id=0, created_by=0),
            call_note(122, "leads", 2, {"call_responsible": ANNA}, responsible_user_id=0),
            # One call on a lead and on a contact.
            call_note(201, "leads", 1, {"uniq": "A"}),
            call_note(202, "contacts", 1, {"uniq": "A"}),
            # One call on two leads.
            call_note(204, "leads", 2, {"uniq": "B"}),
            call_note(203, "leads", 1, {"uniq": "B"}),
            # Two calls, at the same time of the same number.
            call_note(205, "leads", 1, {"uniq": "C"}, created_at=at(205)),
            call_note(206, "contacts", 1, {"uniq": "D"}, created_at=at(205)),
            # No telephony's id.
            call_note(207, "leads", 1, {}, created_at=at(207)),
            call_note(208, "contacts", 1, {"uniq": ""}, created_at=at(207)),
            call_note(209, "contacts", 1, {"uniq": None}, created_at=at(207)),
            # Clients.
            call_note(301, "leads", 1, {"uniq": "301"}),
            call_note(302, "leads", 2, {"uniq": "302"}),
            call_note(303, "contacts", 1, {"uniq": "303"}),
            call_note(304, "contacts", 2, {"uniq": "304"}),
            call_note(305, "companies", 2, {"uniq": "305"}),
        ]
        + [
            call_note(400 + status, "leads", 1, {"call_status": status, "duration": 30})
            for status in (1, 2, 3, 4, 5, 6, 7, 8, 9)
        ]
        + [
            call_note(410, "leads", 1, {"call_status": None, "duration": 30}),
            call_note(411, "leads", 1, {"call_status": None, "duration": 0}),
            call_note(412, "leads", 1, {"call_status": "4", "duration": "30"}),
            call_note(413, "leads", 1, {"call_status": 8, "duration": 0}),
            call_note(414, "leads", 1, {"call_status": 4, "duration": -7}),
            call_note(415, "leads", 1, {"call_status": None, "duration": -7}),
            call_note(416, "leads", 1, {"call_status": None, "duration": None}),
            call_note(417, "leads", 1, {"duration": 10}, note_type="call_in"),
            # No call.
            note_row(501, "leads", 1),
            note_row(502, "contacts", 1),
            note_row(503, "companies", 1),
        ],
    )


def calls_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """Names that users had once."""
    for user, name in ((MARRIED, "Galina Old"), (RESTORED, "Rita Restored")):
        connection.execute(
            "insert into raw_amocrm.user_versions "
            "(source_key, id, is_active, name, group_id, first_seen_at, last_seen_at) "
            "values ('amocrm:calls', ?, true, ?, 7, ?, ?)",
            [user, name, on_day(0), on_day(1)],
        )


def users_account(store: AmoStore) -> None:
    store.insert("user", [user_row(3, "Clara Missing"), user_row(4, "Dina Present")])
    store.insert(
        "lead",
        [
            lead_row(1, responsible_user_id=8, created_by=0),
            lead_row(2, responsible_user_id=9, status_id=TALKS),
            lead_row(3, responsible_user_id=10),
            lead_row(4, responsible_user_id=3),
        ],
    )
    store.insert("note", [call_note(1, "leads", 2, {"call_responsible": 9})])
    store.insert(
        "event",
        [
            event(1, "common_note_added", 1, 3 * DAY, created_by=8),
            change(2, 2, 4 * DAY, NEW, TALKS, created_by=9),
            handover(3, 2, 4 * DAY, 8, 9, created_by=9),
            event(4, "outgoing_call", 2, 4 * DAY, created_by=9),
            event(5, "common_note_added", 1, 2 * DAY, created_by=2),
            event(6, "common_note_added", 3, 3 * DAY, created_by=10),
        ],
    )


def users_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """Clara was last listed on day 5, Egor is known from the archive alone."""
    source = "amocrm:users"
    Books(connection, "raw_amocrm", source).write_log(on_day(5), [EntityLoad("users", "users")])
    Books(connection, "raw_amocrm", source).write_log(on_day(6), [EntityLoad("users", "users")])
    connection.execute(
        "update raw_amocrm.users set received_at = ? where source_key = ? and id = 3",
        [on_day(5), source],
    )
    connection.execute(
        "update raw_amocrm.user_versions set first_seen_at = ?, last_seen_at = ? "
        "where source_key = ? and id = 3",
        [on_day(0), on_day(5), source],
    )
    connection.execute(
        "insert into raw_amocrm.user_versions "
        "(source_key, id, is_active, name, group_id, first_seen_at, last_seen_at) "
        "values (?, 5, true, 'Egor Restored', 7, ?, ?)",
        [source, on_day(0), on_day(5)],
    )
    connection.execute(
        "update raw_amocrm.events set created_at = ? where source_key = ? and id = ?",
        [CUT + dt.timedelta(days=5), source, f"01{6:024}"],
    )


def noadmin_account(store: AmoStore) -> None:
    store.insert(
        "lead",
        [lead_row(1, responsible_user_id=5, created_by=0), lead_row(2, responsible_user_id=7)],
    )
    store.insert("note", [call_note(1, "leads", 1, {"call_responsible": 6}, created_by=0)])
    store.insert("event", [event(1, "lead_added", 1, 0), event(2, "lead_added", 2, 0)])


def rights_lost_account(store: AmoStore) -> None:
    store.insert("lead", [lead_row(1, responsible_user_id=6), lead_row(2, responsible_user_id=4)])
    store.insert("event", [event(1, "lead_added", 1, 0), event(2, "lead_added", 2, 0)])


def rights_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """Users were listed until day 5, Dina until day 3; user 6 came after that."""
    source = "amocrm:rights_lost"
    for day in (3, 5):
        Books(connection, "raw_amocrm", source).write_log(
            on_day(day), [EntityLoad("users", "users")]
        )
    for user, name, day in ((1, "User 1", 5), (3, "Clara Seen", 5), (4, "Dina Left", 3)):
        connection.execute(
            "insert into raw_amocrm.user_versions "
            "(source_key, id, is_active, name, group_id, first_seen_at, last_seen_at) "
            "values (?, ?, true, ?, 7, ?, ?)",
            [source, user, name, on_day(0), on_day(day)],
        )


def sources_account(store: AmoStore) -> None:
    ads, fair, other = ({"id": n, "name": t} for n, t in enumerate(("ads", "fair", "vip"), 1))
    utm = custom_field(902, "UTM_SOURCE", "google")
    store.insert(
        "lead",
        [
            lead_row(
                1, custom_fields_values=[custom_field(901, "SOURCE", "Site"), utm], tags=[ads]
            ),
            lead_row(2, custom_fields_values=[utm], tags=[ads]),
            lead_row(3, tags=[ads, other, fair]),
            lead_row(4, tags=[ads]),
            lead_row(5, tags=[other]),
            lead_row(6, custom_fields_values=[custom_field(901, "SOURCE", ""), utm]),
            lead_row(7, custom_fields_values=[custom_field(903, None, "Fair")]),
        ],
    )


def deleted_account(store: AmoStore) -> None:
    store.insert("contact", [client_row(1, custom_fields_values=phone("+79000000001"))])
    store.insert("contact", [client_row(2, custom_fields_values=phone("+79000000002"))])
    store.insert("contact", [client_row(3, custom_fields_values=phone("+7 900 000 00 02"))])
    store.insert(
        "lead",
        [
            lead_row(1, contacts=[{"id": 1, "is_main": True}]),
            *(lead_row(number, contacts=[{"id": 3, "is_main": True}]) for number in (2, 3, 4)),
            lead_row(5),
            lead_row(6),
            lead_row(7, contacts=[{"id": 2, "is_main": True}]),
        ],
    )
    store.insert(
        "event",
        [event(number, "lead_added", number, 0) for number in range(1, 8)]
        + [change(8, 2, 60, NEW, TALKS)],
    )
    store.insert(
        "note",
        [
            # On deleted leads, by contact 1's number.
            *(call_note(number, "leads", number, {"uniq": f"{number}"}) for number in (2, 3, 4)),
            call_note(5, "leads", 5, {"uniq": "5"}),
            # Contact 3 was merged into contact 2.
            call_note(30, "contacts", 3, {"uniq": "30", "phone": "89000000002"}),
        ],
    )


def deletions(connection: duckdb.DuckDBPyConnection) -> None:
    """Lead 2 says it itself, 3 was missed by a sweep, 4 lies in the bin; 5 and 6 came back."""
    source = "amocrm:deleted"
    connection.execute(
        "update raw_amocrm.leads set is_deleted = true where source_key = ? and id = 2", [source]
    )
    connection.execute(
        "update raw_amocrm.leads set received_at = ? where source_key = ? and id in (3, 4)",
        [on_day(1), source],
    )
    for entity, record, noticed in (
        ("leads", 3, on_day(2)),
        ("leads", 5, on_day(2)),
        ("contacts", 3, CUT),
    ):
        connection.execute(
            "insert into raw_amocrm.deleted_records values (?, ?, ?, ?)",
            [source, entity, record, noticed],
        )
    for lead, received in ((4, CUT), (6, on_day(2))):
        connection.execute(
            "insert into raw_amocrm.deleted_leads (source_key, id, is_deleted, received_at) "
            "values (?, ?, true, ?)",
            [source, lead, received],
        )


def odd_account(store: AmoStore) -> None:
    """Rows that are no facts, each for another reason."""
    store.insert("lead", [lead_row(1), lead_row(2, status_id=TALKS), lead_row(3)])
    store.insert(
        "event",
        [
            event(1, "lead_added", 1, 0),
            change(2, 2, 10, NEW, TALKS),
            change(3, 404, 10, NEW, TALKS),
            change(4, 1, 20, NEW, NEW),
            change(5, 1, 30, NEW, TALKS, value_after=[]),
            change(6, 3, 30, NEW, TALKS),
            change(7, 3, 40, NEW, TALKS),
            change(8, 1, 50, NEW, TALKS, entity_id=None),
            event(9, "task_added", 1, 60),
            event(10, "common_note_added", 1, 60, entity_type="contact"),
        ],
    )
    store.insert("contact", [client_row(1)])
    store.insert("company", [client_row(1)])
    store.insert(
        "note",
        [
            call_note(1, "leads", 1, {"uniq": "A"}),
            call_note(2, "leads", 2, {"uniq": "A"}),
            call_note(3, "leads", 404, {}),
            call_note(4, "leads", 3, {}),
            call_note(5, "leads", 1, {}),
            call_note(6, "contacts", 1, {"uniq": "A"}),
            call_note(7, "contacts", 404, {}),
            call_note(8, "companies", 1, {}),
            {**call_note(9, "companies", 1, {}), "params": None},
            note_row(10, "companies", 1, note_type="amomail_message", params=[]),
            note_row(11, "leads", 1),
        ],
    )


def odd_of_the_past(connection: duckdb.DuckDBPyConnection) -> None:
    """Lead 3 was deleted; event 7 and note 5 lie after the cut."""
    source, later = "amocrm:odd", CUT + dt.timedelta(hours=1)
    connection.execute(
        "update raw_amocrm.leads set is_deleted = true where source_key = ? and id = 3", [source]
    )
    connection.execute(
        "update raw_amocrm.events set created_at = ?, received_at = ? "
        "where source_key = ? and id = ?",
        [later, later, source, f"01{7:024}"],
    )
    connection.execute(
        "update raw_amocrm.notes set created_at = ?, received_at = ? "
        "where source_key = ? and id = 5",
        [later, later, source],
    )


def incoming_account(store: AmoStore) -> None:
    """Leads 1 and 2 stand among the leads, lead 9 only among what nobody has accepted."""
    store.insert(
        "lead",
        [lead_row(1, status_id=INCOMING, responsible_user_id=0), lead_row(2, status_id=NEW)],
    )
    store.insert(
        "event",
        [
            event(1, "lead_added", 1, 0),
            event(2, "lead_added", 2, 0),
            change(3, 2, 30, INCOMING, NEW),
        ],
    )
    store.insert(
        "unsorted",
        [
            {
                "uid": "a1",
                "category": "forms",
                "source_name": "Site",
                "pipeline_id": SALES,
                "created_at": at(0),
                "lead_id": 9,
            }
        ],
    )


ACCOUNTS: Mapping[str, Callable[[AmoStore], None]] = {
    "history": history_account,
    "stages": stages_account,
    "owners": owners_account,
    "calls": calls_account,
    "users": users_account,
    "noadmin": noadmin_account,
    "rights_lost": rights_lost_account,
    "sources": sources_account,
    "sources_by_id": sources_account,
    "deleted": deleted_account,
    "odd": odd_account,
    "incoming": incoming_account,
}
FILES = {
    "employees.csv": (
        "connection,employee_id,employee_name,department\n"
        "noadmin,5,Vera Known,Partners\n"
        "noadmin,77,Without Records,Partners\n"
        "users,404,Nobody Known,Partners\n"
        "rights_lost,78,Hired Since,Partners\n"
    ),
    "dismissals.csv": "connection,employee_id,dismissed_on\nnoadmin,7,2026-03-05\n",
}
WITHOUT_USERS = {"amocrm:noadmin", "amocrm:rights_lost"}
OPTIONS = {
    "amocrm:sources": {"tag_sources": {"fair": "Trade fair", "ads": "Advertising"}},
    "amocrm:sources_by_id": {"source_field": "903"},
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """All accounts and a portal as one company, built once."""
    root = tmp_path_factory.mktemp("amocrm")
    settings = make_company(
        root,
        connections=("main", *(f"amocrm:{name}" for name in ACCOUNTS)),
        files=FILES,
        options=OPTIONS,
    )
    settings.make_folders()
    stores = {}
    for name, fill in ACCOUNTS.items():
        store = stores[f"amocrm:{name}"] = make_account(root / f"{name}.sqlite")
        store.clock = CUT
        fill(store)
    portal = make_portal(root / "portal.sqlite", clock_minutes=LAST_DAY * DAY)
    portal.insert("deal", [deal_row(1, STAGE_ID="WORK")])
    portal.insert("stage_history", [history_row(1, 1, 0, "NEW"), history_row(2, 1, 60, "WORK")])
    portal.insert("activity", [{"ID": 1, "TYPE_ID": 2, "OWNER_TYPE_ID": 2, "OWNER_ID": 1}])
    portal.insert("call", [call_row(1, 30, CRM_ACTIVITY_ID=1)])
    with duckdb.connect(str(settings.warehouse)) as connection:
        write_raw_amocrm(connection, stores, without_users=WITHOUT_USERS)
        write_raw(connection, {"bitrix24:main": portal})
        history_of_the_past(connection)
        stages_of_the_past(connection)
        owners_of_the_past(connection)
        calls_of_the_past(connection)
        users_of_the_past(connection)
        rights_of_the_past(connection)
        deletions(connection)
        odd_of_the_past(connection)
    load_company_rules(settings)
    dbt_build(settings)
    return settings


def select(company: Settings, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of the built warehouse."""
    with warehouse(company) as connection:
        return connection.execute(sql, parameters).fetchall()


Visit = tuple[int, str, float, float | None, bool]


def visits(company: Settings, account: str, lead_id: int) -> list[Visit]:
    """Pipeline, stage, first and last minute, inferred or not, in order."""
    rows = select(
        company,
        """
        select
            pipelines.pipeline_id, stages.stage_id,
            date_diff('second', ?::timestamp, visits.entered_at) / 60,
            date_diff('second', ?::timestamp, visits.left_at) / 60,
            visits.is_inferred
        from marts.fct_stage_visits as visits
        inner join marts.fct_deals as deals using (deal_key)
        inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
        inner join marts.dim_pipelines as pipelines on visits.pipeline_key = pipelines.pipeline_key
        where deals.source_key = ? and deals.deal_id = ?
        order by visits.visit_number
        """,
        NOON.replace(tzinfo=None),
        NOON.replace(tzinfo=None),
        f"amocrm:{account}",
        lead_id,
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def sales(
    stage: int | str, entered: float, left: float | None = None, *, is_inferred: bool = False
) -> Visit:
    """A visit to a stage of the main pipeline."""
    return (SALES, str(stage), entered, left, is_inferred)


def issues(company: Settings, account: str, rule: str) -> dict[str, str]:
    """Sentences of a rule by the records they name."""
    return dict(
        select(
            company,
            "select record_id, sentence from marts.fct_data_quality_issues "
            "where source_key = ? and rule_id = ?",
            f"amocrm:{account}",
            rule,
        )
    )


def test_the_first_stage_is_where_the_first_change_came_from(company: Settings) -> None:
    assert visits(company, "history", 1) == [sales(NEW, 0, 60), sales(TALKS, 60)]


def test_a_change_to_the_same_stage_is_no_move(company: Settings) -> None:
    assert visits(company, "history", 2) == [sales(NEW, 0, 60), sales(TALKS, 60)]


def test_a_move_to_another_pipeline_ends_the_visit(company: Settings) -> None:
    assert visits(company, "history", 3) == [
        sales(NEW, 0, 60),
        (OLD, str(OLD_NEW), 60, None, False),
    ]


def test_the_same_status_of_another_pipeline_is_another_stage(company: Settings) -> None:
    assert visits(company, "history", 12) == [
        sales(NEW, 0, 60),
        sales(WON, 60, 80),
        (OLD, str(WON), 80, None, False),
    ]


def test_changes_of_one_second_follow_in_the_order_of_their_ids(company: Settings) -> None:
    assert visits(company, "history", 4) == [
        sales(NEW, 0, 60),
        sales(TALKS, 60, 60),
        sales(LOST, 60),
    ]


def test_a_lead_that_was_created_and_never_moved_stands_where_it_was_created(
    company: Settings,
) -> None:
    assert visits(company, "history", 5) == [sales(NEW, 0)]
    assert visits(company, "history", 15) == [sales(WON, 0)]


def test_a_lead_without_events_stands_on_its_stage_by_inference(company: Settings) -> None:
    assert visits(company, "history", 6) == [sales(TALKS, 0, is_inferred=True)]


def test_a_closed_lead_without_events_stood_on_an_unknown_stage_until_its_close(
    company: Settings,
) -> None:
    assert visits(company, "history", 7) == [
        sales("(unknown)", 0, 90, is_inferred=True),
        sales(LOST, 90, is_inferred=True),
    ]


def test_a_change_after_the_cut_waits(company: Settings) -> None:
    assert visits(company, "history", 8) == [sales(NEW, 0)]
    assert "8" not in issues(company, "history", "Q6")


def test_a_lead_that_changed_after_the_cut_may_have_been_moved_then(company: Settings) -> None:
    assert visits(company, "history", 17) == [sales(TALKS, 0, is_inferred=True)]


def test_a_lead_that_was_won_after_the_cut_is_not_won_yet(company: Settings) -> None:
    assert visits(company, "history", 11) == [sales("(unknown)", 0, is_inferred=True)]
    (state,) = select(
        company,
        "select deal_state, closed_at from marts.fct_deals "
        "where source_key = 'amocrm:history' and deal_id = 11",
    )
    assert state == ("open", None)


def test_a_lead_that_changed_after_the_cut_does_not_contradict_its_history(
    company: Settings,
) -> None:
    assert visits(company, "history", 18) == [sales(NEW, 0, 60), sales(INCOMING, 60)]
    assert "18" not in issues(company, "history", "Q6")


def test_a_change_later_than_the_clock_when_it_was_received_is_left_out_and_named(
    company: Settings,
) -> None:
    assert visits(company, "history", 9) == [sales(TALKS, 0)]
    assert visits(company, "history", 10) == [sales(TALKS, 0, is_inferred=True)]
    named = issues(company, "history", "Q12")
    assert "of lead 9 lay in the future when it was received" in named[f"01{105:024}"]
    assert "of lead 10 lay in the future when it was received" in named[f"01{106:024}"]


def test_a_change_before_creation_counts_at_creation_and_is_named(company: Settings) -> None:
    assert visits(company, "history", 13) == [sales(NEW, 0, 0), sales(TALKS, 0)]
    assert "13" in issues(company, "history", "Q12")


def test_the_close_is_the_start_of_the_last_closed_run(company: Settings) -> None:
    (close,) = select(
        company,
        "select deal_state, date_diff('minute', ?::timestamp, closed_at), "
        "date_diff('minute', ?::timestamp, first_closed_at) from marts.fct_deals "
        "where source_key = 'amocrm:history' and deal_id = 16",
        NOON.replace(tzinfo=None),
        NOON.replace(tzinfo=None),
    )
    assert close == ("won", 150, 60)


def stage(company: Settings, stage_id: int) -> tuple[Any, ...]:
    (found,) = select(
        company,
        "select stage_name, stages.is_listed from marts.dim_stages as stages "
        "inner join marts.dim_pipelines as pipelines using (pipeline_key) "
        "where stages.source_key = 'amocrm:stages' and stage_id = ? and pipeline_id = ?",
        str(stage_id),
        SALES,
    )
    return found


def test_a_deleted_stage_keeps_its_last_known_name(company: Settings) -> None:
    assert stage(company, OFFER) == ("Offer", False)
    assert stage(company, NEW) == ("New", True)
    assert f"{SALES}/{OFFER}" in issues(company, "stages", "Q7")


def test_a_deleted_stage_keeps_its_name_also_in_a_restored_warehouse(company: Settings) -> None:
    assert stage(company, DEMO) == ("Demo", False)
    assert 'Stage "Demo"' in issues(company, "stages", "Q7")[f"{SALES}/{DEMO}"]


def test_a_stage_that_was_never_seen_keeps_its_id(company: Settings) -> None:
    assert stage(company, NEVER_SEEN) == (str(NEVER_SEEN), False)
    assert f"{SALES}/{NEVER_SEEN}" in issues(company, "stages", "Q7")


def test_every_pipeline_has_its_own_stage_won(company: Settings) -> None:
    found = select(
        company,
        "select pipeline_id, stage_semantics from marts.dim_stages inner join "
        "marts.dim_pipelines using (pipeline_key) "
        "where dim_stages.source_key = 'amocrm:history' and stage_id in ('142', '143') "
        "order by 1, 2",
    )
    assert found == [(SALES, "lost"), (SALES, "won"), (OLD, "lost"), (OLD, "won")]


def pipeline(company: Settings, pipeline_id: int) -> tuple[Any, ...]:
    (found,) = select(
        company,
        "select pipeline_name, is_listed, is_archived, count(deal_key) "
        "from marts.dim_pipelines left join marts.fct_deals using (pipeline_key) "
        "where dim_pipelines.source_key = 'amocrm:stages' and pipeline_id = ? group by all",
        pipeline_id,
    )
    return found


def test_an_archived_pipeline_is_marked_and_its_deals_count(company: Settings) -> None:
    assert pipeline(company, OLD) == ("Old sales", True, True, 1)
    assert pipeline(company, SALES) == ("Sales", True, False, 1)


def test_only_a_pipeline_that_the_dictionary_lacks_is_missing(company: Settings) -> None:
    assert pipeline(company, REMOVED) == ("Removed", False, False, 1)
    assert issues(company, "stages", "Q4").keys() == {str(REMOVED)}
    assert issues(company, "history", "Q4") == {}


def test_archived_and_missing_pipelines_get_no_rows_of_zeros(company: Settings) -> None:
    found = select(
        company,
        "select distinct pipeline_id from metrics.metric_call_load__by_stage inner join "
        "marts.dim_pipelines using (pipeline_key) "
        "where dim_pipelines.source_key = 'amocrm:stages'",
    )
    assert found == [(SALES,)]


def owners(company: Settings, lead_id: int) -> list[tuple[Any, ...]]:
    """Stage, owner and basis of every visit."""
    return select(
        company,
        """
        select stages.stage_id::integer, employees.employee_id, visits.owner_basis
        from marts.fct_stage_visits as visits
        inner join marts.fct_deals as deals using (deal_key)
        inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
        inner join marts.dim_employees as employees
            on visits.owner_employee_key = employees.employee_key
        where deals.source_key = 'amocrm:owners' and deals.deal_id = ?
        order by visits.visit_number
        """,
        lead_id,
    )


def test_a_visit_belongs_to_who_was_responsible_when_it_began(company: Settings) -> None:
    assert owners(company, 1) == [(NEW, 1, "history"), (TALKS, 1, "history"), (WON, 3, "history")]


def test_a_close_belongs_to_who_was_responsible_then(company: Settings) -> None:
    (found,) = select(
        company,
        "select closers.employee_id, owners.employee_id, owner_basis from marts.fct_deals "
        "inner join marts.dim_employees as closers "
        "on close_owner_employee_key = closers.employee_key "
        "inner join marts.dim_employees as owners on owner_employee_key = owners.employee_key "
        "where fct_deals.source_key = 'amocrm:owners' and deal_id = 1",
    )
    assert found == (3, 1, "history")


def test_without_events_back_to_the_creation_the_owner_is_whom_the_first_known_change_replaced(
    company: Settings,
) -> None:
    assert owners(company, 2) == [(NEW, 1, "current"), (TALKS, 1, "current")]


def test_without_a_change_since_creation_the_owner_has_always_been_the_same(
    company: Settings,
) -> None:
    assert owners(company, 3) == [(NEW, 3, "history")]


def test_nobody_was_responsible_before_the_first_owner(company: Settings) -> None:
    assert owners(company, 4) == [(NEW, None, "history")]


def test_handovers_of_one_second_follow_in_the_order_of_their_ids(company: Settings) -> None:
    assert owners(company, 5) == [(TALKS, 1, "history"), (NEW, 3, "history")]


def test_a_handover_after_the_cut_waits(company: Settings) -> None:
    assert owners(company, 6) == [(NEW, 1, "history")]


@pytest.mark.parametrize(
    ("note_id", "talker", "basis"),
    [
        pytest.param(101, ANNA, "crm_user", id="by id"),
        pytest.param(102, ANNA, "crm_user", id="by id as text"),
        pytest.param(103, ANNA, "crm_user", id="by name in capitals"),
        pytest.param(104, ANNA, "crm_user", id="by name with spaces"),
        pytest.param(105, VERA, "crm_user", id="by name in Cyrillic"),
        pytest.param(106, 1, "crm_responsible", id="the name of two people"),
        pytest.param(107, 1, "crm_responsible", id="nobody's name"),
        pytest.param(108, 1, "crm_responsible", id="user 0"),
        pytest.param(109, 1, "crm_responsible", id="null"),
        pytest.param(110, 1, "crm_responsible", id="empty"),
        pytest.param(111, MARRIED, "crm_user", id="by an earlier name"),
        pytest.param(112, RESTORED, "crm_user", id="by the name of one who is gone"),
        pytest.param(120, VERA, "crm_creator", id="the creator"),
        pytest.param(121, None, "unknown", id="the system"),
        pytest.param(122, ANNA, "crm_user", id="by id, nobody responsible"),
    ],
)
def test_the_talker_is_who_the_note_names(
    company: Settings, note_id: int, talker: int | None, basis: str
) -> None:
    found = select(
        company,
        "select employee_id, talker_basis from marts.fct_calls inner join marts.dim_employees "
        "on talker_employee_key = employee_key "
        "where fct_calls.source_key = 'amocrm:calls' and call_id = ?",
        note_id,
    )
    assert found == [(talker, basis)]


def bound_leads(company: Settings, call_id: int) -> list[int]:
    found = select(
        company,
        "select deals.deal_id from intermediate.int_call_bindings as bindings "
        "inner join marts.fct_calls as calls using (call_key) "
        "inner join marts.fct_deals as deals on bindings.card_key = deals.deal_key "
        "where calls.source_key = 'amocrm:calls' and call_id = ? order by 1",
        call_id,
    )
    return [lead for (lead,) in found]


def test_notes_of_one_uniq_are_one_call_on_all_their_cards(company: Settings) -> None:
    found = select(
        company,
        "select call_id, system_call_id from marts.fct_calls "
        "where source_key = 'amocrm:calls' and call_id between 201 and 299 order by 1",
    )
    numbers = [201, 203, 205, 206, 207, 208, 209]
    assert found == list(zip(numbers, ["A", "B", "C", "D", None, None, None], strict=True))
    assert bound_leads(company, 201) == [1]
    assert bound_leads(company, 203) == [1, 2]


def test_a_call_on_a_lead_and_its_contact_belongs_to_the_lead(company: Settings) -> None:
    found = select(
        company,
        "select match_method, deal_id from marts.fct_calls as calls "
        "left join marts.fct_deals using (deal_key) "
        "where calls.source_key = 'amocrm:calls' and call_id = 201",
    )
    assert found == [("bound_deal", 1)]


@pytest.mark.parametrize(
    ("note_id", "result", "is_answered", "seconds"),
    [
        (401, "left_a_message", False, 30),
        (402, "call_back_later", False, 30),
        (403, "unavailable", False, 30),
        (404, "answered", True, 30),
        (405, "wrong_number", False, 30),
        (406, "missed", False, 30),
        (407, "busy", False, 30),
        # 8 is undefined: the duration decides, as without a status and with one nobody knows.
        (408, "unknown", True, 30),
        (409, "status 9", True, 30),
        (410, "unknown", True, 30),
        (411, "unknown", False, 0),
        (412, "answered", True, 30),
        (413, "unknown", False, 0),
        (414, "answered", True, 0),
        (415, "unknown", False, 0),
        (416, "unknown", False, 0),
    ],
)
def test_the_status_of_a_call_says_whether_somebody_spoke(
    company: Settings, note_id: int, result: str, is_answered: bool, seconds: int
) -> None:
    found = select(
        company,
        "select call_result, is_answered, total_seconds, talk_seconds from marts.fct_calls "
        "where source_key = 'amocrm:calls' and call_id = ?",
        note_id,
    )
    assert found == [(result, is_answered, seconds, seconds if is_answered else 0)]


def test_a_negative_duration_is_named(company: Settings) -> None:
    named = issues(company, "calls", "Q16")
    assert named.keys() == {"414", "415"}
    assert "lasts -7 seconds: counted as 0" in named["414"]


def test_the_kind_of_note_is_the_direction(company: Settings) -> None:
    found = select(
        company,
        "select direction, count(*) from marts.fct_calls where source_key = 'amocrm:calls' "
        "and call_id in (416, 417) group by 1 order by 1",
    )
    assert found == [("inbound", 1), ("outbound", 1)]


def client_key(source_key: str, kind: str, number: int) -> int:
    """The first 15 hex digits of the md5 of the parts."""
    return int(hashlib.md5(f"{source_key}|{kind}|{number}".encode()).hexdigest()[:15], 16)


@pytest.mark.parametrize(
    ("note_id", "kind", "number"),
    [
        pytest.param(301, "company", 1, id="a lead's company"),
        pytest.param(302, "contact", 2, id="a lead's main contact"),
        pytest.param(303, "company", 1, id="a contact's company"),
        pytest.param(304, "contact", 2, id="a contact"),
        pytest.param(305, "company", 2, id="a company"),
    ],
)
def test_the_client_of_a_call_is_that_of_its_card(
    company: Settings, note_id: int, kind: str, number: int
) -> None:
    found = select(
        company,
        "select client_key, client_basis from marts.fct_calls "
        "where source_key = 'amocrm:calls' and call_id = ?",
        note_id,
    )
    assert found == [(client_key("amocrm:calls", kind, number), "crm_entity")]


def employee(company: Settings, account: str, employee_id: int) -> tuple[Any, ...]:
    (found,) = select(
        company,
        "select employee_name, department_name, is_active, dismissed_on::varchar, "
        "dismissed_on_basis from marts.dim_employees where source_key = ? and employee_id = ?",
        f"amocrm:{account}",
        employee_id,
    )
    return found


def test_a_user_whose_rights_are_switched_off_is_inactive(company: Settings) -> None:
    assert employee(company, "users", 1) == ("User 1", "Sales", True, None, None)
    assert employee(company, "users", 2) == (
        "User 2",
        "Sales",
        False,
        "2026-03-05",
        "last_own_action",
    )


def test_a_user_missing_from_the_list_was_dismissed_when_that_was_noticed(
    company: Settings,
) -> None:
    # Seen on day 5, no longer on day 6, the 8th of March.
    assert employee(company, "users", 3) == (
        "Clara Missing",
        "Sales",
        False,
        "2026-03-08",
        "snapshot",
    )


def test_a_user_missing_from_the_list_keeps_the_name_in_a_restored_warehouse(
    company: Settings,
) -> None:
    assert employee(company, "users", 5) == (
        "Egor Restored",
        "Sales",
        False,
        "2026-03-08",
        "snapshot",
    )


def test_an_id_that_only_records_know_has_left(company: Settings) -> None:
    assert employee(company, "users", 8) == (
        "Employee 8",
        "(not set)",
        False,
        "2026-03-06",
        "last_own_action",
    )


def test_calls_moves_and_handovers_are_no_own_actions(company: Settings) -> None:
    assert employee(company, "users", 9) == ("Employee 9", "(not set)", False, None, "unknown")


def test_an_action_that_lay_in_the_future_is_none(company: Settings) -> None:
    assert employee(company, "users", 10) == ("Employee 10", "(not set)", False, None, "unknown")


def test_the_system_is_no_employee(company: Settings) -> None:
    assert not select(company, "select 1 from marts.dim_employees where employee_id = 0")


def test_no_column_that_means_now_names_who_has_left(company: Settings) -> None:
    found = select(
        company,
        "select deal_id, current_reporting_employee_key from marts.fct_deals "
        "where source_key = 'amocrm:users' order by 1",
    )
    assert found == [(lead, -1) for lead in (1, 2, 3, 4)]
    assert issues(company, "users", "Q2").keys() == {"1", "2", "3", "4"}
    assert issues(company, "users", "Q3").keys() == {"1", "9", "10"}


def test_without_an_administrators_rights_employees_are_who_records_and_the_file_name(
    company: Settings,
) -> None:
    source = "amocrm:noadmin"
    found = select(
        company,
        "select employee_id, employee_name, department_name, is_active, dismissed_on::varchar, "
        "dismissed_on_basis from marts.dim_employees where source_key = ? order by 1",
        source,
    )
    assert found == [
        (1, "Employee 1", "(not set)", True, None, None),
        (5, "Vera Known", "Partners", True, None, None),
        (6, "Employee 6", "(not set)", True, None, None),
        (7, "Employee 7", "(not set)", True, "2026-03-05", "file"),
        (77, "Without Records", "Partners", True, None, None),
    ]


def test_without_an_administrators_rights_the_file_tells_who_has_left(company: Settings) -> None:
    found = select(
        company,
        "select deal_id, current_reporting_employee_key = -1 from marts.fct_deals "
        "where source_key = 'amocrm:noadmin' order by 1",
    )
    assert found == [(1, False), (2, True)]
    assert issues(company, "noadmin", "Q2").keys() == {"2"}


def test_who_came_after_the_rights_were_lost_is_employed(company: Settings) -> None:
    found = select(
        company,
        "select employee_id, employee_name, is_active, dismissed_on::varchar, dismissed_on_basis "
        "from marts.dim_employees where source_key = 'amocrm:rights_lost' order by 1",
    )
    assert found == [
        (1, "User 1", True, None, None),
        (3, "Clara Seen", True, None, None),
        (4, "Dina Left", False, "2026-03-07", "snapshot"),
        (6, "Employee 6", True, None, None),
        (78, "Hired Since", True, None, None),
    ]
    assert issues(company, "rights_lost", "Q2").keys() == {"2"}


def test_an_unknown_employee_of_the_file_is_told_where_users_can_be_listed(
    company: Settings,
) -> None:
    found = select(
        company,
        "select source_key, entity, record_id, is_blocking "
        "from marts.fct_data_quality_issues where rule_id = 'RULES'",
    )
    assert found == [("amocrm:users", "employees.csv", "employee_id 404", False)]


@pytest.fixture(scope="module")
def judged(company: Settings) -> Mapping[str, Outcome]:
    """The outcome of every rule by its number."""
    with warehouse(company, read_only=False) as connection:
        by_name = {outcome.check_name: outcome for outcome in outcomes(connection)}
        numbers = connection.execute(
            "select rule_id, rule_name from seeds.data_quality_rules"
        ).fetchall()
    return {rule: by_name[name] for rule, name in numbers}


@pytest.mark.parametrize("rule", ["Q1", "Q2", "Q3"])
def test_what_nobody_tells_cannot_be_checked_and_blocks_nothing(
    judged: Mapping[str, Outcome], rule: str
) -> None:
    outcome = judged[rule]
    for source_key in WITHOUT_USERS:
        assert f"Cannot be checked for {source_key}" in outcome.sentence
    assert not outcome.has_passed
    assert not outcome.is_blocking


def test_other_rules_are_checked_without_an_administrators_rights(
    judged: Mapping[str, Outcome],
) -> None:
    saying = {rule for rule, found in judged.items() if "Cannot be checked" in found.sentence}
    # Q4 and Q5 are checked but for what nobody tells: users, and rows that no sweep has counted.
    assert saying == {"Q1", "Q2", "Q3", "Q4", "Q5"}
    assert "whether users are missing" in judged["Q4"].sentence
    assert "how many rows it has of" in judged["Q5"].sentence
    assert judged["Q5"].has_passed


@pytest.mark.parametrize(
    ("account", "lead_id", "source"),
    [
        pytest.param("sources", 1, "Site", id="field by code"),
        pytest.param("sources", 2, "google", id="utm_source"),
        pytest.param("sources", 3, "Trade fair", id="first rule of two tags"),
        pytest.param("sources", 4, "Advertising", id="tag"),
        pytest.param("sources", 5, "(not set)", id="tag without a rule"),
        pytest.param("sources", 6, "google", id="empty field"),
        pytest.param("sources", 7, "(not set)", id="another field"),
        pytest.param("sources_by_id", 7, "Fair", id="field by id"),
        pytest.param("sources_by_id", 1, "google", id="the field of another connection"),
        pytest.param("sources_by_id", 4, "(not set)", id="tag of another connection"),
    ],
)
def test_the_source_is_the_field_else_utm_else_a_tag(
    company: Settings, account: str, lead_id: int, source: str
) -> None:
    found = select(
        company,
        "select source_name from marts.fct_deals where source_key = ? and deal_id = ?",
        f"amocrm:{account}",
        lead_id,
    )
    assert found == [(source,)]


def test_deleted_leads_count_nowhere_and_restored_ones_do(company: Settings) -> None:
    found = select(
        company,
        "select deal_id from marts.fct_deals where source_key = 'amocrm:deleted' order by 1",
    )
    assert found == [(1,), (5,), (6,), (7,)]


def test_deleted_leads_are_counted_apart(company: Settings) -> None:
    found = select(
        company,
        "select entity, deleted_count, orphan_count, rows_in_marts "
        "from intermediate.int_reconciliation_by_entity "
        "where source_key = 'amocrm:deleted' and entity in ('leads', 'events') order by 1",
    )
    assert found == [("events", 0, 1, 0), ("leads", 3, 0, 4)]


def test_calls_of_deleted_leads_take_the_next_method(company: Settings) -> None:
    found = select(
        company,
        "select call_id, match_method, client_basis, deal_id from marts.fct_calls as calls "
        "left join marts.fct_deals using (deal_key) "
        "where calls.source_key = 'amocrm:deleted' and call_id < 10 order by 1",
    )
    assert found == [
        *((number, "only_open_deal", "number", 1) for number in (2, 3, 4)),
        (5, "bound_deal", "number", 5),
    ]


def test_a_merged_contacts_calls_lead_to_who_took_over_its_number(company: Settings) -> None:
    found = select(
        company,
        "select client_key, is_shared_number, match_method, deal_id from marts.fct_calls as calls "
        "left join marts.fct_deals using (deal_key, client_key) "
        "where calls.source_key = 'amocrm:deleted' and call_id = 30",
    )
    survivor = client_key("amocrm:deleted", "contact", 2)
    assert found == [(survivor, False, "only_open_deal", 7)]


def test_no_row_is_lost_unexplained(company: Settings) -> None:
    found = select(
        company,
        "select source_key, entity from intermediate.int_reconciliation_by_entity "
        "where unexplained_marts_count <> 0",
    )
    assert found == []
    entities = select(
        company,
        "select source_key, count(*) from intermediate.int_reconciliation_by_entity where entity "
        "in ('leads', 'lead_notes', 'contact_notes', 'company_notes', 'events') "
        "and source_key like 'amocrm:%' group by 1",
    )
    assert dict(entities) == {f"amocrm:{name}": 5 for name in ACCOUNTS}


def test_every_raw_row_is_in_the_marts_or_has_its_reason(company: Settings) -> None:
    found = select(
        company,
        "select entity, rows_raw, rows_in_marts, deleted_count, waiting_count, merged_count, "
        "orphan_count, other_count from intermediate.int_reconciliation_by_entity "
        "where source_key = 'amocrm:odd' and entity in "
        "('leads', 'lead_notes', 'contact_notes', 'company_notes', 'events') order by 1",
    )
    assert found == [
        # raw, in marts, deleted, waiting, merged, orphans, other
        ("company_notes", 3, 3, 0, 0, 0, 0, 0),
        ("contact_notes", 2, 1, 0, 0, 1, 0, 0),
        ("events", 10, 1, 0, 1, 2, 3, 3),
        ("lead_notes", 6, 3, 0, 1, 1, 0, 1),
        ("leads", 3, 2, 1, 0, 0, 0, 0),
    ]


def test_what_nobody_has_accepted_yet_is_a_deal_once_it_is_a_lead(company: Settings) -> None:
    assert visits(company, "incoming", 1) == [sales(INCOMING, 0)]
    assert visits(company, "incoming", 2) == [sales(INCOMING, 0, 30), sales(NEW, 30)]
    found = select(
        company,
        "select deal_id, deal_state, current_reporting_employee_key = -2 from marts.fct_deals "
        "where source_key = 'amocrm:incoming' order by 1",
    )
    assert found == [(1, "open", True), (2, "open", False)]


def test_a_company_with_both_systems_has_one_warehouse(company: Settings) -> None:
    found = dict(select(company, "select source_key, count(*) from marts.fct_deals group by 1"))
    assert found.keys() == {"bitrix24:main", *(f"amocrm:{name}" for name in ACCOUNTS)}
    assert found["bitrix24:main"] == 1
    calls = select(
        company,
        "select match_method, owner_basis, is_archived from marts.fct_calls as calls "
        "inner join marts.fct_stage_visits using (stage_visit_key) "
        "inner join marts.dim_pipelines as pipelines "
        "on calls.pipeline_key = pipelines.pipeline_key where calls.source_key = 'bitrix24:main'",
    )
    assert calls == [("bound_deal", "current", False)]
