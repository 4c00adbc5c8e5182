"""Every sentence of a finding is said of the fault that it tells, with the card it is about."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.expectations.test_rules_fire import EXPECTED
from tests.support.companies import (
    WITHOUT_TESTS,
    asked,
    dbt_build,
    load_company_rules,
    make_company,
    warehouse,
)
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

GAPS, STALE, TABLE = "bitrix24:gaps", "bitrix24:stale", "generic:table"
DAY = 24 * 60
LEAD, DEAL = 1, 2
REQUIRED = ("owner", "client", "source", "grade", "product")

PLANTED = [
    # finding, record, what the sentence must say
    ("deal_without_owner", "1", "Deal 1 has no owner."),
    ("deal_without_client", "1", "Deal 1 has no client."),
    ("deal_without_source", "1", "Deal 1 has no source."),
    ("deal_without_grade", "1", "Deal 1 has no client grade."),
    ("deal_without_product", "1", "Deal 1 has no product."),
    ("lead_without_owner", "1", "Lead 1 has no owner."),
    ("lead_without_client", "1", "Lead 1 has no client."),
    ("lead_without_source", "1", "Lead 1 has no source."),
    ("lead_without_grade", "1", "Lead 1 has no client grade."),
    ("lead_without_product", "1", "Lead 1 has no product."),
    ("lead_stage_before_creation", "1", "Lead 1 has a stage entry before its creation"),
    ("closed_lead_with_open_tasks", "2", "Lead 2 is closed, but 1 of its tasks are open."),
    ("pipeline_gone", "9", 'Pipeline "Pipeline 9" is no longer in the list'),
    (
        "actions_of_a_former_employee",
        "2",
        "Actions in the CRM under the account of Boris Gone, who has left (2026-03-02): 1, the "
        "last on 2026-03-07.",
    ),
    ("details_pending", "product_rows", "product_rows of bitrix24:gaps: 3 cards, tasks or calls"),
    ("connection_stale", STALE, "bitrix24:stale ends at 2026-03-07 12:00 UTC, 120 hours before"),
    ("currency_without_rate", "EUR", "EUR has no rate for 1 of the payments"),
    ("seller_without_goal", "3", "Seller Clara Own has no goal on 2026-03-07, others have."),
    ("seller_without_norm", "3", "Seller Clara Own has no norm on 2026-03-07, others have."),
    ("call_direction_unknown", "direction (none)", "Calls of generic:table have no direction"),
    ("call_told_twice", "21", "Call 21 (2026-03-02 15:20:01 UTC) repeats call 20"),
    ("call_too_long", "10", "Call 10 lasts 5.0 hours."),
    ("overlapping_call", "12", "Call 12 of Clara Own began while another call of theirs"),
    ("call_of_negative_length", "13", "Call 13 lasts -7 seconds: counted as 0."),
    ("history_of_the_future", "30", "History row 30 of deal 2 lay in the future"),
]
USERS = (
    ", whose users the access may not list: give it an administrator's rights, or write who has "
    "left into dismissals.csv."
)
UNCHECKED = [
    # rule, finding, what the sentence must say after the connection
    ("Q1", "users_not_listed", USERS),
    ("Q2", "users_not_listed", USERS),
    ("Q3", "users_not_listed", USERS),
    (
        "Q4",
        "missing_users_not_told",
        ": whether users are missing, whom the access may not list.",
    ),
    (
        "Q5",
        "lists_not_compared",
        ": how many rows it has of activity_bindings, product_rows, task_history, "
        "timeline_comments, users.",
    ),
]
BY_HAND = {"names_a_dismissed_employee", "cards_without_a_place"}
"""Defects of ours: planted into finished tables below."""
NAMED = [
    # fact, entity of the finding, whom it names, a card that it must lead to
    ("fct_calls", "call", "reporting_employee_key", "deal/details/2"),
    ("fct_stage_visits", "stage_visit", "reporting_employee_key", "lead/details/2"),
    ("fct_deals", "deal_created", "reporting_employee_key", "deal/details/1"),
    ("fct_deals", "deal_closed", "close_reporting_employee_key", "deal/details/5"),
    ("fct_deals", "deal_now", "current_reporting_employee_key", "deal/details/2"),
    ("fct_deal_closes", "deal_close", "reporting_employee_key", "deal/details/5"),
    ("fct_leads", "lead_created", "reporting_employee_key", "lead/details/1"),
    ("fct_leads", "lead_now", "current_reporting_employee_key", "lead/details/1"),
    ("fct_tasks", "task_created", "reporting_employee_key", "lead/details/2"),
    ("fct_tasks", "task_now", "current_reporting_employee_key", "lead/details/2"),
    ("fct_crm_actions", "crm_action", "reporting_employee_key", "deal/details/2"),
    ("fct_touches", "touch", "reporting_employee_key", "deal/details/2"),
]
"""All that Q1 asks."""
IN_OTHER_MODULES = {
    "shared_extension_count": "tests/models/test_missed_calls.py",
    "shared_extension_hold_back": "tests/models/test_missed_calls.py",
    "shared_extension_spread": "tests/models/test_missed_calls.py",
}


def gaps_portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=10 * DAY)
    store.insert(
        "user",
        [
            {"ID": 2, "ACTIVE": 0, "NAME": "Boris", "LAST_NAME": "Gone", "LAST_LOGIN": at(-DAY)},
            {"ID": 3, "ACTIVE": 1, "NAME": "Clara", "LAST_NAME": "Own"},
        ],
    )
    store.insert(
        "status",
        [
            LEAD_STAGE,
            {**LEAD_STAGE, "ID": 81, "STATUS_ID": "JUNK", "NAME": "Junk", "SEMANTICS": "F"},
            {"ID": 90, "ENTITY_ID": "SOURCE", "STATUS_ID": "WEB", "NAME": "Site", "SORT": 1},
        ],
    )
    store.insert("contact", [{"ID": 5, "NAME": "Client", "DATE_CREATE": at(0)}])
    whole = {
        "CONTACT_ID": 5,
        "SOURCE_ID": "WEB",
        "CUSTOM": {"UF_CRM_GRADE": "A", "UF_CRM_PRODUCT": "Roof"},
    }
    won = deal_row(5, **whole, STAGE_ID="WON", STAGE_SEMANTIC_ID="S", MOVED_TIME=at(9))
    store.insert(
        "deal", [deal_row(1, ASSIGNED_BY_ID=None), deal_row(2, **whole), deal_row(4, **whole), won]
    )
    store.insert(
        "stage_history",
        [
            history_row(1, 1, 0, "NEW"),
            history_row(2, 2, 0, "NEW"),
            history_row(30, 2, 20 * DAY, "WORK"),
            history_row(4, 4, 0, "C9:NEW", CATEGORY_ID=9),
            history_row(5, 4, 10, "NEW"),
            history_row(6, 5, 0, "NEW"),
            history_row(7, 5, 9, "WON", STAGE_SEMANTIC_ID="S"),
        ],
    )
    store.insert(
        "lead",
        [
            lead_row(1, ASSIGNED_BY_ID=None),
            lead_row(2, **whole, STATUS_ID="JUNK", STATUS_SEMANTIC_ID="F", DATE_CLOSED=at(60)),
            lead_row(3, **whole),
        ],
    )
    moves = ((1, 1, -60, "NEW", "P"), (2, 2, 0, "NEW", "P"), (3, 2, 60, "JUNK", "F"))
    store.insert(
        "lead_stage_history",
        [
            {
                "ID": row_id,
                "TYPE_ID": 1,
                "OWNER_ID": lead_id,
                "CREATED_TIME": at(minutes),
                "STATUS_ID": stage,
                "STATUS_SEMANTIC_ID": semantics,
            }
            for row_id, lead_id, minutes, stage, semantics in moves
        ],
    )
    store.insert("activity", [planned_call(1, owner=(LEAD, 2)), planned_call(2, owner=(DEAL, 2))])
    store.insert(
        "timeline_comment",
        [
            {
                "ID": 1,
                "ENTITY_TYPE": "deal",
                "ENTITY_ID": 2,
                "AUTHOR_ID": 2,
                "CREATED": at(5 * DAY),
                "COMMENT": "From afar",
            }
        ],
    )
    bound = {"CRM_ENTITY_TYPE": "DEAL", "CRM_ENTITY_ID": 2, "PORTAL_USER_ID": 3}
    store.insert(
        "call",
        [
            call_row(10, 900, CALL_DURATION=5 * 3600, **bound),
            call_row(11, 60, CALL_DURATION=600, **bound),
            call_row(12, 65, PHONE_NUMBER="+79000000002", **bound),
            call_row(13, 400, CALL_DURATION=-7, **bound),
            call_row(20, 200, **bound),
            call_row(21, 200 + 1 / 60, **bound),
        ],
    )
    return store


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("findings")
    settings = make_company(
        root,
        connections=("gaps", "stale", TABLE),
        options={
            TABLE: {
                "crm": GAPS,
                "file": "calls.csv",
                "columns": {"call_id": "id", "started_at": "started_at"},
                "results": {"answered": "answered"},
            }
        },
        quality={"required_card_fields": list(REQUIRED)},
        files={
            "payments.csv": (
                "connection,deal_id,paid_on,amount,currency,payment_id\ngaps,2,2026-03-03,5,EUR,\n"
            ),
            "goals.csv": (
                "metric,stage,connection,employee_id,department,period,starts_on,value\n"
                "calls,,gaps,1,,month,2026-03-01,5\n"
            ),
            "norms.csv": (
                "metric,stage,connection,employee_id,department,period,valid_from,value\n"
                "calls,,gaps,1,,day,2026-01-01,5\n"
            ),
            "sellers.csv": "connection,employee_id,department\ngaps,1,\ngaps,3,\n",
        },
    )
    settings.make_folders()
    stores = {
        GAPS: gaps_portal(root / "gaps.sqlite"),
        STALE: make_portal(root / "stale.sqlite", clock_minutes=5 * DAY),
    }
    call = {
        "id": "g1",
        "started_at": "2026-03-03T03:10:00Z",
        "direction": "?",
        "result": "answered",
    }
    with duckdb.connect(str(settings.warehouse)) as connection:
        write_raw(connection, stores)
        pbx = Pbx(NOON + dt.timedelta(days=10), {"generic_calls": [call]})
        write_raw_telephony(connection, {TABLE: pbx})
        for change in (
            f"owners_pending = 3 where source_key = '{GAPS}' and entity = 'product_rows'",
            f"problem = 'insufficient_scope' where source_key = '{STALE}' and entity = 'users'",
        ):
            connection.execute(f"update raw_bitrix24.load_log set {change}")
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


@pytest.mark.parametrize(("finding", "record", "named"), PLANTED)
def test_the_fault_is_told(company: Settings, finding: str, record: str, named: str) -> None:
    found = asked(
        company,
        "select record_id, sentence from marts.fct_data_quality_issues where finding = ?",
        finding,
    )
    assert [one for one in found if one[0] == record and named in one[1]], found


def test_nothing_else_is_told(company: Settings) -> None:
    """Whole cards lack nothing, and one fault is one finding."""
    found = asked(company, "select finding, record_id from marts.fct_data_quality_issues")
    planted = {(finding, record) for finding, record, _ in PLANTED}
    planted |= {
        # What follows from them: a pipeline that is gone takes its stages along, a call told twice
        # overlaps itself, users who may not be listed are a list that is not read, and both
        # portals have an Anna.
        ("stage_without_entry", "9/C9:NEW"),
        ("overlapping_call", "21"),
        ("entity_not_read", "users"),
        ("accounts_of_one_name", "anna test"),
    }
    assert set(found) == planted


@pytest.mark.parametrize(
    ("finding", "card"),
    [
        ("call_told_twice", "deal/details/2"),
        ("call_too_long", "deal/details/2"),
        ("overlapping_call", "deal/details/2"),
        ("call_of_negative_length", "deal/details/2"),
        ("history_of_the_future", "deal/details/2"),
        ("deal_without_owner", "deal/details/1"),
        ("lead_without_owner", "lead/details/1"),
        ("lead_stage_before_creation", "lead/details/1"),
        ("closed_lead_with_open_tasks", "lead/details/2"),
    ],
)
def test_a_finding_leads_to_its_card(company: Settings, finding: str, card: str) -> None:
    found = asked(
        company, "select card_url from marts.fct_data_quality_issues where finding = ?", finding
    )
    assert {url for (url,) in found} == {f"https://test.bitrix24.example/crm/{card}/"}


def test_who_no_one_is_has_no_name(company: Settings) -> None:
    """No culprit is made up for a card that nobody owns."""
    (found,) = asked(
        company,
        "select culprit_name from marts.fct_data_quality_issues "
        "where finding = 'deal_without_owner'",
    )
    assert found == ("(not set)",)


def test_what_cannot_be_checked_is_told(company: Settings) -> None:
    found = asked(
        company,
        "select rule_id, source_key, sentence from intermediate.int_unchecked_rules "
        "where source_key = ?",
        STALE,
    )
    assert sorted(found) == sorted(
        (rule, STALE, f"Cannot be checked for {STALE}{named}") for rule, _, named in UNCHECKED
    )


def test_every_sentence_has_its_fault(company: Settings) -> None:
    """A new one without a fault that makes it said fails here."""
    written = {name for (name,) in asked(company, "select finding from seeds.finding_sentences")}
    planted = {finding for finding, _, _ in PLANTED} | {finding for _, finding, _, _ in EXPECTED}
    planted |= {finding for _, finding, _ in UNCHECKED} | BY_HAND | IN_OTHER_MODULES.keys()
    assert written == planted


@pytest.fixture(scope="module")
def spoilt(company: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The company with defects that only we can make: places lost, and all that is Boris's."""
    spoilt = company.model_copy(update={"data_root": tmp_path_factory.mktemp("spoilt")})
    shutil.copytree(company.data_dir, spoilt.data_dir)
    with warehouse(spoilt, read_only=False) as connection:
        (boris,) = connection.execute(
            "select employee_key from marts.dim_employees where employee_id = 2"
        ).fetchall()
        for fact, key in {(fact, key) for fact, _, key, _ in NAMED}:
            connection.execute(f"update marts.{fact} set {key} = ?", boris)
        connection.execute("delete from marts.dim_pipelines; delete from marts.dim_stages")
    dbt_build(
        spoilt,
        "--select",
        "int_findings_on_former_employees",
        "int_findings_on_dictionaries",
        "int_quality_findings",
        "fct_data_quality_issues",
        "--exclude",
        "test_type:data",
    )
    return spoilt


