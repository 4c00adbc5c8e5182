"""Missed cases (R7), shared lines (Q8) and calls past the telephony, on a company by hand.

A portal of Bitrix24 with an Asterisk behind it. Minutes count from NOON, Monday, 2 March 2026,
12:00 UTC, 15:00 in Moscow; everything was read two days later. The same models then judge random
calls against the plain-Python reference.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from orchestration.settings import Settings
from tests.reference.missed_calls import PhoneCall, missed_cases
from tests.support.companies import (
    WITHOUT_TESTS,
    dbt_build,
    load_company_rules,
    make_company,
    warehouse,
)
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal
from tests.support.raw import write_raw
from tests.support.raw_telephony import Pbx, write_raw_telephony

DAY = 24 * 60
CUT = NOON + dt.timedelta(days=2)
MOSCOW = ZoneInfo("Europe/Moscow")
MAIN, OFFICE = "bitrix24:main", "asterisk:office"
ANNA, BORIS, VERA, GLEB = 1, 2, 3, 4
IVAN, IVANS_MOBILE = "+79000000011", "+79000000012"
OUTBOUND, INBOUND = 1, 2
MISSED = {"CALL_TYPE": INBOUND, "CALL_DURATION": 0, "CALL_FAILED_CODE": "304"}
ANSWERED = {"CALL_TYPE": INBOUND}
Row = dict[str, Any]


def calls() -> list[Row]:
    """Of the CRM alone but for the last two; one number a story."""
    stories: list[tuple[str, list[tuple[float, Row]]]] = [
        # Ivan calls from two numbers, the second time he reaches somebody.
        (IVAN, [(0, MISSED), (60, {})]),
        # Exactly a day later is in time, a second later is not.
        ("+79000000101", [(0, MISSED), (DAY, {})]),
        ("+79000000102", [(0, MISSED), (DAY + 1 / 60, {})]),
        # The time to call back runs from the first missed call; for the last it is not over.
        ("+79000000103", [(0, MISSED), (DAY - 1, MISSED), (DAY + 30, {})]),
        ("+79000000104", [(0, MISSED), (5, MISSED)]),
        ("+79000000105", [(DAY + 1, MISSED)]),
        # Nine seconds are no contact, ten are; a callback order is an outbound call.
        ("+79000000106", [(0, MISSED), (10, {"CALL_DURATION": 9}), (20, {"CALL_DURATION": 10})]),
        ("+79000000107", [(0, MISSED), (10, {"CALL_TYPE": 4})]),
        # Attempts that nobody answered, and one before the missed call.
        (
            "+79000000108",
            [
                (-5, {"CALL_DURATION": 0, "CALL_FAILED_CODE": "304"}),
                (0, MISSED),
                (30, {"CALL_DURATION": 0, "CALL_FAILED_CODE": "486"}),
                (90, {"CALL_DURATION": 0, "CALL_FAILED_CODE": "304"}),
            ],
        ),
        # A contact ends a case, the next missed call begins another; the same second ends it too.
        ("+79000000109", [(0, MISSED), (5, {}), (10, MISSED), (10, ANSWERED), (20, MISSED)]),
        # Somebody who has left was rung.
        ("+79000000110", [(0, MISSED | {"PORTAL_USER_ID": GLEB})]),
        # Before work (Moscow 8:59), at its beginning and at its end, and on a day off.
        ("+79000000111", [(-6 * 60 - 1, MISSED)]),
        ("+79000000112", [(-6 * 60, MISSED)]),
        ("+79000000113", [(3 * 60, MISSED)]),
        ("+79000000114", [(DAY, MISSED)]),
        # Nobody can be called back.
        ("hidden", [(0, MISSED), (1, MISSED)]),
        # Known to the exchange as well.
        ("+79000000201", [(200, MISSED)]),
        ("+79000000202", [(300, {"PORTAL_USER_ID": BORIS})]),
    ]
    rows = [
        (minutes, {"PHONE_NUMBER": number, **fields})
        for number, story in stories
        for minutes, fields in story
    ]
    rows.append((30, {"PHONE_NUMBER": IVANS_MOBILE, **ANSWERED}))
    return [
        call_row(row_id, minutes, **{"CALL_DURATION": 60, **fields})
        for row_id, (minutes, fields) in enumerate(rows, start=1)
    ]


def cdr(call: str, minutes: float, src: str, dst: str, **fields: Any) -> Row:
    """A record of the exchange; answered, 60 seconds of talk."""
    leg = fields.pop("leg", 0)
    return {
        "row_key": f"{call}/{leg}",
        "uniqueid": f"{call}.{leg}",
        "linkedid": f"{call}.0",
        "sequence": leg,
        "calldate": (NOON + dt.timedelta(minutes=minutes))
        .astimezone(MOSCOW)
        .strftime("%Y-%m-%d %H:%M:%S"),
        "src": src,
        "dst": dst,
        "did": "74950000001" if len(src) > 5 else None,
        "channel": "PJSIP/trunk-00000001" if len(src) > 5 else f"PJSIP/{src}-00000001",
        "dstchannel": f"PJSIP/{dst}-00000002" if len(dst) <= 5 else "PJSIP/trunk-00000002",
        "lastapp": "Dial",
        "duration": 70,
        "billsec": 60,
        "disposition": "ANSWERED",
        **fields,
    }


UNANSWERED = {"disposition": "NO ANSWER", "billsec": 0, "duration": 20}
LEGS = [
    # The CRM's missed call; it rang Anna and Vera, says the exchange, and the shared 104.
    cdr("both-missed", 200, "+79000000201", "101", **UNANSWERED),
    cdr("both-missed", 200, "+79000000201", "103", leg=1, **UNANSWERED),
    cdr("both-missed", 200, "+79000000201", "104", leg=2, **UNANSWERED),
    cdr("both", 300, "102", "+79000000202"),
    # 104 is Anna's and Vera's; the exchange alone has these calls.
    *(cdr(f"shared-{n}", 310 + 2 * n, "104", f"+790000003{n:02}") for n in range(8)),
    # Boris hands a call over and takes the next one: no overlap, each spoke once at a time.
    cdr("handed", 400, "+79000000401", "102", duration=70, billsec=60),
    cdr("handed", 401.2, "+79000000401", "103", leg=1, duration=610, billsec=600),
    cdr("next", 403, "102", "+79000000402"),
    # Vera is in two talks at once.
    cdr("overlap", 405, "103", "+79000000403"),
    # A caller without a number reaches nobody; nobody's row in the CRM can be its twin.
    cdr("anonymous", 500, "", "101", channel="PJSIP/trunk-1", did="74950000001", **UNANSWERED),
]
FILES = {
    "extensions.csv": (
        "connection,extension,employee_id,from_on,until_on\n"
        "office,101,1,,\noffice,103,3,,\noffice,104,1,,\noffice,104,3,,\n"
    ),
    "dismissals.csv": "connection,employee_id,dismissed_on\nmain,4,2026-03-01\n",
    "calendar.csv": "date_day,working_hours\n2026-03-03,\n2026-03-04,10:00-16:00\n",
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("missed")
    settings = make_company(root, connections=(MAIN, OFFICE), files=FILES)
    settings.make_folders()
    with (
        make_portal(root / "portal.sqlite", clock_minutes=2 * DAY) as store,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        store.insert(
            "user",
            [
                {
                    "ID": number,
                    "ACTIVE": int(number != GLEB),
                    "NAME": name,
                    "LAST_NAME": "Test",
                    "USER_TYPE": "employee",
                    # Gleb has left, and nobody has taken his extension from him.
                    "UF_PHONE_INNER": "102",
                }
                for number, name in ((BORIS, "Boris"), (GLEB, "Gleb"))
            ],
        )
        store.insert("user", [{"ID": VERA, "ACTIVE": 1, "NAME": "Vera", "LAST_NAME": "Test"}])
        phones = [
            {"ID": str(place), "VALUE_TYPE": "WORK", "VALUE": number, "TYPE_ID": "PHONE"}
            for place, number in enumerate((IVAN, IVANS_MOBILE), start=1)
        ]
        store.insert("contact", [{"ID": 11, "NAME": "Ivan", "LAST_NAME": "Buyer", "PHONE": phones}])
        store.insert("call", calls())
        store.insert("deal", [deal_row(1, CONTACT_ID=11, DATE_CREATE=at(-DAY))])
        store.insert("stage_history", [history_row(1, 1, -DAY, "NEW")])
        write_raw(connection, {MAIN: store})
        write_raw_telephony(
            connection, {OFFICE: Pbx(CUT.astimezone(MOSCOW), {"asterisk_cdr": LEGS})}
        )
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


@pytest.fixture(scope="module")
def built(company: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse(company) as connection:
        yield connection


Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(built: duckdb.DuckDBPyConnection) -> Ask:
    return lambda query: built.execute(query).fetchall()


def after_noon(minutes: float) -> dt.datetime:
    return (NOON + dt.timedelta(minutes=minutes)).replace(tzinfo=None)


def cases(ask: Ask, number: str, *columns: str) -> list[tuple[Any, ...]]:
    """The cases that began with a call from a number, in their order."""
    return ask(
        f"select {', '.join(columns)} from metrics.metric_missed_calls__by_case "
        f"where phone_e164 = '{number}' order by first_missed_at"
    )


def test_a_client_is_one_party_with_all_their_numbers(ask: Ask) -> None:
    columns = ("case_state", "missed_count", "seconds_to_contact", "contact_direction")
    assert cases(ask, IVAN, *columns) == [("in_time", 1, 30 * 60, "inbound")]
    assert cases(ask, IVANS_MOBILE, "case_state") == []


def test_a_case_leads_to_the_client_and_the_card(ask: Ask) -> None:
    (found,) = cases(ask, IVAN, "client_name", "client_url", "card_url")
    host = "https://test.bitrix24.example"
    assert found == (
        "Ivan Buyer",
        f"{host}/crm/contact/details/11/",
        f"{host}/crm/deal/details/1/",
    )
    assert cases(ask, "+79000000101", "client_name", "client_url", "card_url") == [(None,) * 3]


@pytest.mark.parametrize(
    ("number", "state", "missed", "attempts"),
    [
        ("+79000000101", "in_time", 1, 0),
        ("+79000000102", "late", 1, 0),
        ("+79000000103", "late", 2, 0),
        ("+79000000104", "lost", 2, 0),
        ("+79000000105", "pending", 1, 0),
        ("+79000000106", "in_time", 1, 1),
        ("+79000000107", "in_time", 1, 0),
        ("+79000000108", "lost", 1, 2),
    ],
)
def test_states(ask: Ask, number: str, state: str, missed: int, attempts: int) -> None:
    columns = ("case_state", "missed_count", "attempts_count")
    assert cases(ask, number, *columns) == [(state, missed, attempts)]


def test_a_contact_ends_a_case_also_in_the_second_of_a_missed_call(ask: Ask) -> None:
    columns = ("first_missed_at", "case_state", "contacted_at")
    assert cases(ask, "+79000000109", *columns) == [
        (after_noon(0), "in_time", after_noon(5)),
        (after_noon(10), "in_time", after_noon(10)),
        (after_noon(20), "lost", None),
    ]


def test_who_was_rung_by_the_legs_and_by_the_crm(ask: Ask) -> None:
    columns = ("rung_employees", "rung_employees_count", "rung_extensions")
    assert cases(ask, "+79000000201", *columns) == [("Anna Test, Vera Test", 2, "101, 103, 104")]
    assert cases(ask, "+79000000101", *columns) == [("Anna Test", 1, None)]
    # Nobody who had left by then is named.
    assert cases(ask, "+79000000110", *columns) == [("Former employees (to reassign)", 1, None)]


@pytest.mark.parametrize(
    ("number", "is_working_time"),
    [
        ("+79000000111", False),
        ("+79000000112", True),
        ("+79000000113", False),
        ("+79000000114", False),
        ("+79000000101", True),
    ],
)
def test_working_hours_are_the_companys(ask: Ask, number: str, is_working_time: bool) -> None:
    assert cases(ask, number, "is_working_time") == [(is_working_time,)]


def test_the_calendar_goes_before_the_week(ask: Ask) -> None:
    found = ask(
        "select date_day, is_working_day, work_starts_at, work_ends_at from marts.dim_dates "
        "where date_day between '2026-03-01' and '2026-03-04' order by 1"
    )
    day = dt.datetime(2026, 3, 1)
    assert found == [
        (dt.date(2026, 3, 1), False, None, None),
        (dt.date(2026, 3, 2), True, day.replace(day=2, hour=6), day.replace(day=2, hour=15)),
        (dt.date(2026, 3, 3), False, None, None),
        (dt.date(2026, 3, 4), True, day.replace(day=4, hour=7), day.replace(day=4, hour=13)),
    ]


def test_callers_without_a_number_are_cases_of_their_own(ask: Ask) -> None:
    found = ask(
        "select first_missed_at, missed_count from metrics.metric_missed_calls__by_case "
        "where case_state = 'anonymous' order by 1"
    )
    assert found == [(after_noon(minutes), 1) for minutes in (0, 1, 500)]


def test_days_add_up_and_have_shares_with_both_their_numbers(ask: Ask) -> None:
    (found,) = ask(
        "select cases_count, in_time_count, late_count, pending_count, lost_count, "
        "anonymous_count, decided_count, in_time_share, contacted_count, seconds_to_contact_mean "
        "from metrics.metric_missed_calls__by_day where first_missed_on = '2026-03-02'"
    )
    states = [
        state
        for (state,) in ask(
            "select case_state from metrics.metric_missed_calls__by_case "
            "where first_missed_on = '2026-03-02'"
        )
    ]
    # By hand: Ivan, 101, 106, 107 and twice 109; 102 and 103; 104, 108, 109, 110 to 113, 201.
    assert (found[:6], len(states)) == ((16, 6, 2, 0, 8, 3), 19)
    assert found[6:8] == (16, 6 / 16)
    waited = 30 * 60 + DAY * 60 + 20 * 60 + 10 * 60 + 5 * 60 + 0 + (DAY * 60 + 1) + (DAY + 30) * 60
    assert found[8:] == (8, waited / 8)


def test_days_without_a_missed_call_show_0(ask: Ask) -> None:
    found = ask(
        "select first_missed_on, cases_count, in_time_share "
        "from metrics.metric_missed_calls__by_day order by 1"
    )
    assert [day for day, *_ in found] == [dt.date(2026, 3, day) for day in (2, 3, 4)]
    assert found[-1][1:] == (0, None)


def test_calls_past_the_telephony_are_told_by_employee(ask: Ask) -> None:
    found = ask(
        "select employee_name, crm_and_pbx_count, crm_only_count, pbx_only_count, "
        "without_number_count, not_through_pbx_share, not_in_crm_share "
        "from metrics.metric_call_sources__by_employee where month_start_on = '2026-03-01' "
        "order by 1"
    )
    by_name = {name: row for name, *row in found}
    # Since the exchange's first call at 200 minutes: 103's last two, 105, the calls back to 101 and
    # 102, and 114; the caller without a number, who rang her, can have no twin.
    assert by_name["Anna Test"] == [1, 6, 0, 1, 6 / 7, 0.0]
    assert by_name["Boris Test"] == [1, 0, 1, 0, 0.0, 0.5]
    assert by_name["Vera Test"] == [0, 0, 2, 0, None, 1.0]
    # The shared line.
    assert by_name["(not set)"] == [0, 0, 8, 0, None, 1.0]
    assert len(found) == 4


def test_a_shared_extension_is_named_with_its_holders_and_its_share(ask: Ask) -> None:
    found = ask(
        "select record_id, sentence from marts.fct_data_quality_issues "
        "where rule_id = 'Q8' and entity = 'extension'"
    )
    # 102 is no shared one: who has left does not hold it any more.
    assert found == [
        (
            "104",
            "Extension 104 is used by Anna Test, Vera Test: their calls can't be told apart (8 of "
            "14 calls of asterisk:office, 57.14 %; reports count them as the systems name the "
            "talker).",
        )
    ]
    assert ask("select count(*) from marts.fct_calls where is_on_shared_line") == [(8,)]


def test_only_real_talk_overlaps(ask: Ask) -> None:
    found = ask(
        "select record_id, culprit_name from marts.fct_data_quality_issues "
        "where rule_id = 'Q8' and entity = 'call' order by 1"
    )
    assert ("overlap.0 (asterisk:office)", "Vera Test") in found
    quiet = {f"{call}.0 (asterisk:office)" for call in ("handed", "next")}
    assert not quiet & {record for record, _ in found}


def test_an_extension_of_somebody_who_left_names_who_is_still_there(ask: Ask) -> None:
    found = ask(
        "select employees.employee_name, calls.talker_basis from marts.fct_calls as calls "
        "inner join marts.dim_employees as employees "
        "on calls.talker_employee_key = employees.employee_key where pbx_call_id = 'next.0'"
    )
    assert found == [("Boris Test", "extension")]


@pytest.fixture(scope="module")
def copy_of(company: Settings, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Settings]:
    def copy() -> Settings:
        made = Settings(
            company=company.company,
            companies_dir=company.companies_dir,
            data_root=tmp_path_factory.mktemp("copy"),
            memory_limit=company.memory_limit,
        )
        made.make_folders()
        shutil.copy(company.warehouse, made.warehouse)
        return made

    return copy


@pytest.mark.parametrize("rule", ["hold_back", "spread"])
def test_the_company_chooses_what_reports_do_with_shared_lines(
    copy_of: Callable[[], Settings], rule: str
) -> None:
    settings = copy_of()
    with warehouse(settings, read_only=False) as connection:
        connection.execute("update raw_company.rules set shared_lines = ?", [rule])
    dbt_build(settings, "--select", "fct_calls metric_call_load__by_stage int_shared_line_findings")
    with warehouse(settings) as connection:
        by_talker = connection.execute(
            "select segment_value, sum(calls_count), sum(shared_line_count), sum(spread_count) "
            "from metrics.metric_call_load__by_stage where segment_type = 'talker' "
            "group by 1 having sum(shared_line_count) > 0 order by 1"
        ).fetchall()
        totals = connection.execute(
            "select segment_type, sum(calls_count), sum(shared_line_count) "
            "from metrics.metric_call_load__by_stage group by 1"
        ).fetchall()
        (finding,) = connection.execute(
            "select finding from intermediate.int_shared_line_findings where record_id = '104'"
        ).fetchall()
    # Whatever reports do, totals stay, and so does what the systems say of the talker.
    assert len({(calls, shared) for _, calls, shared in totals}) == 1
    if rule == "hold_back":
        assert by_talker == [("(shared line)", 8, 8, 0)]
        assert finding == ("shared_extension_hold_back",)
        return
    assert {value.partition(" [")[0] for value, *_ in by_talker} == {"Anna Test", "Vera Test"}
    assert sum(shared for _, _, shared, _ in by_talker) == 8
    assert all(shared == spread for _, _, shared, spread in by_talker)
    assert finding == ("shared_extension_spread",)


def random_calls(rng: random.Random, count: int) -> list[PhoneCall]:
    """Calls of few parties within two days, many of them in one second."""
    start = after_noon(-6 * 60)
    return [
        PhoneCall(
            key=rng.getrandbits(60),
            source=MAIN,
            started_at=start + dt.timedelta(seconds=rng.choice([60, 3_600]) * rng.randrange(53)),
            is_inbound=rng.random() < 0.6,
            is_answered=rng.random() < 0.4,
            talk_seconds=rng.choice([0, 9, 10, 11, 60]),
            client=(party if (party := rng.randrange(count // 8)) % 3 == 0 else None),
            number=None if rng.random() < 0.1 else f"+7900{party:07}",
        )
        for _ in range(count)
    ]


def put_calls(connection: duckdb.DuckDBPyConnection, calls: list[PhoneCall]) -> None:
    """In place of all calls; what cases do not depend on is left as an earlier call has it."""
    connection.execute("create temp table one as select * from marts.fct_calls limit 1")
    connection.execute("delete from marts.fct_calls")
    connection.execute("delete from marts.fct_call_legs")
    connection.execute(
        "create temp table given (call_key bigint, started_at timestamp, direction varchar, "
        "is_answered boolean, talk_seconds integer, client_key bigint, phone_e164 varchar)"
    )
    connection.executemany(
        "insert into given values (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                call.key,
                call.started_at,
                "inbound" if call.is_inbound else "outbound",
                call.is_answered,
                call.talk_seconds,
                call.client,
                call.number,
            )
            for call in calls
        ],
    )
    connection.execute(
        "insert into marts.fct_calls by name (select one.* exclude (call_key, started_at, "
        "direction, is_answered, talk_seconds, client_key, phone_e164, is_external, started_on, "
        f"source_key), true as is_external, '{MAIN}' as source_key, given.*, "
        "(given.started_at + interval 3 hours)::date as started_on from given cross join one)"
    )


def test_cases_equal_the_reference_on_random_calls(copy_of: Callable[[], Settings]) -> None:
    settings = copy_of()
    calls = random_calls(random.Random(5), 4_000)
    with warehouse(settings, read_only=False) as connection:
        put_calls(connection, calls)
    dbt_build(settings, "--select", "metric_missed_calls__by_case metric_missed_calls__by_day")
    with warehouse(settings) as connection:
        found = connection.execute(
            "select first_call_key, source_key, first_missed_at, last_missed_at, missed_count, "
            "attempts_count, contact_call_key, contacted_at, case_state "
            "from metrics.metric_missed_calls__by_case"
        ).fetchall()
    expected = missed_cases(calls, CUT.replace(tzinfo=None))
    told = {tuple(vars(case).values()) for case in expected}
    assert {case.state for case in expected} == {"in_time", "late", "pending", "lost", "anonymous"}
    assert len(found) == len(expected) > 500
    assert set(found) == told


def test_the_rules_reach_the_warehouse(tmp_path: Path) -> None:
    """Thresholds are data: another company's own ones stand in raw."""
    settings = make_company(tmp_path, connections=())
    rules = settings.company_dir / "company.toml"
    rules.write_text(
        rules.read_text()
        + '\n[calls]\ncallback_hours = 2\ncontact_seconds = 5\nshared_lines = "spread"\n'
        + '\n[working_hours]\nsaturday = "10:00-14:30"\nfriday = ""\n'
    )
    load_company_rules(settings)
    with warehouse(settings) as connection:
        assert connection.execute(
            "select callback_hours, contact_seconds, shared_lines from raw_company.rules"
        ).fetchall() == [(2, 5, "spread")]
        assert connection.execute(
            "select * exclude (_dlt_load_id) from raw_company.working_hours "
            "where weekday_number in (4, 5, 6) order by 1"
        ).fetchall() == [(4, 540, 1080), (5, None, None), (6, 600, 870)]
