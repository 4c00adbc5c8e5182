"""One person over several accounts: a portal and an account of one company, joined by its file.

Minutes count from NOON, 2 March 2026. The portal is read on 12 March, the account on the 10th.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.amocrm.store import AmoStore
from sources.demo.store import PortalStore
from tests.support.amo_accounts import lead_row, make_account, note_row
from tests.support.companies import (
    WITHOUT_TESTS,
    dbt_build,
    load_company_rules,
    make_company,
    warehouse,
)
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import Pbx, write_raw_telephony

MAIN, SHOP, OFFICE = "bitrix24:main", "amocrm:shop", "asterisk:office"
DAY = 24 * 60
FORMER = "Former employees (to reassign)"

ANNA, ANNA_TOO, BORIS, CLARA, DINA, EGOR, FRED, GALA = 11, 12, 21, 31, 41, 51, 61, 71
HUGO, IDA = 81, 91
"""Ids in the portal; those of the account are the same, though its names are not."""

FILES = {
    # The portal has no user 39: Clara's first account is the shop's.
    "employees.csv": """connection,employee_id,employee_name,department,person
main,11,Anna,,Anna
shop,11,Anna,,Anna
main,12,Anna,,Anna
main,21,Boris,,Boris
shop,21,Boris,,Boris
main,39,Clara,,Clara
shop,31,Clara,,Clara
main,31,Clara,,Clara
main,41,Dina,,Dina
shop,41,Dina,,Dina
main,51,Egor,,
shop,51,Egor,,
main,61,Fred,,Fred
main,71,Gala,,Gala
shop,71,Gala,,Gala
""",
    # Boris has left the portal alone. Dina has left both, the shop last. Gala has left both on a
    # day that only the portal's as-of has reached.
    "dismissals.csv": """connection,employee_id,dismissed_on
