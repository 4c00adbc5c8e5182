"""Dimensions, bridges and the company's corrections: one company with a portal and an account.

Minutes count from NOON, 2 March 2026; everything is read ten days later, on 12 March. Moscow is
three hours ahead of UTC.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.amocrm.store import AmoStore
from sources.demo.store import PortalStore
from tests.support.amo_accounts import LOST, client_row, lead_row, make_account
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

MAIN, SHOP = "bitrix24:main", "amocrm:shop"
DAY = 24 * 60
LAST_DAY = 10
CUT = NOON + dt.timedelta(days=LAST_DAY)
NEVER, EVER = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)

ADVERT = {"UTM_SOURCE": "google", "UTM_MEDIUM": "cpc", "UTM_CAMPAIGN": "spring"}
FILES = {
    "currency_rates.csv": """currency,valid_from,rate
USD,2026-03-05,90.00
USD,2026-03-03,80.005
EUR,2026-03-12,100
CNY,2026-03-13,12
""",
    "absences.csv": """connection,employee_id,from_on,until_on
main,2,2026-03-09,2026-03-16
shop,2,2026-03-04,2026-03-05
""",
    "owners.csv": """connection,deal_id,employee_id,owned_from
main,11,2,2026-03-05
main,12,3,
main,12,2,2026-03-04
main,13,2,2026-02-01
main,13,3,2026-02-02
main,14,2,2026-03-13
shop,51,2,2026-03-04
""",
    "payments.csv": """connection,deal_id,paid_on,amount,currency,payment_id
main,1,2026-03-05,99.90,USD,INV-1
shop,51,2026-03-06,-5,,
""",
    "sellers.csv": """connection,employee_id,department
,,Sales
main,4,
""",
    "goals.csv": """metric,stage,connection,employee_id,department,period,starts_on,value
stage_entries,0:WORK,main,,Inside,month,2026-03-01,12.5
won,,,,,quarter,2026-01-01,30
""",
    "norms.csv": """metric,stage,connection,employee_id,department,period,valid_from,value
