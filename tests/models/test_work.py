"""Tasks, messages, touches, mass moves, owners, payments and the open pipeline."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from sources.bookkeeping import Books, EntityLoad
from sources.demo.store import PortalStore
from tests.conftest import DemoRun
from tests.reference.records import read_store
from tests.reference.rules import Rules
from tests.reference.work import mass_moves, moves, open_stock, task_counts, touches
from tests.support.companies import (
    WITHOUT_TESTS,
    asked,
    dbt_build,
    load_company_rules,
    make_company,
)
from tests.support.portals import NOON, at, deal_row, history_row, make_portal
from tests.support.raw import write_raw

RULES = Rules(time_zone="Europe/Moscow", pipeline_roles={2: "setter", 3: "service"})
MAIN = "bitrix24:main"
DAY = 24 * 60
CUT_DAY = 10
MASS_CARDS, MASS_MINUTES = 3, 5


def test_tasks_of_the_demo_company_are_those_of_its_portal(demo_run: DemoRun) -> None:
    with PortalStore(demo_run.store, read_only=True) as store:
        expected = task_counts(store)
    found = asked(
        demo_run.settings,
        "select task_kind, is_completed, count(*) from marts.fct_tasks group by all",
    )
    assert {(kind, done): count for kind, done, count in found} == expected


def test_touches_of_the_demo_company_equal_the_reference(demo_run: DemoRun) -> None:
    with PortalStore(demo_run.store, read_only=True) as store:
        expected = touches(store, read_store(demo_run.store), RULES)
    found = asked(
        demo_run.settings,
        "select touches.touch_type, epoch_us(touches.touched_at), touches.card_type, "
        "coalesce(deals.deal_id, leads.lead_id), employees.employee_id "
        "from marts.fct_touches as touches "
        "left join marts.fct_deals as deals using (deal_key) "
        "left join marts.fct_leads as leads on touches.lead_key = leads.lead_key "
        "left join marts.dim_employees as employees "
        "on touches.employee_key = employees.employee_key where touches.touch_type <> 'call'",
    )
    wanted = {
        (t.touch_type, t.touched_at, *(t.card or (None, None)), t.employee_id) for t in expected
    }
    assert set(found) ^ wanted == set()
    assert len({row[0] for row in wanted}) == 5


def test_the_open_pipeline_of_the_demo_company_is_counted_deal_by_deal(demo_run: DemoRun) -> None:
    portal = read_store(demo_run.store)
    with PortalStore(demo_run.store, read_only=True) as store:
        amounts = {
            row[0]: Decimal(row[1]) for row in store.query("select ID, OPPORTUNITY from deal")
        }
    last = asked(demo_run.settings, "select max(stock_on) from marts.fct_open_pipeline")[0][0]
    days = [last - dt.timedelta(days=back) for back in range(0, 500, 23)]
    expected = open_stock(portal, RULES, amounts, days)
    found = asked(
        demo_run.settings,
        "select stock.stock_on, pipelines.pipeline_id, nullif(stages.stage_id, '(unknown)'), "
        "sum(stock.open_deals_count), sum(stock.open_amount) "
        "from marts.fct_open_pipeline as stock "
        "inner join marts.dim_pipelines as pipelines using (pipeline_key) "
        "inner join marts.dim_stages as stages using (stage_key) "
        "where stock.stock_on in (select unnest(?)) group by all",
        days,
    )
    assert {row[:3]: (int(row[3]), row[4]) for row in found} == expected
    assert len(expected) > 100


def portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=CUT_DAY * DAY)
    store.insert(
        "user",
        [
            {"ID": number, "ACTIVE": 1, "NAME": name, "LAST_NAME": "Test", "USER_TYPE": "employee"}
            for number, name in ((2, "Boris"), (3, "Clara"))
        ],
    )
    store.insert(
        "status",
        [
            {"ID": 900, "ENTITY_ID": "SMART_INVOICE_STAGE_0", "STATUS_ID": "DT31_0:N"},
            {
                "ID": 901,
                "ENTITY_ID": "SMART_INVOICE_STAGE_0",
                "STATUS_ID": "DT31_0:P",
                "SEMANTICS": "S",
            },
        ],
    )
    # Deals 11 to 16 come to WORK: 11 to 13 within five minutes to the second, 14 with 12 and 13;
    # 15 and 16 too late. Deals 21 to 23 within a minute, by two people.
    minutes = {11: 100.0, 12: 102.0, 13: 105.0, 14: 105 + 1 / 60, 15: 110.5, 16: 300.0}
    others = {21: 500.0, 22: 500.5, 23: 501.0}
    movers = {**dict.fromkeys(minutes, 2), 21: 2, 22: 3, 23: 2}
    moved = {**minutes, **others}
    store.insert(
        "deal",
        [
            deal_row(
                number,
                STAGE_ID="WORK",
                MOVED_TIME=at(minute),
                DATE_MODIFY=at(minute),
                MOVED_BY_ID=movers[number],
                MODIFY_BY_ID=movers[number],
            )
            for number, minute in moved.items()
        ]
        # Owners: as the loads of days 0, 2 and 4 have seen them.
        + [
            deal_row(
                31,
                ASSIGNED_BY_ID=3,
                STAGE_ID="WON",
                STAGE_SEMANTIC_ID="S",
                OPPORTUNITY="5000000000.00",
            ),
            deal_row(32, ASSIGNED_BY_ID=3, STAGE_ID="WON", STAGE_SEMANTIC_ID="S"),
        ],
    )
    store.insert(
        "stage_history",
        [history_row(number, number, 0, "NEW") for number in (*moved, 31, 32)]
        + [history_row(100 + number, number, minute, "WORK") for number, minute in moved.items()]
        + [
            history_row(131, 31, 3 * DAY, "WON", STAGE_SEMANTIC_ID="S"),
            history_row(132, 32, -DAY, "WON", STAGE_SEMANTIC_ID="S"),
        ],
    )
    called = {"TYPE_ID": 2, "PROVIDER_ID": "VOXIMPLANT_CALL", "OWNER_TYPE_ID": 2, "OWNER_ID": 31}
    said = {"TYPE_ID": 6, "PROVIDER_ID": "CRM_SMS", "OWNER_TYPE_ID": 2, "OWNER_ID": 31}
    usual = {"CREATED": at(0), "LAST_UPDATED": at(60), "RESPONSIBLE_ID": 2}
    store.insert(
        "activity",
        [
            {"ID": 1, "ORIGIN_ID": "VI_call-1", "COMPLETED": 1, **called, **usual},
            {"ID": 2, "COMPLETED": 0, "DEADLINE": at(2 * DAY), **called, **usual},
            {"ID": 3, "COMPLETED": 1, **called, **usual},
            {"ID": 4, "DIRECTION": 1, "COMPLETED": 1, **said, **usual},
            {"ID": 5, "DIRECTION": 2, "COMPLETED": 1, **said, **usual},
        ],
    )
    store.insert(
        "invoice",
        [
            {
                "ID": number,
                "TITLE": f"Invoice {number}",
                "CATEGORY_ID": 0,
                "STAGE_ID": stage,
                "OPPORTUNITY": "50.00",
                "CURRENCY_ID": "RUB",
                "PARENT_ID_2": deal,
                "ASSIGNED_BY_ID": 1,
                "CREATED_TIME": at(0),
                "UPDATED_TIME": at(DAY),
                "MOVED_TIME": at(DAY),
            }
            for number, stage, deal in (
                (1, "DT31_0:P", 31),
                (2, "DT31_0:N", 31),
                (3, "DT31_0:P", 99),
            )
        ],
    )
    return store


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("work")
    settings = make_company(
        root,
        files={
            "payments.csv": "connection,deal_id,paid_on,amount,currency,payment_id\n"
            "main,11,2026-03-03,70,,\n"
        },
    )
    rules = settings.company_dir / "company.toml"
    quality = f"mass_move_cards = {MASS_CARDS}\nmass_move_minutes = {MASS_MINUTES}"
    rules.write_text(f"{rules.read_text()}\n[quality]\n{quality}\n")
    settings.make_folders()
    with (
        portal(root / "portal.sqlite") as store,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        write_raw(connection, {MAIN: store})
        # An earlier load saw a stage that is gone.
        books = Books(connection, "raw_bitrix24", MAIN)
        books.write_log(NOON + dt.timedelta(days=4), [EntityLoad("statuses", "statuses")])
        connection.execute("update raw_bitrix24.status_versions set first_seen_at = ?", [NOON])
        connection.execute(
            "insert into raw_bitrix24.status_versions "
            "(source_key, entity_id, status_id, name, sort, first_seen_at, last_seen_at) "
            "values (?, 'DEAL_STAGE', 'OLD', 'Old', 15, ?, ?)",
            [MAIN, NOON, NOON + dt.timedelta(days=4, hours=1)],
        )
        connection.execute("delete from raw_bitrix24.deal_versions where id in (31, 32)")
        for deal in (31, 32):
            # Nobody lists account 77, which owned deal 32 at first.
            for owner, first in ((1 if deal == 31 else 77, 0), (2, 2), (3, 4)):
                seen = NOON + dt.timedelta(days=first, hours=1)
                connection.execute(
                    "insert into raw_bitrix24.deal_versions "
                    "(source_key, id, assigned_by_id, first_seen_at, last_seen_at) "
                    "values (?, ?, ?, ?, ?)",
                    [MAIN, deal, owner, seen, seen],
                )
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


def test_a_mass_move_lies_in_a_full_window_of_one_person(company: Settings) -> None:
    """In dbt and, moves counted window by window, in the reference."""
    path = company.companies_dir.parent / "portal.sqlite"
    with PortalStore(path, read_only=True) as store:
        made = moves(store, read_store(path), RULES)
    expected = {made[number].card[1] for number in mass_moves(made, MASS_CARDS, MASS_MINUTES)}
    found = asked(
        company,
        "select deals.deal_id from intermediate.int_mass_moves as moves "
        "inner join marts.fct_deals as deals on moves.card_key = deals.deal_key",
    )
    assert {row[0] for row in found} == expected == {11, 12, 13, 14}


def test_mass_moves_are_no_touches(company: Settings) -> None:
    found = asked(
        company,
        "select deals.deal_id from marts.fct_touches as touches "
        "inner join marts.fct_deals as deals using (deal_key) "
        "where touches.touch_type = 'stage_move' and deals.deal_id < 30 order by 1",
    )
    assert found == [(15,), (16,), (21,), (22,), (23,)]


def test_an_owner_holds_from_the_load_that_first_saw_them(company: Settings) -> None:
    found = asked(
        company,
        "select epoch_us(owned_from_at), epoch_us(owned_until_at), employee_id, "
        "intervals.owner_basis "
        "from marts.fct_owner_intervals as intervals "
        "inner join marts.fct_deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on intervals.owner_employee_key = employees.employee_key "
        "where deal_id = 31 order by owned_from_at, valid_to",
    )
    first, second, third = (at(day * DAY + 60) for day in (0, 2, 4))
    assert found == [
        (at(0), first, 1, "current"),
        (first, second, 1, "snapshot"),
        (second, third, 2, "snapshot"),
        (third, None, 3, "snapshot"),
    ]


def test_a_close_is_credited_to_the_owner_that_was_seen_last_before_it(company: Settings) -> None:
    found = asked(
        company,
        "select deal_id, employee_id, closes.owner_basis "
        "from marts.fct_deal_closes as closes inner join marts.fct_deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on closes.owner_employee_key = employees.employee_key order by 1",
    )
    # Deal 32 was won at its creation, before any load: its first known owner.
    assert found == [(31, 2, "snapshot"), (32, 77, "current")]


def test_an_amount_of_billions_is_converted(company: Settings) -> None:
    found = asked(company, "select company_amount from marts.fct_deals where deal_id = 31")
    assert found == [(Decimal("5000000000.00"),)]


def test_a_planned_call_is_work_and_a_record_of_a_call_is_none(company: Settings) -> None:
    found = asked(
        company, "select record_id, task_kind, is_completed from marts.fct_tasks order by 1"
    )
    assert found == [("2", "planned_call", False), ("3", "planned_call", True)]


def test_what_a_client_writes_is_no_touch(company: Settings) -> None:
    messages = asked(
        company, "select message_type, direction, is_session from marts.fct_messages order by 2"
    )
    assert messages == [("chat", "inbound", False), ("chat", "outbound", False)]
    touches = asked(company, "select count(*) from marts.fct_touches where touch_type = 'message'")
    assert touches == [(1,)]


def test_with_paid_invoices_they_are_the_payments(company: Settings) -> None:
    """Not the file. Invoice 2 is not paid, the deal of invoice 3 doesn't exist."""
    found = asked(
        company,
        "select payment_basis, payment_record_id, deal_id, epoch_us(paid_at), payments.amount, "
        "employee_id from marts.fct_payments as payments "
        "inner join marts.fct_deals using (deal_key) "
        "inner join marts.dim_employees as employees "
        "on payments.owner_employee_key = employees.employee_key",
    )
    assert found == [("invoice", "1", 31, at(DAY), Decimal("50.00"), 2)]


def test_a_rebuilt_funnel_has_a_break_at_the_load_that_saw_it(company: Settings) -> None:
    found = asked(
        company,
        "select version_number, is_break, stage_set, valid_from_at, valid_to "
        "from marts.dim_stage_set_versions order by 1",
    )
    cut = dt.datetime(2026, 3, 12, 12, 0)
    rest = "WORK (open), WON (won), LOST (lost)"
    assert found == [
        (1, False, f"NEW (open), OLD (open), {rest}", dt.datetime(1, 1, 1), cut),
        (2, True, f"NEW (open), {rest}", cut, dt.datetime(9999, 12, 31)),
    ]