main,21,2026-03-05
main,41,2026-03-04
shop,41,2026-03-07
main,71,2026-03-11
shop,71,2026-03-11
""",
}


def march(day: int) -> int:
    """Minutes of noon UTC of a day of March."""
    return (day - 2) * DAY


def portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=march(12))
    store.insert(
        "user",
        [
            {
                "ID": number,
                "ACTIVE": 1,
                "NAME": name,
                "USER_TYPE": "employee",
                "UF_PHONE_INNER": extension,
            }
            for number, name, extension in (
                (ANNA, "Anna", "101"),
                (ANNA_TOO, "Anna too", "101"),
                (BORIS, "Boris", None),
                (CLARA, "Clara", None),
                (DINA, "Dina", None),
                (EGOR, "Egor", None),
                (FRED, "Fred", None),
                (GALA, "Gala", None),
                (HUGO, "Hugo", "102"),
                (IDA, "Ida", "102"),
            )
        ],
    )
    store.insert(
        "call",
        [
            call_row(number, march(day) + number, PORTAL_USER_ID=user)
            for number, user, day in (
                (1, ANNA, 3),
                (2, ANNA_TOO, 3),
                (3, BORIS, 4),
                (4, BORIS, 6),
                (5, CLARA, 3),
                (6, DINA, 6),
                (7, DINA, 8),
                (8, EGOR, 3),
                (9, GALA, 9),
                (10, HUGO, 3),
                (11, IDA, 3),
            )
        ],
    )
    won = {"STAGE_ID": "WON", "STAGE_SEMANTIC_ID": "S", "MOVED_BY_ID": DINA}
    store.insert(
        "deal",
        [
            deal_row(1, ASSIGNED_BY_ID=ANNA),
            deal_row(2, ASSIGNED_BY_ID=ANNA_TOO),
            deal_row(3, ASSIGNED_BY_ID=BORIS, DATE_CREATE=at(march(6))),
            deal_row(4, ASSIGNED_BY_ID=DINA, DATE_CREATE=at(march(6))),
            deal_row(5, ASSIGNED_BY_ID=GALA),
            deal_row(6, **won, ASSIGNED_BY_ID=ANNA, MOVED_TIME=at(march(6))),
            deal_row(7, **won, ASSIGNED_BY_ID=ANNA, MOVED_TIME=at(march(8))),
        ],
    )
    created = {3: march(6), 4: march(6)}
    store.insert(
        "stage_history",
        [history_row(n, n, created.get(n, 0), "NEW") for n in range(1, 8)]
        + [
            history_row(100 + n, n, march(day), "WON", STAGE_SEMANTIC_ID="S")
            for n, day in ((6, 6), (7, 8))
        ],
    )
    return store


def account(path: Path) -> AmoStore:
    store = make_account(path)
    store.clock = NOON + dt.timedelta(days=8)
    store.insert(
        "user",
        [
            {"id": number, "name": f"{name} of the shop", "is_active": 1, "group_id": 7}
            for number, name in (
                (ANNA, "Anna"),
                (BORIS, "Boris"),
                (CLARA, "Clara"),
                (DINA, "Dina"),
                (EGOR, "Egor"),
                (GALA, "Gala"),
            )
        ],
    )
    store.insert(
        "lead",
        [
            lead_row(51, responsible_user_id=ANNA),
            lead_row(52, responsible_user_id=BORIS),
            lead_row(53, responsible_user_id=DINA, created_at=at(march(8))),
            lead_row(54, responsible_user_id=GALA),
        ],
    )
    store.insert(
        "note",
        [
            note_row(
                number,
                "leads",
                51,
                note_type="call_out",
                params={"duration": 60, "call_status": 4, "phone": "+79000000002"},
                created_by=user,
                responsible_user_id=user,
                created_at=at(march(day) + number),
            )
            for number, user, day in (
                (101, ANNA, 4),
                (102, BORIS, 6),
                (103, CLARA, 3),
                (104, DINA, 6),
                (105, DINA, 7),
                (106, EGOR, 3),
            )
        ],
    )
    return store


LEG = {
    "row_key": "a.1/1",
    "uniqueid": "a.1",
    "calldate": "2026-03-03 18:00:00",
    "src": "+79000000003",
    "dst": "101",
    "channel": "PJSIP/trunk-1",
    "dstchannel": "PJSIP/101-2",
    "duration": 70,
    "billsec": 60,
    "disposition": "ANSWERED",
}
"""A client rings the extension of both of Anna's accounts in the portal."""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("persons")
    connections = ("main", SHOP, OFFICE)
    settings = make_company(
        root, connections=connections, files=FILES, options={OFFICE: {"crm": MAIN}}
    )
    settings.make_folders()
    with (
        portal(root / "portal.sqlite") as store,
        account(root / "account.sqlite") as shop,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        write_raw(connection, {MAIN: store})
        write_raw_amocrm(connection, {SHOP: shop})
        cut = NOON + dt.timedelta(days=10)
        write_raw_telephony(connection, {OFFICE: Pbx(cut, {"asterisk_cdr": [LEG]})})
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


def counts(settings: Settings, fact: str, key: str, condition: str = "true") -> dict[str, int]:
    """Rows of a fact by the name behind a reporting key, and proof that a name is one key."""
    found = rows(
        settings,
        f"select employee_name, count(*) from marts.{fact} as facts inner join "
        f"marts.dim_employees as employees on facts.{key} = employees.employee_key "
        f"where {condition} group by facts.{key}, employee_name",
    )
    counted = dict(found)
    assert len(counted) == len(found)
    return counted


def key_of(settings: Settings, source_key: str, employee_id: int, column: str) -> Any:
    ((found,),) = rows(
        settings,
        f"select {column} from marts.dim_employees where source_key = '{source_key}' "
        f"and employee_id = {employee_id}",
    )
    return found


CALLS = {
    "Anna": 4,
    "Boris": 3,
    "Clara of the shop": 2,
    "Dina": 2,
    FORMER: 2,
    "Egor": 1,
    "Egor of the shop": 1,
    "Gala": 1,
    "Hugo": 1,
    "Ida": 1,
}
"""Anna: calls 1, 2 and 101, and the telephony's. Boris: 3, 4 (his account in the portal was closed
by then) and 102. Clara: 5, 103. Dina: 6 and 104, before 7 March; then 7, 105 are former employees'.
"""


@pytest.mark.parametrize(
    ("source_key", "employee", "stands_for"),
    [
        (MAIN, ANNA, (MAIN, ANNA)),
        (MAIN, ANNA_TOO, (MAIN, ANNA)),
        (SHOP, ANNA, (MAIN, ANNA)),
        (MAIN, CLARA, (SHOP, CLARA)),
        (SHOP, CLARA, (SHOP, CLARA)),
        (MAIN, EGOR, (MAIN, EGOR)),
        (SHOP, EGOR, (SHOP, EGOR)),
        (MAIN, FRED, (MAIN, FRED)),
        (MAIN, HUGO, (MAIN, HUGO)),
    ],
    ids=[
        "the first line",
        "another account of the same system",
        "an account of the other system",
        "the first line's account does not exist",
        "the second line stands for the person then",
        "of one name, without a word of the file: alone",
        "and so is the other",
        "a person with one line",
        "an account that the file does not name",
    ],
)
def test_the_first_account_of_the_file_that_exists_stands_for_the_person(
    company: Settings, source_key: str, employee: int, stands_for: tuple[str, int]
) -> None:
    person = key_of(company, source_key, employee, "person_key")
    assert person == key_of(company, *stands_for, "employee_key")


def test_rows_for_no_person_stand_for_themselves(company: Settings) -> None:
    found = rows(
        company,
        "select employee_key, person_key, current_reporting_key from marts.dim_employees "
        "where source_key = '(all)' order by employee_key",
    )
    assert found == [(-3, -3, -3), (-2, -2, -2), (-1, -1, -1)]


@pytest.mark.parametrize(
    ("person", "accounts", "former_from", "is_former_now"),
    [
        (BORIS, (MAIN, SHOP), dt.date(9999, 12, 31), False),
        (DINA, (MAIN, SHOP), dt.date(2026, 3, 7), True),
        (GALA, (MAIN, SHOP), dt.date(2026, 3, 11), True),
        (FRED, (MAIN,), dt.date(9999, 12, 31), False),
    ],
    ids=[
        "one of two accounts is closed",
        "both are closed on different days",
        "one word on a person, though only one connection has come so far",
        "a person with one account",
    ],
)
def test_a_person_is_former_from_the_day_of_the_last_account(
    company: Settings,
    person: int,
    accounts: tuple[str, ...],
    former_from: dt.date,
    is_former_now: bool,
) -> None:
    for source_key in accounts:
        assert key_of(company, source_key, person, "former_from_on") == former_from
        now = key_of(company, source_key, person, "current_reporting_key")
        assert now == (-1 if is_former_now else key_of(company, MAIN, person, "employee_key"))


def test_days_of_single_accounts_stay_known(company: Settings) -> None:
    assert [key_of(company, source, DINA, "dismissed_on") for source in (MAIN, SHOP)] == [
        dt.date(2026, 3, 4),
        dt.date(2026, 3, 7),
    ]


def test_calls_of_all_accounts_stand_under_one_row(company: Settings) -> None:
    assert counts(company, "fct_calls", "reporting_employee_key") == CALLS
    talkers = rows(
        company,
        "select segment_value, sum(calls_count) from metrics.metric_call_load__by_stage "
        "where segment_type = 'talker' group by all",
    )
    ids = {
        "Anna": ANNA,
        "Boris": BORIS,
        "Clara of the shop": CLARA,
        "Dina": DINA,
        "Egor": EGOR,
        "Egor of the shop": EGOR,
        "Gala": GALA,
        "Hugo": HUGO,
        "Ida": IDA,
    }
    assert dict(talkers) == {
        f"{name} [{ids[name]}]" if name in ids else name: count for name, count in CALLS.items()
    }


def test_true_keys_stay_those_of_the_accounts(company: Settings) -> None:
    spoke = counts(company, "fct_calls", "talker_employee_key")
    assert (spoke["Anna"], spoke["Anna too"], spoke["Anna of the shop"]) == (2, 1, 1)
    owned = counts(company, "fct_deals", "owner_employee_key")
    assert (owned["Anna"], owned["Anna too"], owned["Anna of the shop"]) == (3, 1, 1)


def test_deals_of_all_accounts_stand_under_one_row(company: Settings) -> None:
    """Anna: 1, 2, 6, 7 and 51. Boris: 3, made when his account was closed, and 52. Dina: 4, made
    before 7 March; then 53 is former employees'. Gala: 5, 54.
    """
    made = {"Anna": 5, "Boris": 2, "Dina": 1, "Gala": 2, FORMER: 1}
    assert counts(company, "fct_deals", "reporting_employee_key") == made
    open_now = {"Anna": 3, "Boris": 2, FORMER: 4}
    key = "current_reporting_employee_key"
    assert counts(company, "fct_deals", key, "deal_state = 'open'") == open_now
    last_days = (
        f"(facts.source_key = '{MAIN}' and stock_on = date '2026-03-12') "
        f"or (facts.source_key = '{SHOP}' and stock_on = date '2026-03-10')"
    )
    stock = rows(
        company,
        "select employee_name, sum(open_deals_count) from marts.fct_open_pipeline as facts "
        "inner join marts.dim_employees as employees "
        "on reporting_employee_key = employees.employee_key "
        f"where {last_days} group by reporting_employee_key, employee_name",
    )
    assert dict(stock) == open_now


def test_a_mover_counts_as_long_as_one_account_is_left(company: Settings) -> None:
    """Dina's account in the portal is closed from the 4th on, she herself is gone from the 7th."""
    closes = rows(
        company,
        "select deal_id, owner_basis, employee_name from marts.fct_deals as deals "
        "inner join marts.dim_employees as employees "
        "on close_reporting_employee_key = employees.employee_key order by deal_id",
    )
    assert closes == [(6, "mover", "Dina"), (7, "current", "Anna")]


def test_rules_judge_persons(company: Settings) -> None:
    """What Boris did after one account was closed is no offence; Anna does not share her line."""
    found = rows(
        company,
        "select rule_id, source_key, record_id from marts.fct_data_quality_issues "
        "where rule_id in ('Q1', 'Q2', 'Q3', 'Q8', 'RULES') "
        "and not (rule_id = 'Q3' and entity = 'employee') order by all",
    )
    assert found == [
        ("Q2", SHOP, "53"),
        ("Q2", SHOP, "54"),
        ("Q2", MAIN, "4"),
        ("Q2", MAIN, "5"),
        ("Q3", SHOP, "105"),
        ("Q3", MAIN, "7"),
        ("Q8", OFFICE, "102"),
        ("RULES", MAIN, "employee_id 39"),
    ]


def test_an_extension_of_two_accounts_of_one_person_tells_who_spoke(company: Settings) -> None:
    found = rows(
        company,
        "select employee_id, talker_basis, is_on_shared_line from marts.fct_calls "
        "inner join marts.dim_employees as employees on talker_employee_key = employee_key "
        "where fct_calls.pbx_source_key is not null",
    )
    assert found == [(ANNA, "extension", False)]


def test_accounts_that_are_joined_later_are_one_person_in_the_past_too(
    company: Settings, tmp_path: Path
) -> None:
    """A daily build compares who stands for whom with what the last one has read."""
    changed = company.model_copy(
        update={"companies_dir": tmp_path / "companies", "data_root": tmp_path / "data"}
    )
    shutil.copytree(company.company_dir, changed.company_dir)
    shutil.copytree(company.data_dir, changed.data_dir)
    file = changed.company_dir / "employees.csv"
    file.write_text(file.read_text().replace(",Egor,,", ",Egor,,Egor"))
    load_company_rules(changed)
    dbt_build(changed, *WITHOUT_TESTS)
    joined = {name: count for name, count in CALLS.items() if not name.startswith("Egor")}
    assert counts(changed, "fct_calls", "reporting_employee_key") == joined | {"Egor": 2}
