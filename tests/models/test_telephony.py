"""Telephony in the models: legs become calls, calls of CRM and telephony become one.

One company: a portal of Bitrix24 and telephony of several kinds, tied to it, an account of amoCRM
with a telephony of its own; one build. Minutes count from NOON, 2 March 2026, 12:00 UTC, 15:00 in
Moscow; everything was read a day later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from tests.support.amo_accounts import lead_row, make_account, note_row
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import Pbx, write_raw_telephony

DAY = 24 * 60
MOSCOW = ZoneInfo("Europe/Moscow")
KYIV = ZoneInfo("Europe/Kyiv")
CUT = NOON + dt.timedelta(days=1)
ANNA, BORIS, VERA, GONE = 1, 2, 3, 4
Row = dict[str, Any]


def moment(minutes: float, zone: dt.tzinfo = MOSCOW) -> str:
    """An instant as a telephony prints it: local, without a zone."""
    at = NOON + dt.timedelta(minutes=minutes)
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def cdr(call: str, minutes: float, src: str, dst: str, **fields: Any) -> Row:
    """An answered record of 70 seconds, 60 of them talk."""
    leg = fields.pop("leg", 0)
    unique = f"{call}.{leg}"
    return {
        "row_key": f"{unique}/{leg}",
        "uniqueid": unique,
        "linkedid": f"{call}.0",
        "sequence": leg,
        "calldate": moment(minutes),
        "src": src,
        "dst": dst,
        "channel": "PJSIP/trunk-00000001" if len(src) > 5 else f"PJSIP/{src}-00000001",
        "dstchannel": f"PJSIP/{dst}-00000002" if len(dst) <= 5 else "PJSIP/trunk-00000002",
        "lastapp": "Dial",
        "duration": 70,
        "billsec": 60,
        "disposition": "ANSWERED",
        **fields,
    }


MISSED = {"disposition": "NO ANSWER", "billsec": 0, "duration": 20}
ASTERISK = [
    # The CRM has it under the same id, ten seconds later by its clock.
    cdr("by-id", 0, "101", "+79000000001"),
    # The CRM has it under an id of its own.
    cdr("by-phone", 60, "+79000000002", "102", did="74950000001"),
    # Nobody has written it to the CRM.
    cdr("only-pbx", 120, "89000000001", "101", did="74950000001"),
    # A queue rings two, the second one answers, and hands the call over.
    cdr("transfer", 180, "+79000000003", "101", did="74950000001", leg=0, **MISSED),
    cdr("transfer", 180, "+79000000003", "102", did="74950000001", leg=1, duration=50, billsec=40),
    cdr("transfer", 181, "102", "103", leg=2, duration=15, billsec=10),
    cdr(
        "transfer", 181.25, "+79000000003", "103", did="74950000001", leg=3, duration=95, billsec=90
    ),
    # Nobody answers: two were rung.
    cdr("missed", 240, "+79000000004", "101", did="74950000001", leg=0, **MISSED),
    cdr("missed", 240, "+79000000004", "102", did="74950000001", leg=1, **MISSED),
    # The queue itself answers, no person.
    cdr("queue", 250, "+79000000004", "600", did="74950000001", dstchannel="", lastapp="Queue"),
    cdr(
        "mailbox", 260, "+79000000004", "101", did="74950000001", dstchannel="", lastapp="VoiceMail"
    ),
    cdr("anonymous", 270, "", "101", channel="PJSIP/trunk-1", did="74950000001", **MISSED),
    cdr("internal", 280, "101", "102"),
    cdr("busy", 290, "101", "+79000000005", disposition="BUSY", billsec=0),
    cdr("odd", 295, "101", "+79000000005", disposition="EXPLODED", billsec=0),
    # The CRM knows how it went.
    cdr("odd-in-both", 297, "101", "+79000000008", disposition="EXPLODED", billsec=0),
    # Without a sequence; both in one second.
    cdr(
        "legs",
        330,
        "+79000000004",
        "102",
        leg=10,
        sequence=None,
        **{**MISSED, "disposition": "BUSY"},
    ),
    cdr("legs", 330, "+79000000004", "101", leg=9, sequence=None, **MISSED),
    cdr("after-cut", DAY + 1, "101", "+79000000001"),
    # 104 is Anna's and Vera's at once; 105 was Boris's until the day before, Vera's since.
    cdr("shared", 300, "104", "+79000000006"),
    cdr("handed-over", 310, "105", "+79000000006"),
    cdr("handed-over-before", -DAY, "105", "+79000000006"),
    # The outside sees the company's number.
    cdr("masked", 320, "74950000001", "+79000000007", channel="PJSIP/101-1", cnum="101"),
]


def mango(entry: str, minutes: float, **fields: Any) -> Row:
    start = int((NOON + dt.timedelta(minutes=minutes)).timestamp())
    return {
        "row_key": entry,
        "entry_id": entry,
        "start": start,
        "answer": start + 12,
        "finish": start + 72,
        "from_extension": "",
        "from_number": "79000000001",
        "to_extension": "11",
        "to_number": "",
        "line_number": "78120000001",
        **fields,
    }


def table_row(call: str, minutes: float, **fields: Any) -> Row:
    """An answered inbound call of 45 seconds in a company's own table."""
    return {
        "id": call,
        "started_at": (NOON + dt.timedelta(minutes=minutes)).isoformat(),
        "direction": "inbound",
        "result": "ок",
        "talk_seconds": 45,
        **fields,
    }


