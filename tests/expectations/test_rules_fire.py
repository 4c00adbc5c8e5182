"""Every quality rule fires on its fault, names the culprit, and stays silent on clean data."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.gate import GateClosed, judge, require_open
from expectations.outcomes import NotBuilt, accepted_findings, build_number, outcomes
from orchestration.settings import Settings
from sources.bookkeeping import Books, EntityLoad
from sources.demo.store import PortalStore
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.portals import (
    LEAD_STAGE,
    NOON,
    at,
    call_row,
    deal_row,
    history_row,
    lead_row,
    make_portal,
    planned_call,
)
from tests.support.raw import write_raw
from tests.support.raw_telephony import Pbx, write_raw_telephony

BROKEN, CLEAN = "bitrix24:broken", "bitrix24:clean"
BROKEN_PBX, CLEAN_PBX = "asterisk:broken", "asterisk:clean"
DAY = 24 * 60
DEAL = 2
MOVED = (11, 12, 13)
"""Deals that come to one stage at once."""

EXPECTED = [
    # rule, finding, record, what the sentence must name
    ("Q2", "open_deal_of_a_former_employee", "2", "Open deal 2 belongs to Boris Gone"),
    ("Q2", "open_lead_of_a_former_employee", "1", "Open lead 1 belongs to Boris Gone"),
    ("Q2", "open_task_of_a_former_employee", "1", "Open task 1 belongs to Boris Gone"),
    ("Q3", "call_of_a_former_employee", "21", "Boris Gone, who has left (2026-03-02)"),
    (
        "Q3",
        "day_of_leaving_unknown",
        "7",
        "Nora Unknown (7) no longer works here, and nobody knows since when",
    ),
    ("Q4", "pipeline_with_cards_gone", "9", 'Pipeline "Pipeline 9" has 1 cards'),
    (
        "Q4",
        "fewer_users",
        "8",
        "Vera Vanished (8) is missing: bitrix24:broken lists 7 users, at the load before 8",
    ),
    ("Q5", "rows_missing", "deals", "deals of bitrix24:broken"),
    ("Q6", "stage_is_not_the_last_of_history", "3", "stands on Work"),
    ("Q7", "stage_without_entry", "0/GONE", 'Stage "GONE"'),
    ("Q8", "shared_extension", "101", "Clara One, Dina Two"),
    (
        "Q9",
        "method_share_moved",
        "before_deal",
        "by method before_deal were 0 % of 9 in the week of 2026-03-02, 100 %",
    ),
    (
        "Q9",
        "too_many_unknown_numbers",
        BROKEN,
        "9 of 9 calls of bitrix24:broken in the week of 2026-03-02 (100 %)",
    ),
    ("Q10", "win_without_amount", "6", "Won deal 6"),
    ("Q11", "deal_without_source", "7", "Deal 7 has no source."),
    ("Q12", "deal_stage_before_creation", "7", "Deal 7"),
    ("Q13", "call_told_twice", "31", "repeats call 30"),
    (
        "Q14",
        "mass_move",
        "0/WORK 2026-03-03",
        '3 cards came to "Work" of "Sales" on 2026-03-03 in bulk',
    ),
    (
        "Q15",
        "fewer_rows_than_usual",
        "calls",
        "calls of bitrix24:broken on 2026-03-11: 0 new rows, usual on that weekday 1",
    ),
    ("Q16", "call_too_long", "22", "5.0 hours"),
    ("Q17", "currency_without_rate", "EUR", "EUR has no rate for 1 of the deals"),
    ("Q18", "seller_without_goal", "1", "Seller Anna Test has no goal on 2026-03-12"),
    (
        "Q18",
        "file_names_nothing",
        "stage_id NOSUCH (pipeline_id 0), department Nowhere",
        "goals.csv, line 2: nobody knows stage_id NOSUCH",
    ),
    (
        "Q19",
        "accounts_of_one_name",
        "eva twin",
        "Eva Twin stands under several accounts (bitrix24:broken 5, ",
    ),
    ("Q20", "closed_deal_with_open_tasks", "6", "Deal 6 is closed, but 1 of its tasks are open."),
    (
        "CODES",
        "call_result_unknown",
        "result EXPLODED",
        'Result "EXPLODED" of asterisk:broken is not known (legs: 1)',
    ),
    ("QUARANTINE", "row_in_quarantine", "abc", "field OPPORTUNITY"),
    (
        "UNREAD",
        "entity_not_read",
        "leads",
        "leads of bitrix24:broken cannot be checked: insufficient_scope",
    ),
    (
        "RULES",
        "file_names_nothing",
        "pipeline_id 77",
        "pipelines.csv, line 2: nobody knows pipeline_id 77.",
    ),
]
WEDNESDAYS = (-26, -19, -12, -5, 2)
"""Days after 2 March: the Wednesdays before 11 March, the day before as-of."""


def clean_portal(path: Path) -> PortalStore:
    """What rules ask about is there, and right: enough calls of each week, a task, a lead."""
    store = make_portal(path, clock_minutes=10 * DAY)
    store.insert(
        "deal",
        [
            deal_row(
                1, STAGE_ID="WORK", SOURCE_ID="WEB", DATE_CREATE=at(-30 * DAY), MOVED_TIME=at(60)
            ),
            deal_row(2, SOURCE_ID="WEB"),
            deal_row(3, SOURCE_ID="WEB", STAGE_ID="WON", STAGE_SEMANTIC_ID="S", MOVED_TIME=at(9)),
        ],
    )
    store.insert(
        "stage_history",
        [
            history_row(1, 1, -30 * DAY, "NEW"),
            history_row(2, 1, 60, "WORK"),
            history_row(3, 2, 0, "NEW"),
            history_row(4, 3, 0, "NEW"),
            history_row(5, 3, 9, "WON", STAGE_SEMANTIC_ID="S"),
        ],
    )
    store.insert("status", [LEAD_STAGE])
    store.insert("lead", [lead_row(1, SOURCE_ID="WEB")])
    store.insert(
        "activity",
        [planned_call(1, owner=(DEAL, 2)), planned_call(2, owner=(DEAL, 3), COMPLETED=1)],
    )
    bound = {"CRM_ENTITY_TYPE": "DEAL", "CRM_ENTITY_ID": 1}
    days = (*WEDNESDAYS, 9, -4, -3, -2, -1, 1, 3, 4, 5)
    store.insert(
        "call", [call_row(row_id, day * DAY, **bound) for row_id, day in enumerate(days, start=1)]
    )
    return store


def broken_portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=10 * DAY)
    store.insert(
        "user",
        [
            {"ID": 2, "ACTIVE": 0, "NAME": "Boris", "LAST_NAME": "Gone", "LAST_LOGIN": at(-DAY)},
            {"ID": 3, "ACTIVE": 1, "NAME": "Clara", "LAST_NAME": "One", "UF_PHONE_INNER": "101"},
            {"ID": 4, "ACTIVE": 1, "NAME": "Dina", "LAST_NAME": "Two", "UF_PHONE_INNER": "101"},
            {"ID": 5, "ACTIVE": 1, "NAME": "Eva", "LAST_NAME": "Twin"},
            {"ID": 6, "ACTIVE": 1, "NAME": "eva ", "LAST_NAME": "Twin"},
            {"ID": 7, "ACTIVE": 0, "NAME": "Nora", "LAST_NAME": "Unknown"},
        ],
    )
    store.insert(
        "status",
        [
            LEAD_STAGE,
            {"ID": 90, "ENTITY_ID": "SOURCE", "STATUS_ID": "WEB", "NAME": "Site", "SORT": 1},
        ],
    )
    store.insert(
        "deal",
        [
            deal_row(2, ASSIGNED_BY_ID=2),
            deal_row(3, STAGE_ID="WORK", MOVED_TIME=at(5)),
            deal_row(4, STAGE_ID="WORK", MOVED_TIME=at(20)),
            deal_row(5, CATEGORY_ID=9, STAGE_ID="C9:NEW"),
            deal_row(
                6, STAGE_ID="WON", STAGE_SEMANTIC_ID="S", OPPORTUNITY="0.00", MOVED_TIME=at(9)
            ),
            deal_row(7),
            deal_row(8),
            deal_row(10, CURRENCY_ID="EUR"),
            *(deal_row(number, STAGE_ID="WORK", MOVED_TIME=at(DAY)) for number in MOVED),
        ],
    )
    store.insert(
        "stage_history",
        [
            history_row(1, 2, 0, "NEW"),
            history_row(2, 3, 0, "NEW"),
            history_row(3, 4, 0, "NEW"),
            history_row(4, 4, 10, "GONE"),
            history_row(5, 4, 20, "WORK"),
            history_row(6, 5, 0, "C9:NEW", CATEGORY_ID=9),
            history_row(7, 6, 0, "NEW"),
            history_row(8, 6, 9, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(9, 7, -60, "NEW"),
            history_row(10, 8, 0, "NEW"),
            history_row(11, 8, 20 * DAY, "WORK"),
            history_row(12, 10, 0, "NEW"),
            *(history_row(200 + number, number, 0, "NEW") for number in MOVED),
            *(history_row(100 + number, number, DAY, "WORK") for number in MOVED),
        ],
    )
    store.insert(
        "call",
        [
            call_row(20, 30),
            call_row(21, 5 * DAY, PORTAL_USER_ID=2),
            call_row(22, 60, CALL_DURATION=5 * 3600, PORTAL_USER_ID=3),
            call_row(23, 61, PORTAL_USER_ID=3),
            call_row(24, 900, CALL_DURATION=-7),
            *(call_row(30 + second, 200 + second / 60, PORTAL_USER_ID=None) for second in range(2)),
            # Bound on the Wednesdays and all the week before, then neither: Q9 and Q15.
            *(
                call_row(
                    40 + number, day * DAY, CRM_ENTITY_TYPE="DEAL", CRM_ENTITY_ID=3, CALL_TYPE=2
                )
                for number, day in enumerate((*WEDNESDAYS[:-1], -4, -3, -2, -1))
            ),
            call_row(60, WEDNESDAYS[-1] * DAY),
        ],
    )
    store.insert("lead", [lead_row(1, ASSIGNED_BY_ID=2)])
    store.insert(
        "activity",
        [planned_call(1, owner=(DEAL, 4), RESPONSIBLE_ID=2), planned_call(2, owner=(DEAL, 6))],
    )
    return store


def pbx(result: str) -> Pbx:
    """An Asterisk with one call."""
    leg = {
        "row_key": "a.1/1",
        "uniqueid": "a.1",
        "calldate": "2026-03-02 18:00:00",
        "src": "+79000000009",
        "dst": "s",
        "channel": "PJSIP/trunk-1",
        "did": "74950000001",
        "duration": 9,
        "billsec": 0,
        "disposition": result,
    }
    return Pbx(NOON + dt.timedelta(days=10), {"asterisk_cdr": [leg]})


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("rules")
    settings = make_company(
        root,
        connections=("broken", "clean", BROKEN_PBX, CLEAN_PBX),
        options={BROKEN_PBX: {"crm": BROKEN}, CLEAN_PBX: {"crm": CLEAN}},
        quality={
            "required_card_fields": ["source"],
            "share_calls_min": 5,
            "usual_rows_min": 1,
            "mass_move_cards": 3,
            # One of the clean telephony's six calls is of a number that nobody has.
            "method_share_move": 0.3,
        },
        files={
            "pipelines.csv": "connection,pipeline_id,role\nbroken,77,sales\n",
            "stages.csv": "connection,pipeline_id,stage_id,role\nbroken,0,NOSUCH,key\n",
            "dismissals.csv": "connection,employee_id,dismissed_on\nbroken,99,2026-01-01\n",
            "absences.csv": (
                "connection,employee_id,from_on,until_on\nbroken,98,2026-01-01,2026-01-02\n"
            ),
            "owners.csv": (
                "connection,deal_id,employee_id,owned_from\nbroken,970,97,\nbroken,3,1,\n"
            ),
            "payments.csv": (
                "connection,deal_id,paid_on,amount,currency,payment_id\nbroken,960,2026-01-01,5,,\n"
            ),
            "goals.csv": (
                "metric,stage,connection,employee_id,department,period,starts_on,value\n"
                "stage_entries,0:NOSUCH,broken,,Nowhere,day,2026-01-01,5\n"
                "calls,,broken,3,,month,2026-03-01,5\n"
            ),
            "norms.csv": (
                "metric,stage,connection,employee_id,department,period,valid_from,value\n"
                "calls,,,,Nowhere,day,2026-01-01,5\ncalls,,broken,1,,day,2026-01-01,5\n"
            ),
            "sellers.csv": "connection,employee_id,department\nbroken,96,\nbroken,1,\n",
            # Without a dictionary of sources nobody can say that one is misspelt.
            "marketing_costs.csv": (
                "connection,source,utm_source,utm_medium,utm_campaign,from_on,until_on,amount,"
                "currency\nbroken,Nowhere,,,,2026-03-02,2026-03-03,1,\n"
                "broken,,y,,,2026-03-02,2026-03-03,1,\nclean,Nowhere,,,,2026-03-02,2026-03-03,1,\n"
            ),
            "journey_steps.csv": (
                "connection,funnel,step_number,step_name,pipeline_id,stage_id\n"
                "broken,Way,1,Deal,76,\nbroken,Way,2,Deal,0,\nbroken,Way,3,Won,0,WON\n"
            ),
        },
    )
    settings.make_folders()
    stores = {
        BROKEN: broken_portal(root / "broken.sqlite"),
        CLEAN: clean_portal(root / "clean.sqlite"),
    }
    with duckdb.connect(str(settings.warehouse)) as connection:
        write_raw(connection, stores)
        pbxs = {BROKEN_PBX: pbx("EXPLODED"), CLEAN_PBX: pbx("NO ANSWER")}
        write_raw_telephony(connection, pbxs)
        connection.execute(
            "update raw_bitrix24.load_log set rows_reported = rows_reported + 3 "
            f"where source_key = '{BROKEN}' and entity = 'deals'"
        )
        connection.execute(
            "update raw_bitrix24.load_log set rows_reported = null, "
            "problem = 'insufficient_scope' "
            f"where source_key = '{BROKEN}' and entity = 'leads'"
        )
        connection.execute(
            "insert into raw_bitrix24.quarantine values (?, 'deals', 'abc', 900, ?, '{}', ?)",
            [BROKEN, "OPPORTUNITY: 'a lot' is not a number", NOON],
        )
        # The load of the day before saw one user more.
        earlier = NOON + dt.timedelta(days=9)
        Books(connection, "raw_bitrix24", BROKEN).write_log(earlier, [EntityLoad("users", "users")])
        connection.execute(
            "update raw_bitrix24.user_versions set first_seen_at = ? where source_key = ?",
            [earlier, BROKEN],
        )
        connection.execute(
            "insert into raw_bitrix24.user_versions "
            "(source_key, id, active, name, last_name, first_seen_at, last_seen_at) "
            "values (?, 8, true, 'Vera', 'Vanished', ?, ?)",
            [BROKEN, earlier, earlier],
        )
    load_company_rules(settings)
    dbt_build(settings)
    return settings


@pytest.mark.parametrize(("rule", "finding", "record", "named"), EXPECTED)
def test_the_rule_fires_and_names_the_culprit(
    company: Settings, rule: str, finding: str, record: str, named: str
) -> None:
    with warehouse(company) as connection:
        found = connection.execute(
            "select record_id, sentence from marts.fct_data_quality_issues "
            "where rule_id = ? and finding = ? and source_key in (?, ?)",
            [rule, finding, BROKEN, BROKEN_PBX],
        ).fetchall()
    assert [s for found_record, s in found if found_record == record and named in s], found


def test_each_line_of_a_file_that_names_nothing_is_told(company: Settings) -> None:
    with warehouse(company) as connection:
        found = connection.execute(
            "select entity, sentence like '%' || record_id || '%' "
            "from marts.fct_data_quality_issues "
            "where finding = 'file_names_nothing' order by entity"
        ).fetchall()
    files = (
        "absences",
        "dismissals",
        "goals",
        "journey_steps",
        "marketing_costs",
        "norms",
        "owners",
        "payments",
        "pipelines",
        "sellers",
        "stages",
    )
    # The key is what they name: a line written above begins no new finding.
    assert found == [(f"{name}.csv", True) for name in files]


def test_a_line_says_all_that_it_names_and_nobody_has(company: Settings) -> None:
    with warehouse(company) as connection:
        found = connection.execute(
            "select source_key, sentence from marts.fct_data_quality_issues "
            "where finding = 'file_names_nothing' and entity in ('owners.csv', 'goals.csv', "
            "'norms.csv', 'journey_steps.csv', 'marketing_costs.csv') order by entity"
        ).fetchall()
    assert found == [
        (
            BROKEN,
            "goals.csv, line 2: nobody knows stage_id NOSUCH (pipeline_id 0), department Nowhere.",
        ),
        (BROKEN, "journey_steps.csv, line 2: nobody knows pipeline_id 76."),
        (BROKEN, "marketing_costs.csv, line 2: nobody knows source Nowhere."),
        ("(all)", "norms.csv, line 2: nobody knows department Nowhere."),
        (BROKEN, "owners.csv, line 2: nobody knows employee_id 97, deal_id 970."),
    ]


def test_all_rules_but_our_own_arithmetic_are_covered(company: Settings) -> None:
    with warehouse(company) as connection:
        rules = {
            rule
            for (rule,) in connection.execute(
                "select rule_id from seeds.data_quality_rules"
            ).fetchall()
        }
    assert rules - {"Q1"} == {rule for rule, *_ in EXPECTED}


def test_clean_data_raises_nothing(company: Settings) -> None:
    with warehouse(company) as connection:
        found = connection.execute(
            "select rule_id, sentence from marts.fct_data_quality_issues "
            "where source_key in (?, ?)",
            [CLEAN, CLEAN_PBX],
        ).fetchall()
    assert found == []


def test_a_history_row_of_the_future_is_named_and_left_out(company: Settings) -> None:
    with warehouse(company) as connection:
        named = connection.execute(
            "select sentence from marts.fct_data_quality_issues "
            "where rule_id = 'Q12' and entity = 'stage_history'"
        ).fetchall()
        visits = connection.execute(
            "select count(*) from marts.fct_stage_visits as visits inner join marts.fct_deals "
            "as deals using (deal_key) where deals.deal_id = 8"
        ).fetchone()
    assert len(named) == 1
    assert "History row 11 of deal 8" in named[0][0]
    assert visits == (1,)


def test_overlapping_calls_of_one_person_are_named(company: Settings) -> None:
    with warehouse(company) as connection:
        named = connection.execute(
            "select record_id, culprit_name from marts.fct_data_quality_issues "
            "where rule_id = 'Q8' and entity = 'call'"
        ).fetchall()
    assert named == [("23", "Clara One")]


def test_blocking_findings_close_the_gate_in_words(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        verdict = judge(connection)
        assert not verdict.is_open
        assert (
            "source_raw_and_marts_hold_the_same_rows: deals of bitrix24:broken" in verdict.reasons
        )
        assert 'no_pipeline_with_deals_is_missing: Pipeline "Pipeline 9" has 1' in verdict.reasons
        with pytest.raises(GateClosed, match="the last publication stays"):
            require_open(connection)


def test_offenders_are_capped_and_fully_counted(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        found = {outcome.check_name: outcome for outcome in outcomes(connection)}
    quarantine = found["every_received_row_could_be_read"]
    assert (quarantine.has_passed, quarantine.offenders_count) == (False, 1)
    assert quarantine.offenders[0]["record"] == "abc"


def test_an_interrupted_build_is_neither_judged_nor_published(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        connection.execute(
            "insert into raw_derived.builds select max(build_number) + 1, 'x', 'build', null "
            "from raw_derived.builds"
        )
        with pytest.raises(NotBuilt, match="has not finished"):
            judge(connection)
        connection.execute("delete from raw_derived.builds where invocation_id = 'x'")


@pytest.mark.parametrize(
    "selection",
    [
        ("--select", "dim_dates"),
        # Fewer are left out than there are saved queries, which dbt lists beside what it builds.
        ("--exclude", "metric_calls__by_hour"),
    ],
    ids=["one model", "all but one"],
)
def test_a_partial_build_inherits_the_failures_of_the_build_before(
    company: Settings, selection: tuple[str, str]
) -> None:
    with warehouse(company, read_only=False) as connection:
        before = build_number(connection)
        connection.execute(
            "update raw_derived.builds set failures_count = 2 where build_number = ?", [before]
        )
    dbt_build(company, *selection)
    with warehouse(company, read_only=False) as connection:
        builds = connection.execute(
            "select build_number - ?, failures_count from raw_derived.builds "
            "where build_number >= ? order by 1",
            [before, before],
        ).fetchall()
        assert builds == [(0, 2), (1, 2)]
        assert "every_error_severity_dbt_test_passed" in judge(connection).reasons
        connection.execute("delete from raw_derived.builds where build_number > ?", [before])
        for table in ("check_outcomes", "gate_verdicts"):
            connection.execute(f"delete from raw_derived.{table} where build_number > ?", [before])
        connection.execute("update raw_derived.builds set failures_count = 0")


def test_a_build_the_gate_has_not_seen_is_not_published(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        judge(connection)
        connection.execute(
            "insert into raw_derived.builds select max(build_number) + 1, 'x', 'build', 0 "
            "from raw_derived.builds"
        )
        with pytest.raises(GateClosed, match="has not passed the gate yet"):
            require_open(connection)
        connection.execute("delete from raw_derived.builds where invocation_id = 'x'")


def test_q1_fires_when_the_fold_to_former_employees_fails(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        connection.execute(
            "update marts.fct_calls set reporting_employee_key = talker_employee_key "
            "where call_id = 21"
        )
    dbt_build(
        company,
        "--select",
        "int_findings_on_former_employees",
        "int_quality_findings",
        "fct_data_quality_issues",
        "--exclude",
        "test_type:data",
    )
    with warehouse(company) as connection:
        found = connection.execute(
            "select record_id, culprit_name from marts.fct_data_quality_issues where rule_id = 'Q1'"
        ).fetchall()
    assert found == [("21", "Boris Gone")]
    with warehouse(company, read_only=False) as connection:
        assert "no_report_names_a_dismissed_employee" in judge(connection).reasons


def test_a_negative_length_is_named_and_counted_as_nothing(company: Settings) -> None:
    with warehouse(company) as connection:
        named = connection.execute(
            "select sentence from marts.fct_data_quality_issues "
            "where rule_id = 'Q16' and record_id = '24'"
        ).fetchall()
        talk = connection.execute(
            "select talk_seconds from marts.fct_calls where call_id = 24"
        ).fetchone()
    assert named == [("Call 24 lasts -7 seconds: counted as 0.",)]
    assert talk == (0,)


def test_instants_are_utc(company: Settings) -> None:
    with warehouse(company) as connection:
        row = connection.execute(
            "select started_at from marts.fct_calls where call_id = 20"
        ).fetchone()
    assert row == ((NOON + dt.timedelta(minutes=30)).replace(tzinfo=None),)


def register(company: Settings) -> dict[str, tuple[Any, ...]]:
    """State and times of the finding about won deal 6 (Q10)."""
    dbt_build(company, "--select", "fct_data_quality_issues", "--exclude", "test_type:data")
    with warehouse(company) as connection:
        row = connection.execute(
            "select issue_state, first_seen_at, last_seen_at, closed_at, reopened_at "
            "from marts.fct_data_quality_issues where rule_id = 'Q10'"
        ).fetchone()
    assert row is not None
    return dict(zip(("state", "first", "last", "closed", "reopened"), row, strict=True))


def next_day(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "update intermediate.int_connections set report_as_of_at = report_as_of_at + interval 1 day"
    )


def test_a_finding_is_open_then_closed_then_reopened(company: Settings) -> None:
    first = NOON.replace(tzinfo=None) + dt.timedelta(days=10)
    days = [first + dt.timedelta(days=number) for number in range(5)]
    told = register(company)
    assert tuple(told.values()) == ("open", days[0], days[0], None, None)
    with warehouse(company, read_only=False) as connection:
        next_day(connection)
    assert tuple(register(company).values()) == ("open", days[0], days[1], None, None)
    with warehouse(company, read_only=False) as connection:
        next_day(connection)
        connection.execute(
            "create table kept_finding as "
            "select * from intermediate.int_quality_findings where rule_id = 'Q10'"
        )
        connection.execute("delete from intermediate.int_quality_findings where rule_id = 'Q10'")
    assert tuple(register(company).values()) == ("closed", days[0], days[1], days[2], None)
    with warehouse(company, read_only=False) as connection:
        next_day(connection)
    assert tuple(register(company).values()) == ("closed", days[0], days[1], days[2], None)
    with warehouse(company, read_only=False) as connection:
        assert {o.check_name: o for o in outcomes(connection)}[
            "every_won_deal_has_an_amount"
        ].has_passed
        connection.execute(
            "insert into intermediate.int_quality_findings select * from kept_finding"
        )
    reopened = ("reopened", days[0], days[3], None, days[3])
    assert tuple(register(company).values()) == reopened
    # Built again: nothing is kept twice.
    assert tuple(register(company).values()) == reopened
    with warehouse(company, read_only=False) as connection:
        events = connection.execute(
            "select event from raw_derived.finding_events "
            "where rule_id = 'Q10' or event = 'gone' order by event_number"
        ).fetchall()
        connection.execute("drop table kept_finding")
    assert events == [("found",), ("gone",), ("found",)]


def test_an_accepted_finding_stops_nothing_until_its_day(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        today = connection.execute(
            "select max(report_as_of_on) from intermediate.int_connections"
        ).fetchone()
        assert today is not None
        connection.executemany(
            "insert into raw_company.accepted_findings "
            "(rule, source_key, entity, record, until_on, who, why, line, _dlt_load_id) "
            "values (?, ?, ?, ?, ?, 'Anna Head', ?, ?, 'by hand')",
            [
                ("Q4", BROKEN, None, "9", today[0], "is being rebuilt", 2),
                ("Q10", BROKEN, None, "6", today[0] - dt.timedelta(days=1), "gift", 3),
                ("Q5", BROKEN, None, "deals", today[0], "known to the integrator", 4),
                ("Q2", BROKEN, "lead", "1", today[0], "goes to a new colleague", 5),
            ],
        )
        # Rows of a second list are lost.
        connection.execute(
            "insert into intermediate.int_quality_findings "
            "select * replace (issue_key + 1 as issue_key, 'calls' as entity, "
            "'calls' as record_id) from intermediate.int_quality_findings where rule_id = 'Q5'"
        )
    register(company)
    with warehouse(company, read_only=False) as connection:
        found = {outcome.check_name: outcome for outcome in outcomes(connection)}
        pipelines = found["no_pipeline_with_deals_is_missing"]
        assert (pipelines.offenders_count, pipelines.accepted_count) == (1, 1)
        assert [o["record"] for o in pipelines.offenders] == ["8"]
        rows = found["source_raw_and_marts_hold_the_same_rows"]
        assert [o["record"] for o in rows.offenders] == ["calls"]
        assert (rows.accepted_count, rows.has_passed, rows.is_blocking) == (1, False, True)
        # Deal, lead and task of the same person; of one number are lead and task.
        cards = found["no_open_card_belongs_to_a_dismissed_employee"]
        assert (cards.offenders_count, cards.accepted_count) == (2, 1)
        amounts = found["every_won_deal_has_an_amount"]
        assert (amounts.offenders_count, amounts.accepted_count) == (1, 0)
        assert accepted_findings(connection) == [
            {
                "rule": rule,
                "connection": BROKEN,
                "entity": entity,
                "record": record,
                "until_on": today[0].isoformat(),
                "who": "Anna Head",
                "why": why,
            }
            for rule, entity, record, why in (
                ("Q2", "lead", "1", "goes to a new colleague"),
                ("Q4", "pipeline", "9", "is being rebuilt"),
                ("Q5", "deals", "deals", "known to the integrator"),
            )
        ]
        connection.execute(
            "delete from intermediate.int_quality_findings "
            "where rule_id = 'Q5' and entity = 'calls'"
        )


@pytest.mark.parametrize("language", ["ru", "uk"])
def test_the_register_speaks_the_language_of_the_company(company: Settings, language: str) -> None:
    with warehouse(company, read_only=False) as connection:
        connection.execute("update raw_company.rules set language = ?", [language])
    register(company)
    with warehouse(company) as connection:
        told = connection.execute(
            "select sentence, remedy from marts.fct_data_quality_issues where rule_id = 'Q10'"
        ).fetchone()
        unfilled = connection.execute(
            "select distinct finding, sentence from marts.fct_data_quality_issues "
            "where sentence is null or sentence like '%{%'"
        ).fetchall()
    assert (
        told
        == {
            "ru": ("У выигранной сделки 6 нет суммы.", "Заполните сумму в CRM"),
            "uk": ("У виграної угоди 6 немає суми.", "Заповніть суму в CRM"),
        }[language]
    )
    assert unfilled == []