@pytest.mark.parametrize("cards", ["deals", "leads"])
@pytest.mark.parametrize("place", ["pipeline", "stage"])
def test_cards_that_no_table_places_are_counted(spoilt: Settings, cards: str, place: str) -> None:
    """Q4 blocks: they would fall out of every report that joins the table."""
    found = asked(
        spoilt,
        "select record_id, sentence from marts.fct_data_quality_issues "
        "where finding = 'cards_without_a_place' and closed_at is null and entity = ?",
        f"{place} of {cards}",
    )
    expected = asked(
        spoilt, f"select {place}_key, count(*) from marts.fct_{cards} group by {place}_key"
    )
    assert sorted(found) == sorted(
        (
            str(key),
            f"{count} cards stand in a pipeline or on a stage that no table describes (key {key}).",
        )
        for key, count in expected
    )


@pytest.mark.parametrize(("fact", "entity", "key", "card"), NAMED)
def test_a_report_that_names_who_has_left_leads_to_the_card(
    spoilt: Settings, fact: str, entity: str, key: str, card: str
) -> None:
    """Q1: Boris left on 2 March, and is made to stand for all that came after."""
    found = asked(
        spoilt,
        "select culprit_name, card_url from marts.fct_data_quality_issues "
        "where rule_id = 'Q1' and closed_at is null and entity = ?",
        entity,
    )
    assert {name for name, _ in found} == {"Boris Gone"}
    # A call or a touch may have no card.
    assert any(url.endswith(f"/crm/{card}/") for _, url in found if url), (fact, key, found)