calls,,shop,1,,day,2026-03-04,40
""",
}


def portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=LAST_DAY * DAY)
    store.insert(
        "department",
        [
            {"ID": 1, "NAME": "Company"},
            {"ID": 2, "NAME": "Sales", "PARENT": 1},
            {"ID": 3, "NAME": "Inside", "PARENT": 2},
            {"ID": 4, "NAME": "Egg", "PARENT": 5},
            {"ID": 5, "NAME": "Hen", "PARENT": 4},
            {"ID": 6, "NAME": "Chick", "PARENT": 5},
            {"ID": 7, "NAME": "Orphan", "PARENT": 99},
            {"ID": 8, "NAME": "Itself", "PARENT": 8},
        ],
    )
    store.insert(
        "user",
        [
            {
                "ID": 2,
                "ACTIVE": 1,
                "NAME": "Boris",
                "UF_DEPARTMENT": [3],
                # Two hours before midnight UTC: the next day in Moscow.
                "DATE_REGISTER": at(-2 * DAY + 10 * 60),
            },
            {"ID": 3, "ACTIVE": 1, "NAME": "Clara", "UF_DEPARTMENT": [2]},
            {"ID": 4, "ACTIVE": 1, "NAME": "Dina"},
            {"ID": 5, "ACTIVE": 1, "NAME": "Egor"},
        ],
    )
    store.insert(
        "status",
        [
            {"ID": 901, "ENTITY_ID": "SOURCE", "STATUS_ID": "CALL", "NAME": "Phone call"},
            {"ID": 902, "ENTITY_ID": "SOURCE", "STATUS_ID": "OLD", "NAME": "Old ad"},
            {"ID": 903, "ENTITY_ID": "STATUS", "STATUS_ID": "NEW", "NAME": "New lead"},
        ],
    )
    store.insert(
        "company", [{"ID": 1, "TITLE": "Acme", "DATE_CREATE": at(0), "DATE_MODIFY": at(0)}]
    )
    store.insert(
        "contact",
        [
            {
                "ID": number,
                "NAME": name,
                "COMPANY_ID": company,
                "DATE_CREATE": at(0),
                "DATE_MODIFY": at(0),
                "PHONE": [{"VALUE": phone, "VALUE_TYPE": "WORK"}],
            }
            for number, name, company, phone in (
                (1, "Ivan", 1, "8 (900) 000-00-11"),
                (2, "Olga", 0, "+79000000012"),
                (3, "Gone", 0, "+79000000013"),
                (4, "Lost firm", 77, "+79000000014"),
            )
        ],
    )
    won = {"STAGE_ID": "WON", "STAGE_SEMANTIC_ID": "S"}
    lost = {"STAGE_ID": "LOST", "STAGE_SEMANTIC_ID": "F"}
    store.insert(
        "deal",
        [
            deal_row(1, **won, **ADVERT, OPPORTUNITY="100.00", CURRENCY_ID="USD", SOURCE_ID="CALL"),
            deal_row(
                2, **won, **ADVERT, OPPORTUNITY="100.10", CURRENCY_ID="USD", SOURCE_ID="BANNER"
            ),
            deal_row(3, OPPORTUNITY="100.00", CURRENCY_ID="USD", SOURCE_ID=None, UTM_MEDIUM="cpc"),
            deal_row(4, **lost, OPPORTUNITY="1.00", CURRENCY_ID="EUR"),
            deal_row(5, OPPORTUNITY="7.00", CURRENCY_ID="CNY", CONTACT_ID=2),
            deal_row(6, OPPORTUNITY="7.00", CURRENCY_ID=None, CONTACT_ID=88),
            deal_row(7, **won, OPPORTUNITY="5.00", CURRENCY_ID="USD", COMPANY_ID=1, CONTACT_ID=1),
            deal_row(8, **lost, CUSTOM={"UF_CRM_LOSS": "Too dear", "UF_CRM_PRODUCT": "Roof"}),
            deal_row(9, CURRENCY_ID="GBP", CUSTOM={"UF_CRM_LOSS": "Kept from before"}),
            *(
                deal_row(n, **won, MOVED_BY_ID=1, MOVED_TIME=at(4 * DAY), ASSIGNED_BY_ID=1)
                for n in (11, 12, 13, 14)
            ),
            *(
                deal_row(n, UTM_SOURCE=source, UTM_MEDIUM=medium, UTM_CAMPAIGN=campaign)
                for n, source, medium, campaign in (
                    (21, "google", None, None),
                    (22, "google", "", None),
                    (23, "google|1:a", None, None),
                    (24, "google", "a", None),
                    (25, "", "", ""),
                )
            ),
            deal_row(26, UTM_SOURCE="of a template", IS_RECURRING=1),
        ],
    )
    store.insert(
        "stage_history",
        [
            history_row(number, number, 0, "NEW")
            for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 21, 22, 23, 24, 25)
        ]
        + [
            # 4 March at 20:00 UTC is still the 4th in Moscow, at 21:00 UTC the 5th.
            history_row(101, 1, 2 * DAY + 8 * 60, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(102, 2, 2 * DAY + 9 * 60, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(104, 4, DAY, "LOST", STAGE_SEMANTIC_ID="F"),
            history_row(107, 7, 10, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(108, 8, DAY, "LOST", STAGE_SEMANTIC_ID="F"),
            *(
                history_row(100 + n, n, 4 * DAY, "WON", STAGE_SEMANTIC_ID="S")
                for n in (11, 12, 13, 14)
            ),
        ],
    )
    store.insert(
        "lead",
        [
            {
                "ID": 1,
                "TITLE": "Lead 1",
                "STATUS_ID": "NEW",
                "STATUS_SEMANTIC_ID": "P",
                "SOURCE_ID": "CALL",
                "ASSIGNED_BY_ID": 1,
                "CREATED_BY_ID": 4,
                "DATE_CREATE": at(DAY),
                "DATE_MODIFY": at(DAY),
                "CUSTOM": {"UF_CRM_PRODUCT": "Wall"},
                **ADVERT,
            },
            {
                "ID": 2,
                "TITLE": "Lead 2",
                "STATUS_ID": "NEW",
                "STATUS_SEMANTIC_ID": "P",
                "ASSIGNED_BY_ID": 1,
                "CREATED_BY_ID": 4,
                "DATE_CREATE": at(DAY),
                "DATE_MODIFY": at(DAY),
                "UTM_CAMPAIGN": "autumn",
            },
        ],
    )
    store.insert(
        "call",
        [
            call_row(1, 2 * DAY, PORTAL_USER_ID=3, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=99),
            call_row(2, 3 * DAY, PORTAL_USER_ID=4),
        ],
    )
    store.insert(
        "product",
        [
            {"ID": 1, "NAME": "Roof", "ACTIVE": 1, "PRICE": "10.5", "CURRENCY_ID": "RUB"},
            {"ID": 2, "NAME": "Wall", "ACTIVE": 0, "PRICE": None},
        ],
    )
    store.insert(
        "product_row",
        [
            {
                "ID": number,
                "OWNER_TYPE": "D",
                "OWNER_ID": deal,
                "PRODUCT_ID": product,
                "PRODUCT_NAME": name,
                "PRICE": price,
                "QUANTITY": quantity,
            }
            for number, deal, product, name, price, quantity in (
                (1, 1, 1, "Roof, red", "33.333", "2"),
                (2, 1, 0, "Delivery", "33.34", "1"),
                (3, 2, 7, "Gone from the list", "0", "1"),
                (4, 3, 1, "Roof", "5", "0.5"),
                (5, 3, 1, "Roof", "2.5", "3"),
            )
        ],
    )
    return store


def account(path: Path) -> AmoStore:
    store = make_account(path)
    store.clock = CUT
    store.insert("loss_reason", [{"id": 5, "name": "Dear", "sort": 1}, {"id": 6, "name": "Rival"}])
    store.insert("company", [client_row(1, name="Shop firm")])
    store.insert("contact", [client_row(1, name="Shop client", company_id=1)])
    store.insert(
        "catalog",
        [
            {"id": 10, "name": "Goods", "type": "products"},
            {"id": 11, "name": "Bills", "type": "invoices"},
        ],
    )
    price = [{"field_id": 1, "field_code": "PRICE", "values": [{"value": "12"}]}]
    store.insert(
        "catalog_element",
        [
            {"id": 21, "catalog_id": 10, "name": "Door", "custom_fields_values": price},
            {"id": 22, "catalog_id": 10, "name": "Priceless"},
            {"id": 23, "catalog_id": 11, "name": "Bill 1", "custom_fields_values": price},
        ],
    )
    links = [
        {"id": number, "metadata": {"quantity": quantity, "catalog_id": catalog}}
        for number, quantity, catalog in ((21, 3, 10), (22, 1, 10), (23, 1, 11), (29, 2, 10))
    ]
    lost = {"status_id": LOST, "closed_at": at(DAY)}
    store.insert(
        "lead",
        [
            lead_row(51, catalog_elements=links, company_id=1, contacts=[{"id": 1, "is_main": 1}]),
            lead_row(52, **lost, loss_reason_id=5),
            lead_row(53, **lost, loss_reason_id=9),
            lead_row(54, **lost),
            lead_row(55, loss_reason_id=5),
            lead_row(
                56,
                custom_fields_values=[
                    {"field_id": number, "field_code": code, "values": [{"value": value}]}
                    for number, (code, value) in enumerate(ADVERT.items(), start=1)
                ],
            ),
        ],
    )
    return store


def write_past(connection: duckdb.DuckDBPyConnection) -> None:
    """What earlier loads have left behind."""
    connection.execute(
        "update raw_bitrix24.statuses set received_at = received_at - interval 1 day "
        "where status_id = 'OLD'"
    )
    connection.execute(
        "insert into raw_bitrix24.deleted_records (source_key, entity, id, noticed_at) "
        "values (?, 'contacts', 3, ?)",
        [MAIN, CUT],
    )
    connection.execute(
        "insert into raw_bitrix24.department_versions "
        "(source_key, id, name, parent, first_seen_at, last_seen_at) values (?, 9, ?, 2, ?, ?)",
        [MAIN, "Closed", on_day(0), on_day(0)],
    )
    connection.execute("delete from raw_bitrix24.user_versions where id in (2, 5)")
    for name, department, active, extension, day in (
        ("Boris", "[2]", True, "101", 0),
        ("Boris", "[2]", True, "102", 1),
        ("Boris", "[3]", True, "102", 2),
        ("Boris", "[3]", False, "102", 3),
        ("Boris", "[3]", True, "102", 4),
    ):
        connection.execute(
            "insert into raw_bitrix24.user_versions (source_key, id, active, name, last_name, "
            "uf_department, uf_phone_inner, first_seen_at, last_seen_at) "
            "values (?, 2, ?, ?, '', ?, ?, ?, ?)",
            [MAIN, active, name, department, extension, on_day(day), on_day(day)],
        )


def on_day(day: float) -> dt.datetime:
    """Noon UTC of a day after 2 March 2026."""
    return NOON + dt.timedelta(days=day)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("dimensions")
    settings = make_company(root, connections=("main", SHOP), files=FILES)
    rules = settings.company_dir / "company.toml"
    rules.write_text(rules.read_text() + 'loss_reason = {bitrix24 = "UF_CRM_LOSS"}\n')
    settings.make_folders()
    with (
        portal(root / "portal.sqlite") as store,
        account(root / "account.sqlite") as shop,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        write_raw(connection, {MAIN: store})
        write_raw_amocrm(connection, {SHOP: shop})
        write_past(connection)
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


def day(number: int) -> dt.date:
    """A day of March 2026."""
    return dt.date(2026, 3, number)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


# Money


def test_currencies_are_those_that_anything_names(company: Settings) -> None:
    found = rows(company, "select * from marts.dim_currencies order by currency_code")
    assert found == [
        ("CNY", False, True),
        ("EUR", False, True),
        ("GBP", False, False),
        ("RUB", True, True),
        ("USD", False, True),
    ]


def test_a_rate_holds_until_the_next_row_of_its_currency(company: Settings) -> None:
    found = rows(
        company,
        "select currency_code, valid_from_on, valid_to_on, rate from marts.dim_currency_rates "
        "order by currency_code, valid_from_on",
    )
    assert found == [
        ("CNY", day(13), EVER.date(), Decimal(12)),
        ("EUR", day(12), EVER.date(), Decimal(100)),
        ("RUB", NEVER.date(), EVER.date(), Decimal(1)),
        ("USD", day(3), day(5), Decimal("80.005")),
        ("USD", day(5), EVER.date(), Decimal(90)),
    ]


@pytest.mark.parametrize(
    ("deal", "currency", "amount"),
    [
        (1, "USD", Decimal("8000.50")),
        (2, "USD", Decimal("9009.00")),
        (3, "USD", Decimal("9000.00")),
        (4, "EUR", Decimal("100.00")),
        (5, "CNY", None),
        (6, "RUB", Decimal("7.00")),
        (7, "USD", None),
        (9, "GBP", None),
    ],
    ids=[
        "won in the last hour of a rate, by the company's clock",
        "won in the first second of the next rate",
        "open: the rate of the as-of day",
        "lost: the rate of the as-of day, not of the day of the loss",
        "open, and the rate begins after as-of",
        "without a currency it is the company's own",
        "won before the first rate",
        "a currency without a rate",
    ],
)
def test_amounts_are_converted_at_the_rate_of_the_day_won_or_of_as_of(
    company: Settings, deal: int, currency: str, amount: Decimal | None
) -> None:
    found = rows(
        company,
        "select currency_code, company_amount, company_currency_code from marts.fct_deals "
        f"where source_key = '{MAIN}' and deal_id = {deal}",
    )
    assert found == [(currency, amount, "RUB")]


def test_payments_of_the_file_have_a_currency(company: Settings) -> None:
    found = rows(company, "select * from staging.stg_company__payments order by line")
    assert found == [
        (MAIN, 1, day(5), Decimal("99.90"), "USD", "INV-1", 2),
        (SHOP, 51, day(6), Decimal(-5), "RUB", None, 3),
    ]


def test_goals_and_norms_say_of_whom_they_are(company: Settings) -> None:
    first = dt.date(2026, 1, 1)
    assert rows(company, "select * from staging.stg_company__goals order by line") == [
        ("stage_entries", MAIN, 0, "WORK", None, "Inside", "month", day(1), Decimal("12.5"), 2),
        ("won", None, None, None, None, None, "quarter", first, Decimal(30), 3),
    ]
    assert rows(company, "select * from staging.stg_company__norms") == [
        ("calls", SHOP, None, None, 1, None, "day", day(4), Decimal(40), 2)
    ]


def test_files_that_name_known_records_break_no_rule(company: Settings) -> None:
    found = "select sentence from marts.fct_data_quality_issues where rule_id = 'RULES'"
    assert rows(company, found) == []


# The company's owners


def owned(company: Settings, source_key: str, deal: int) -> list[tuple[Any, ...]]:
    return rows(
        company,
        "select employees.employee_id, owned_from_at, valid_to, intervals.owner_basis "
        "from marts.fct_owner_intervals as intervals "
        "inner join marts.fct_deals as deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on intervals.owner_employee_key = employees.employee_key "
        f"where deals.source_key = '{source_key}' and deal_id = {deal} order by owned_from_at",
    )


@pytest.mark.parametrize(
    ("source_key", "deal", "expected"),
    [
        (
            MAIN,
            11,
            [
                (1, "2026-03-02 12:00", "2026-03-04 21:00", "current"),
                (2, "2026-03-04 21:00", "9999-12-31", "file"),
            ],
        ),
        (
            MAIN,
            12,
            [
                (3, "2026-03-02 12:00", "2026-03-03 21:00", "file"),
                (2, "2026-03-03 21:00", "9999-12-31", "file"),
            ],
        ),
        (MAIN, 13, [(3, "2026-03-02 12:00", "9999-12-31", "file")]),
        (
            MAIN,
            14,
            [
                (1, "2026-03-02 12:00", "2026-03-12 12:00", "current"),
                (1, "2026-03-12 12:00", "9999-12-31", "snapshot"),
            ],
        ),
        (
            SHOP,
            51,
            [
                (1, "2026-03-02 12:00", "2026-03-03 21:00", "current"),
                (2, "2026-03-03 21:00", "9999-12-31", "file"),
            ],
        ),
    ],
    ids=[
        "from a day's local midnight on, also beyond a later snapshot",
        "without a day from creation on, until the next row",
        "of two rows from before creation the later",
        "a row of a day after as-of waits",
        "in amoCRM too",
    ],
)
def test_the_file_of_owners_overrides_what_the_system_tells(
    company: Settings, source_key: str, deal: int, expected: list[tuple[int, str, str, str]]
) -> None:
    assert owned(company, source_key, deal) == [
        (employee, moment(begin), moment(end), basis) for employee, begin, end, basis in expected
    ]


def test_closes_and_visits_are_credited_to_the_owner_of_the_file(company: Settings) -> None:
    closes = rows(
        company,
        "select deal_id, employees.employee_id, closes.owner_basis "
        "from marts.fct_deal_closes as closes inner join marts.fct_deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on closes.owner_employee_key = employees.employee_key where deal_id between 11 and 14 "
        "order by deal_id",
    )
    assert closes == [(11, 2, "file"), (12, 2, "file"), (13, 3, "file"), (14, 1, "mover")]
    visits = rows(
        company,
        "select employees.employee_id, visits.owner_basis from marts.fct_stage_visits as visits "
        "inner join marts.fct_deals as deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on visits.owner_employee_key = employees.employee_key where deals.deal_id = 12 "
        "order by visit_number",
    )
    assert visits == [(3, "file"), (2, "file")]


# Departments and employees


def test_departments_stand_in_their_tree_and_cycles_end(company: Settings) -> None:
    found = rows(
        company,
        "select departments.department_id, parents.department_id, departments.department_path, "
        "departments.depth, departments.is_listed from marts.dim_departments as departments "
        "left join marts.dim_departments as parents "
        "on departments.parent_department_key = parents.department_key "
        f"where departments.source_key = '{MAIN}' order by departments.department_id",
    )
    assert found == [
        (1, None, "Company", 0, True),
        (2, 1, "Company / Sales", 1, True),
        (3, 2, "Company / Sales / Inside", 2, True),
        (4, None, "Egg", 0, True),
        (5, None, "Hen", 0, True),
        (6, 5, "Hen / Chick", 1, True),
        (7, None, "Orphan", 0, True),
        (8, None, "Itself", 0, True),
        (9, 2, "Company / Sales / Closed", 2, False),
    ]


def test_sellers_are_whom_the_file_names_and_who_is_in_its_departments(company: Settings) -> None:
    found = rows(
        company,
        "select employees.employee_id, sellers.seller_basis, sellers.seller_from_on "
        "from marts.dim_sellers as sellers inner join marts.dim_employees as employees "
        f"using (employee_key) where sellers.source_key = '{MAIN}' order by employees.employee_id",
    )
    # Boris is in a department below Sales; Egor's is none.
    assert [row[:2] for row in found] == [(2, "file"), (3, "file"), (4, "file")]
    assert found[0][2] == dt.date(2026, 3, 1)


def test_groups_of_amocrm_are_departments_without_a_tree(company: Settings) -> None:
    found = rows(
        company,
        "select department_id, department_path, depth, is_listed from marts.dim_departments "
        f"where source_key = '{SHOP}'",
    )
    assert found == [(7, "Sales", 0, True)]


def versions(company: Settings, employee: int) -> list[tuple[Any, ...]]:
    return rows(
        company,
        "select valid_from_at, valid_to, employee_name, department_name, is_active "
        f"from marts.dim_employee_versions where source_key = '{MAIN}' "
        f"and employee_id = {employee} order by valid_from_at",
    )


def test_employees_have_a_version_per_name_department_and_activity(company: Settings) -> None:
    """The change of the extension on the first day makes none."""
    second, third, fourth = (on_day(number).replace(tzinfo=None) for number in (2, 3, 4))
    assert versions(company, 2) == [
        (NEVER, second, "Boris", "Sales", True),
        (second, third, "Boris", "Inside", True),
        (third, fourth, "Boris", "Inside", False),
        (fourth, EVER, "Boris", "Inside", True),
    ]


def test_an_employee_without_versions_has_one_for_all_time(company: Settings) -> None:
    assert versions(company, 5) == [(NEVER, EVER, "Egor", "(not set)", True)]


@pytest.mark.parametrize(
    ("source_key", "employee", "expected"),
    [
        (MAIN, 1, (None, "unknown")),
        (MAIN, 2, (day(1), "registered")),
        (MAIN, 3, (day(2), "first_action")),
        (MAIN, 4, (day(3), "first_action")),
        (MAIN, 5, (None, "unknown")),
        (SHOP, 1, (day(2), "first_action")),
        (SHOP, 2, (None, "unknown")),
    ],
    ids=[
        "owners of now have not owned from the beginning",
        "the local day of registration",
        "owner by the file at an entry, before the first call",
        "a card made, before the first call",
        "nothing known",
        "amoCRM tells no registration: a card made",
        "owner of a card that entered no stage since",
    ],
)
def test_hired_is_the_registration_else_the_first_action(
    company: Settings, source_key: str, employee: int, expected: tuple[object, ...]
) -> None:
    found = rows(
        company,
        "select hired_on, hired_on_basis from marts.dim_employees "
        f"where source_key = '{source_key}' and employee_id = {employee}",
    )
    assert found == [expected]


def test_absences_are_those_of_the_file(company: Settings) -> None:
    found = rows(
        company,
        "select absences.source_key, employee_id, from_on, until_on "
        "from marts.dim_absences as absences inner join marts.dim_employees using (employee_key) "
        "order by all",
    )
    assert found == [(SHOP, 2, day(4), day(5)), (MAIN, 2, day(9), day(16))]


# Sources, products, clients


def test_sources_are_those_of_the_dictionary_and_of_cards(company: Settings) -> None:
    found = rows(
        company,
        f"select source_id, source_name, is_listed from marts.dim_sources "
        f"where source_key = '{MAIN}' order by source_id",
    )
    assert found == [
        ("BANNER", "BANNER", False),
        ("CALL", "Phone call", True),
        ("OLD", "Old ad", False),
    ]
    of_cards = """
        select {title}, sources.source_id, cards.source_name from marts.{fact} as cards
        left join marts.dim_sources as sources using (lead_source_key)
        where cards.source_key = 'bitrix24:main' and {condition} order by 1
    """
    deals = of_cards.format(title="deal_id", fact="fct_deals", condition="deal_id <= 3")
    assert rows(company, deals) == [
        (1, "CALL", "Phone call"),
        (2, "BANNER", "BANNER"),
        (3, None, "(not set)"),
    ]
    leads = of_cards.format(title="lead_id", fact="fct_leads", condition="true")
    assert rows(company, leads) == [(1, "CALL", "Phone call"), (2, None, "(not set)")]


def test_utm_tags_are_the_combinations_that_cards_name(company: Settings) -> None:
    """Those of a template of recurring deals (26) count as little as the template."""
    found = rows(
        company,
        "select tags.source_key, utm_source, utm_medium, utm_campaign, card "
        "from marts.dim_utm_tags as tags inner join ("
        "select utm_key, 'deal ' || deal_id as card from marts.fct_deals "
        "union all select utm_key, 'lead ' || lead_id from marts.fct_leads"
        ") as cards using (utm_key) order by card",
    )
    assert found == [
        (MAIN, "google", "cpc", "spring", "deal 1"),
        (MAIN, "google", "cpc", "spring", "deal 2"),
        (MAIN, "google", None, None, "deal 21"),
        (MAIN, "google", "", None, "deal 22"),
        (MAIN, "google|1:a", None, None, "deal 23"),
        (MAIN, "google", "a", None, "deal 24"),
        (MAIN, None, "cpc", None, "deal 3"),
        (SHOP, "google", "cpc", "spring", "deal 56"),
        (MAIN, "google", "cpc", "spring", "lead 1"),
        (MAIN, None, None, "autumn", "lead 2"),
    ]
    keys = rows(company, "select count(*), count(distinct utm_key) from marts.dim_utm_tags")
    assert keys == [(8, 8)]


def test_cards_without_a_tag_have_no_key_of_one(company: Settings) -> None:
    found = rows(
        company,
        "select deal_id, utm_source from marts.fct_deals where utm_key is null "
        "and deal_id in (4, 25, 51) order by deal_id",
    )
    assert found == [(4, None), (25, ""), (51, None)]


def test_products_are_those_of_the_catalogs_and_of_rows(company: Settings) -> None:
    found = rows(
        company,
        "select source_key, product_id, product_name, price, currency_code, is_listed "
        "from marts.dim_products order by source_key, product_id",
    )
    assert found == [
        (SHOP, 21, "Door", Decimal(12), "RUB", True),
        (SHOP, 22, "Priceless", None, "RUB", True),
        (SHOP, 29, "Product 29", None, None, False),
        (MAIN, 1, "Roof", Decimal("10.5"), "RUB", True),
        (MAIN, 2, "Wall", None, None, False),
        (MAIN, 7, "Gone from the list", None, None, False),
    ]


def test_rows_of_products_share_the_amount_of_their_deal(company: Settings) -> None:
    found = rows(
        company,
        "select deals.deal_id, products.product_id, deal_products.product_name, quantity, "
        "deal_products.price, deal_products.amount, deal_products.currency_code, "
        "round(amount_share, 6) from marts.fct_deal_products as deal_products "
        "inner join marts.fct_deals as deals using (deal_key) "
        "left join marts.dim_products as products using (product_key) "
        "order by deal_id, deal_products.amount nulls last, product_id",
    )
    assert found == [
        (1, None, "Delivery", 1, Decimal("33.34"), Decimal("33.34"), "USD", 0.333367),
        (1, 1, "Roof, red", 2, Decimal("33.333"), Decimal("66.67"), "USD", 0.666633),
        (2, 7, "Gone from the list", 1, 0, 0, "USD", None),
        (3, 1, "Roof", Decimal("0.5"), 5, Decimal("2.5"), "USD", 0.25),
        (3, 1, "Roof", 3, Decimal("2.5"), Decimal("7.5"), "USD", 0.75),
        (51, 21, "Door", 3, 12, 36, "RUB", 1.0),
        (51, 22, "Priceless", 1, None, None, "RUB", None),
        (51, 29, "Product 29", 2, None, None, "RUB", None),
    ]


def test_clients_are_those_that_anything_names(company: Settings) -> None:
    found = rows(
        company,
        "select clients.source_key, clients.client_type, clients.client_id, clients.client_name, "
        "companies.client_id, clients.is_deleted from marts.dim_clients as clients "
        "left join marts.dim_clients as companies "
        "on clients.company_client_key = companies.client_key order by 1, 2, 3",
    )
    assert found == [
        (SHOP, "company", 1, "Shop firm", None, False),
        (SHOP, "contact", 1, "Shop client", 1, False),
        (MAIN, "company", 1, "Acme", None, False),
        (MAIN, "company", 77, "Company 77", None, None),
        (MAIN, "contact", 1, "Ivan", 1, False),
        (MAIN, "contact", 2, "Olga", None, False),
        (MAIN, "contact", 3, "Gone", None, True),
        (MAIN, "contact", 4, "Lost firm", 77, False),
        (MAIN, "contact", 88, "Contact 88", None, None),
        (MAIN, "contact", 99, "Contact 99", None, None),
    ]
    links = rows(
        company,
        "select client_url, client_key = survivor_client_key from marts.dim_clients "
        "where client_name in ('Acme', 'Shop client') order by client_url",
    )
    assert links == [
        ("https://test.amocrm.example/contacts/detail/1", True),
        ("https://test.bitrix24.example/crm/company/details/1/", True),
    ]


def test_every_client_of_a_card_or_a_call_is_one_of_them(company: Settings) -> None:
    for fact in ("fct_deals", "fct_leads", "fct_calls"):
        strangers = rows(
            company,
            f"select client_key from marts.{fact} where client_key is not null "
            "and client_key not in (select client_key from marts.dim_clients)",
        )
        assert strangers == [], fact


def test_numbers_lead_to_the_contact_and_its_company(company: Settings) -> None:
    found = rows(
        company,
        "select phone_e164, clients.client_type, clients.client_id, contacts.client_id "
        "from marts.dim_client_phones as phones "
        "inner join marts.dim_clients as clients using (client_key) "
        "inner join marts.dim_clients as contacts "
        "on phones.contact_client_key = contacts.client_key order by phone_e164",
    )
    assert found == [
        ("+79000000011", "company", 1, 1),
        ("+79000000012", "contact", 2, 2),
        ("+79000000014", "company", 77, 4),
    ]


# Losses and segments


def test_reasons_of_losses_come_from_dictionary_field_or_stage(company: Settings) -> None:
    found = rows(
        company,
        "select source_key, deal_id, loss_reason_name, loss_reason_basis, reasons.loss_reason_id "
        "from marts.fct_deals as deals "
        "left join (select loss_reason_key, loss_reason_id from marts.dim_loss_reasons) as reasons "
        "using (loss_reason_key) where deal_state = 'lost' or deal_id in (9, 55) "
        "order by source_key desc, deal_id",
    )
    assert found == [
        (MAIN, 4, "Lost", "stage", "0:LOST"),
        (MAIN, 8, "Too dear", "field", "Too dear"),
        (MAIN, 9, None, None, None),
        (SHOP, 52, "Dear", "dictionary", "5"),
        (SHOP, 53, "Loss reason 9", "dictionary", "9"),
        (SHOP, 54, "Lost", "stage", "100:143"),
        (SHOP, 55, None, None, None),
    ]


def test_reasons_that_nobody_gave_stand_in_the_dictionary_too(company: Settings) -> None:
    found = rows(
        company,
        "select loss_reason_id, loss_reason_name, is_listed from marts.dim_loss_reasons "
        "where loss_reason_basis = 'dictionary' order by loss_reason_id",
    )
    assert found == [("5", "Dear", True), ("6", "Rival", True), ("9", "Loss reason 9", False)]


def test_segments_of_cards_are_rows(company: Settings) -> None:
    found = rows(
        company,
        "select card_type, coalesce(deals.deal_id, leads.lead_id), segment_type, segment_value "
        "from marts.dim_card_segments as segments "
        "left join marts.fct_deals as deals using (deal_key) "
        "left join marts.fct_leads as leads on segments.lead_key = leads.lead_key order by all",
    )
    assert found == [
        ("deal", 8, "loss_reason", "Too dear"),
        ("deal", 8, "product", "Roof"),
        ("deal", 9, "loss_reason", "Kept from before"),
        ("lead", 1, "product", "Wall"),
    ]