PBXS = {
    "asterisk:office": Pbx(CUT.astimezone(MOSCOW), {"asterisk_cdr": ASTERISK}),
    "mango:shop": Pbx(
        CUT,
        {
            "mango_calls": [
                mango("in", 400),
                mango("missed", 410, answer=0),
                mango(
                    "out",
                    420,
                    from_extension="11",
                    from_number="",
                    to_extension="",
                    to_number="79000000002",
                ),
                mango("inside", 430, from_extension="11", to_extension="12"),
            ]
        },
    ),
    "uis:site": Pbx(
        CUT.astimezone(MOSCOW),
        {
            "uis_calls": [
                {
                    "id": 7,
                    "start_time": moment(500),
                    "direction": "in",
                    "is_lost": False,
                    "contact_phone_number": "79000000001",
                    "virtual_phone_number": "74990000001",
                    "talk_duration": 55,
                    "total_duration": 70,
                },
                {
                    "id": 8,
                    "start_time": moment(510),
                    "direction": "in",
                    "is_lost": True,
                    "contact_phone_number": "79000000002",
                    "talk_duration": 0,
                    "total_duration": 9,
                },
            ],
            "uis_call_legs": [
                {
                    "id": 70,
                    "call_session_id": 7,
                    "start_time": moment(500),
                    "is_operator": False,
                    "duration": 70,
                    "total_duration": 70,
                    "is_talked": True,
                },
                {
                    "id": 71,
                    "call_session_id": 7,
                    "start_time": moment(500.1),
                    "is_operator": True,
                    "duration": 55,
                    "total_duration": 64,
                    "is_talked": True,
                    "employee_full_name": "Boris Test",
                },
            ],
        },
    ),
    "megafon:vats": Pbx(
        CUT,
        {
            "megafon_calls": [
                {
                    "row_key": "m1",
                    "uid": "m1",
                    "type": "in",
                    "client": "79000000001",
                    "account": "vera",
                    "start": "2026-03-02T21:00:00Z",
                    "wait": 5,
                    "duration": 30,
                },
                {
                    "row_key": "m2",
                    "uid": "m2",
                    "type": "missed",
                    "client": "79000000001",
                    "start": "2026-03-02T21:10:00Z",
                    "wait": 5,
                    "duration": 0,
                },
                {
                    "row_key": "m3",
                    "uid": "m3",
                    "type": "out",
                    "client": "79000000001",
                    "start": "2026-03-02T21:20:00Z",
                    "wait": 5,
                    "duration": 0,
                },
            ]
        },
    ),
    "zadarma:cloud": Pbx(
        CUT.astimezone(KYIV),
        {
            "zadarma_calls": [
                {
                    "row_key": "z1",
                    "pbx_call_id": "in_1",
                    "callstart": moment(600, KYIV),
                    "sip": "100",
                    "clid": "+79000000001",
                    "destination": "100",
                    "disposition": "answered",
                    "seconds": 33,
                },
                {
                    "row_key": "z2",
                    "pbx_call_id": "out_2",
                    "callstart": moment(610, KYIV),
                    "sip": "100",
                    "clid": "100",
                    "destination": "79000000001",
                    "disposition": "no money",
                    "seconds": 0,
                },
            ]
        },
    ),
    "binotel:ua": Pbx(
        CUT,
        {
            "binotel_calls": [
                {
                    "generalCallID": "900",
                    "callType": 1,
                    "startTime": int((NOON + dt.timedelta(minutes=700)).timestamp()),
                    "internalNumber": "901",
                    "externalNumber": "+79000000001",
                    "waitsec": 4,
                    "billsec": 25,
                    "disposition": "ANSWER",
                    "employeeData": {"name": "Vera Test"},
                    "pbxNumberData": {"number": "0440000001"},
                },
            ]
        },
    ),
    "ringostat:web": Pbx(
        CUT.astimezone(KYIV),
        {
            "ringostat_calls": [
                {
                    "uniqueid": "r1",
                    "calldate": moment(800, KYIV),
                    "call_type": "in",
                    "caller": "79000000001",
                    "dst": "380440000002",
                    "disposition": "ANSWERED",
                    "billsec": 41,
                    "duration": 50,
                    "employee_fio": "Nobody Known",
                },
            ]
        },
    ),
    "generic:other": Pbx(
        CUT,
        {
            "generic_calls": [
                {
                    "id": "g1",
                    "started_at": "2026-03-03T03:00:00Z",
                    "direction": "вх",
                    "result": "ок",
                    "client_phone": "8 (900) 000-00-01",
                    "talk_seconds": 45,
                    "total_seconds": 60,
                },
                {
                    "id": "g2",
                    "started_at": "2026-03-03T03:10:00Z",
                    "direction": "?",
                    "result": "не ок",
                    "client_phone": "89000000001",
                    "talk_seconds": 0,
                },
                # The CRM has another call 4.
                table_row("4", 905, extension="106"),
                # Of one second, and one call of the CRM.
                table_row("1000", 910, client_phone="89000000010"),
                table_row("999", 910, client_phone="89000000010"),
            ]
        },
    ),
    "generic:second": Pbx(
        CUT,
        {
            "generic_calls": [
                table_row("s1", 10, client_phone="89000000011", extension="201"),
                table_row("s2", 20, client_phone="89000000011", extension="201"),
                # A call of this number stands in the portal; this telephony is not the portal's.
                table_row("s3", 900, client_phone="89000000009"),
            ]
        },
    ),
}
CALLS = [
    call_row(1, 10 / 60, PHONE_NUMBER="+79000000001", EXTERNAL_CALL_ID="by-id.0"),
    call_row(2, 61, PHONE_NUMBER="+79000000002", CALL_TYPE=2, PORTAL_USER_ID=2),
    # Two calls of one number within the window stay two.
    call_row(
        3, 61.5, PHONE_NUMBER="+79000000002", CALL_TYPE=2, CALL_DURATION=0, CALL_FAILED_CODE="304"
    ),
    call_row(4, 900, PHONE_NUMBER="+79000000009", PORTAL_USER_ID=GONE, CALL_TYPE=2),
    call_row(5, 297, PHONE_NUMBER="+79000000008", CALL_DURATION=120),
    call_row(6, 600, CALL_TYPE=2, CALL_DURATION=0, CALL_FAILED_CODE="304"),
    # A type that nobody knows.
    call_row(7, 900, EXTERNAL_CALL_ID="g1", CALL_TYPE=8),
    call_row(8, 910, PHONE_NUMBER="+79000000010", CALL_TYPE=2),
]


def call_note(note_id: int, minutes: float, **told: Any) -> Row:
    """An answered call of the account's only lead, for which User 1 is responsible."""
    params = {"phone": "+79000000011", "duration": 45, "call_status": 4, **told}
    created = {"created_at": at(minutes), "updated_at": at(minutes)}
    return note_row(note_id, "leads", 1, note_type="call_in", params=params, **created)


NOTES = [call_note(1, 10), call_note(2, 20, call_responsible=1)]
TABLE = {
    "file": "calls.csv",
    "columns": {"call_id": "id", "started_at": "start"},
    "directions": {"вх": "inbound"},
    "results": {"ок": "answered"},
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    **{key: {"crm": "bitrix24:main"} for key in PBXS},
    "generic:other": {"crm": "bitrix24:main", **TABLE},
    "generic:second": {"crm": "amocrm:main", **TABLE},
}
EXTENSIONS = """connection,extension,employee_id,from_on,until_on
office,101,1,,
office,104,1,,
office,104,3,,
office,105,2,,2026-03-02
office,105,3,2026-03-02,
office,199,99,,
other,106,4,,
second,201,2,,
"""
TALKERS = "connection,talker_name,employee_id\nvats,Vera,3\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    root = tmp_path_factory.mktemp("telephony")
    connections = ("bitrix24:main", "amocrm:main", *PBXS)
    files = {"extensions.csv": EXTENSIONS, "talkers.csv": TALKERS}
    settings = make_company(root, connections=connections, files=files, options=OPTIONS)
    settings.make_folders()
    with (
        make_portal(root / "portal.sqlite", clock_minutes=DAY) as store,
        make_account(root / "account.sqlite") as account,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        store.insert(
            "user",
            [
                {
                    "ID": number,
                    "ACTIVE": number != GONE,
                    "NAME": name,
                    "LAST_NAME": "Test",
                    "USER_TYPE": "employee",
                    "UF_PHONE_INNER": extension,
                }
                for number, name, extension in (
                    (BORIS, "Boris", "102"),
                    (VERA, "Vera", "103"),
                    (GONE, "Gleb", None),
                )
            ],
        )
        store.insert("call", CALLS)
        store.insert("deal", [deal_row(1)])
        store.insert("stage_history", [history_row(1, 1, 0, "NEW")])
        account.clock = CUT
        account.insert("lead", [lead_row(1)])
        account.insert("note", NOTES)
        write_raw(connection, {"bitrix24:main": store})
        write_raw_amocrm(connection, {"amocrm:main": account})
        write_raw_telephony(connection, PBXS)
    load_company_rules(settings)
    dbt_build(settings)
    with warehouse(settings) as connection:
        yield connection


Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(built: duckdb.DuckDBPyConnection) -> Ask:
    return lambda query: built.execute(query).fetchall()


def call(ask: Ask, pbx_call_id: str, *columns: str) -> tuple[Any, ...]:
    """The call that a telephony knows by an id."""
    (found,) = ask(
        f"select {', '.join(columns)} from marts.fct_calls where pbx_call_id = '{pbx_call_id}'"
    )
    return found


def employee(ask: Ask, pbx_call_id: str) -> tuple[Any, ...]:
    """Who spoke, and how that is known."""
    (found,) = ask(
        "select employees.employee_id, calls.talker_basis from marts.fct_calls as calls "
        "left join marts.dim_employees as employees "
        "on calls.talker_employee_key = employees.employee_key "
        f"where pbx_call_id = '{pbx_call_id}'"
    )
    return found


def after_noon(minutes: float) -> dt.datetime:
    return (NOON + dt.timedelta(minutes=minutes)).replace(tzinfo=None)


def test_rows_of_crm_and_telephony_with_one_id_are_one_call(ask: Ask) -> None:
    found = call(ask, "by-id.0", "call_id", "call_sources", "pair_basis", "started_at")
    assert found == (1, "crm_and_pbx", "id", after_noon(10 / 60))


def test_rows_of_one_number_and_minute_are_one_call_and_the_nearest_wins(ask: Ask) -> None:
    assert call(ask, "by-phone.0", "call_id", "pair_basis") == (2, "phone")
    (other,) = ask("select call_sources, pbx_call_id from marts.fct_calls where call_id = 3")
    assert other == ("crm", None)


def test_a_call_that_only_the_telephony_has_belongs_to_its_crm(ask: Ask) -> None:
    found = call(ask, "only-pbx.0", "call_sources", "call_id", "source_key", "phone_e164", "line")
    assert found == ("pbx", None, "bitrix24:main", "+79000000001", "74950000001")


def test_the_telephony_says_how_the_call_went(ask: Ask) -> None:
    columns = ("wait_seconds", "talk_seconds", "total_seconds", "talk_basis", "is_successful")
    assert call(ask, "by-phone.0", *columns) == (10, 60, 70, "talk", True)
    assert call(ask, "by-phone.0", "answered_at") == (after_noon(60) + dt.timedelta(seconds=10),)


def test_where_the_telephony_does_not_know_how_it_went_the_crm_does(ask: Ask) -> None:
    columns = ("call_sources", "call_result", "is_answered", "talk_seconds", "wait_seconds")
    assert call(ask, "odd-in-both.0", *columns) == ("crm_and_pbx", "answered", True, 120, None)


def test_a_call_that_only_the_telephony_saw_answered_has_its_length(ask: Ask) -> None:
    columns = ("call_sources", "is_answered", "talk_seconds", "talk_basis")
    assert call(ask, "in_1", *columns) == ("crm_and_pbx", True, 33, "total")


def test_a_type_of_the_crm_without_a_direction_gets_the_telephonys(ask: Ask) -> None:
    assert call(ask, "g1", "call_id", "pair_basis", "direction") == (7, "id", "inbound")


def test_of_calls_of_one_second_the_lower_number_comes_first(ask: Ask) -> None:
    assert call(ask, "999", "call_id", "pair_basis") == (8, "phone")
    assert call(ask, "1000", "call_sources") == ("pbx",)
    # Of legs too: the last leg's result is the call's.
    assert call(ask, "legs.0", "call_result") == ("busy",)


def test_calls_are_merged_with_the_connection_that_the_telephony_is_tied_to(ask: Ask) -> None:
    assert call(ask, "s1", "source_key", "call_sources") == ("amocrm:main", "crm_and_pbx")
    assert call(ask, "s3", "source_key", "call_sources") == ("amocrm:main", "pbx")


def test_legs_of_a_transfer_are_one_conversation(ask: Ask) -> None:
    columns = ("leg_count", "wait_seconds", "talk_seconds", "total_seconds", "rung_extensions")
    assert call(ask, "transfer.0", *columns) == (4, 10, 40 + 90, 75 + 95, "101, 102, 103")
    # The talk between two employees is not with the client; who spoke longest spoke.
    assert employee(ask, "transfer.0") == (VERA, "extension")
    legs = ask(
        "select leg_number, extension, call_result from intermediate.int_pbx_call_legs "
        "where pbx_call_id = 'transfer.0' order by leg_number"
    )
    assert legs == [
        (1, "101", "missed"),
        (2, "102", "answered"),
        (3, "102", "answered"),
        (4, "103", "answered"),
    ]


def test_a_call_nobody_answered_names_nobody_of_several(ask: Ask) -> None:
    columns = ("call_result", "is_answered", "wait_seconds", "extension", "rung_extensions")
    assert call(ask, "missed.0", *columns) == ("missed", False, 20, None, "101, 102")
    assert employee(ask, "missed.0") == (None, "unknown")


@pytest.mark.parametrize(
    ("call_id", "result"),
    [
        ("queue.0", "missed"),
        ("mailbox.0", "voicemail"),
        ("busy.0", "busy"),
        ("odd.0", "unknown"),
        ("anonymous.0", "missed"),
        ("missed", "missed"),
        ("in", "answered"),
        ("8", "missed"),
        ("m2", "missed"),
        ("m3", "missed"),
        ("out_2", "failed"),
        ("900", "answered"),
        ("r1", "answered"),
        ("g1", "answered"),
        ("g2", "unknown"),
    ],
)
def test_results_have_one_vocabulary(ask: Ask, call_id: str, result: str) -> None:
    answered = result == "answered"
    assert call(ask, call_id, "call_result", "is_answered") == (result, answered)


@pytest.mark.parametrize(
    ("call_id", "direction", "is_external"),
    [
        ("only-pbx.0", "inbound", True),
        ("busy.0", "outbound", True),
        ("internal.0", "internal", False),
        ("anonymous.0", "inbound", True),
        ("masked.0", "outbound", True),
        ("transfer.0", "inbound", True),
        ("in", "inbound", True),
        ("out", "outbound", True),
        ("inside", "internal", False),
        ("7", "inbound", True),
        ("m2", "inbound", True),
        ("m3", "outbound", True),
        ("in_1", "inbound", True),
        ("out_2", "outbound", True),
        ("900", "outbound", True),
        ("r1", "inbound", True),
        ("g1", "inbound", True),
        ("g2", None, True),
    ],
)
def test_directions(ask: Ask, call_id: str, direction: str | None, is_external: bool) -> None:
    assert call(ask, call_id, "direction", "is_external") == (direction, is_external)


@pytest.mark.parametrize(
    ("call_id", "minutes"),
    [
        ("by-phone.0", 61),
        ("in", 400),
        ("7", 500),
        ("in_1", 600),
        ("900", 700),
        ("r1", 800),
        ("m1", 540),
        ("g1", 900),
    ],
)
def test_calls_start_in_utc_whatever_zone_the_telephony_prints(
    ask: Ask, call_id: str, minutes: float
) -> None:
    assert call(ask, call_id, "started_at") == (after_noon(minutes),)


@pytest.mark.parametrize(
    ("call_id", "talker"),
    [
        ("only-pbx.0", (ANNA, "extension")),
        # Two hold the extension at once.
        ("shared.0", (None, "unknown")),
        ("handed-over-before.0", (BORIS, "extension")),
        ("handed-over.0", (VERA, "extension")),
        # The CRM's word goes before the extension's.
        ("by-phone.0", (BORIS, "crm_user")),
        ("s2", (1, "crm_user")),
        # Who is merely responsible for the note was not necessarily on the phone.
        ("s1", (2, "extension")),
        ("7", (BORIS, "name")),
        ("m1", (VERA, "name")),
        ("900", (VERA, "name")),
        ("r1", (None, "unknown")),
    ],
)
def test_who_spoke(ask: Ask, call_id: str, talker: tuple[int | None, str]) -> None:
    assert employee(ask, call_id) == talker


def test_anonymous_callers_are_nobody(ask: Ask) -> None:
    found = call(ask, "anonymous.0", "phone_e164", "client_key", "match_method")
    assert found == (None, None, "unknown_number")


def test_calls_after_the_cut_wait(ask: Ask) -> None:
    assert ask("select * from marts.fct_calls where pbx_call_id = 'after-cut.0'") == []


def test_every_row_is_a_call_a_leg_or_waits(ask: Ask) -> None:
    assert (
        ask(
            "select source_key, entity from intermediate.int_reconciliation_by_entity "
            "where unexplained_marts_count <> 0 or unexplained_source_count <> 0"
        )
        == []
    )
    (found,) = ask(
        "select rows_in_marts, waiting_count, merged_count, other_count "
        "from intermediate.int_reconciliation_by_entity where entity = 'cdr'"
    )
    legs, extra_legs, of_crm_as_well = len(ASTERISK), 3 + 1 + 1, 3
    assert found == (legs - 1 - extra_legs - of_crm_as_well, 1, extra_legs + of_crm_as_well, 0)


def test_a_line_of_a_file_that_names_nobody_is_told(ask: Ask) -> None:
    found = ask(
        "select source_key, sentence from marts.fct_data_quality_issues where rule_id = 'RULES'"
    )
    sentence = "extensions.csv, line 7: nobody knows employee_id 99."
    assert found == [("asterisk:office", sentence)]


def test_codes_that_nobody_knows_are_reported(ask: Ask) -> None:
    found = ask(
        "select source_key, record_id from marts.fct_data_quality_issues "
        "where rule_id = 'CODES' order by all"
    )
    assert found == [
        ("asterisk:office", "result EXPLODED"),
        ("generic:other", "direction (none)"),
        ("generic:other", "result не ок"),
    ]


def test_calls_of_one_id_in_crm_and_telephony_are_told_apart(ask: Ask) -> None:
    found = ask(
        "select record_id from marts.fct_data_quality_issues "
        "where rule_id = 'Q3' and entity = 'call' and source_key = 'bitrix24:main' order by all"
    )
    assert found == [("4",), ("4 (generic:other)",)]
