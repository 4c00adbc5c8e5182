"""The story this project began with: a manager who left before anything was loaded.

Sofia left about 60 days before the first load and still owns eight leads on the key stage. The
quarter that is asked for overlaps her last days. Her work of then stays hers, what is open now
stands under "former employees (to reassign)", totals don't change, and the head of her department
is told which eight leads to hand over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.portals import at, call_row, make_portal
from tests.support.raw import write_raw

DAY = 24 * 60
MAIN = "bitrix24:main"
FORMER = -1
HEADS_OFFICE, SALES = 1, 2
HANNA, SOFIA, PAVEL = 2, 3, 4
LEFT_OVER = range(1, 9)
"""Sofia's leads: she moved one to the key stage on each of 23 February to 2 March."""
OF_PAVEL = range(11, 14)
SOFIAS_CALLS, PAVELS_CALLS = 5, 2
STAGES = {"NEW": "P", "KEY": "P", "CONVERTED": "S", "JUNK": "F"}


def lead(lead_id: int, owner: int, created: float, key_at: float) -> dict[str, Any]:
    return {
        "ID": lead_id,
        "TITLE": f"Lead {lead_id}",
        "STATUS_ID": "KEY",
        "STATUS_SEMANTIC_ID": "P",
        "ASSIGNED_BY_ID": owner,
        "DATE_CREATE": at(created),
        "DATE_MODIFY": at(key_at),
    }


def entry(row_id: int, lead_id: int, minutes: float, stage: str) -> dict[str, Any]:
    return {
        "ID": row_id,
        "TYPE_ID": 2,
        "OWNER_ID": lead_id,
        "CREATED_TIME": at(minutes),
        "STATUS_SEMANTIC_ID": "P",
        "STATUS_ID": stage,
    }


def portal(path: Path) -> PortalStore:
    """As-of is 1 May 2026, 12:00 UTC; Sofia's last login was on 2 March, at noon."""
    store = make_portal(path, clock_minutes=60 * DAY)
    store.insert(
        "department",
        [
            {"ID": HEADS_OFFICE, "NAME": "Company", "PARENT": None, "UF_HEAD": 1},
            {"ID": SALES, "NAME": "Sales", "PARENT": HEADS_OFFICE, "UF_HEAD": HANNA},
        ],
    )
    store.insert(
        "user",
        [
            {
                "ID": number,
                "ACTIVE": int(number != SOFIA),
                "NAME": name,
                "LAST_NAME": "Test",
                "LAST_LOGIN": at(0 if number == SOFIA else 59 * DAY),
                "UF_DEPARTMENT": f"[{SALES}]",
                "USER_TYPE": "employee",
            }
            for number, name in ((HANNA, "Hanna"), (SOFIA, "Sofia"), (PAVEL, "Pavel"))
        ],
    )
    store.insert(
        "status",
        [
            {
                "ID": 50 + number,
                "ENTITY_ID": "STATUS",
                "STATUS_ID": stage,
                "NAME": stage.title(),
                "SORT": number * 10,
                "SEMANTICS": None if semantics == "P" else semantics,
            }
            for number, (stage, semantics) in enumerate(STAGES.items(), start=1)
        ],
    )
    owners = dict.fromkeys(LEFT_OVER, SOFIA) | dict.fromkeys(OF_PAVEL, PAVEL)
    # 23 February to 2 March for Sofia; Pavel's in April.
    key_days = {n: n - 8 for n in LEFT_OVER} | {n: 30 + n for n in OF_PAVEL}
    store.insert(
        "lead",
        [
            lead(n, owner, (key_days[n] - 10) * DAY, key_days[n] * DAY - 60)
            for n, owner in owners.items()
        ],
    )
    store.insert(
        "lead_stage_history",
        [entry(n, n, (key_days[n] - 10) * DAY, "NEW") for n in owners]
        + [entry(100 + n, n, key_days[n] * DAY - 60, "KEY") for n in owners],
    )
    store.insert(
        "call",
        [call_row(n, -DAY + n, PORTAL_USER_ID=SOFIA) for n in range(1, 1 + SOFIAS_CALLS)]
        + [call_row(20 + n, -DAY + n, PORTAL_USER_ID=PAVEL) for n in range(PAVELS_CALLS)],
    )
    return store


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("dismissed")
    settings = make_company(
        root, files={"stages.csv": "connection,pipeline_id,stage_id,role\nmain,-1,KEY,key\n"}
    )
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as connection:
        write_raw(connection, {MAIN: portal(root / "portal.sqlite")})
    load_company_rules(settings)
    dbt_build(settings)
    return settings


def by_person(company: Settings, metric: str, period: str, starts_on: str) -> dict[str, int]:
    """The metric's numbers of people that are not 0, by name, and the company's under `all`."""
    with warehouse(company) as connection:
        rows = connection.execute(
            "select case when kpis.slice_type = 'all' then 'all' else employees.employee_name end, "
            "kpis.value from metrics.metric_sales_kpi__by_period as kpis "
            "left join marts.dim_employees as employees "
            "on kpis.reporting_employee_key = employees.employee_key "
            "where kpis.metric_name = ? and kpis.period_type = ? and kpis.starts_on = ? "
            "and kpis.slice_type in ('all', 'employee') and kpis.value <> 0",
            [metric, period, starts_on],
        ).fetchall()
    return {name: int(value) for name, value in rows}


def test_her_own_work_stays_hers_in_the_quarter_of_her_last_days(company: Settings) -> None:
    quarter = ("quarter", "2026-01-01")
    assert by_person(company, "key_stage_entries", *quarter) == {"Sofia Test": 8, "all": 8}
    assert by_person(company, "calls", *quarter) == {"Sofia Test": 5, "Pavel Test": 2, "all": 7}


def test_days_add_up_to_the_quarter(company: Settings) -> None:
    days = [
        by_person(company, "key_stage_entries", "day", f"2026-{day}")
        for day in ("02-23", "02-24", "02-25", "02-26", "02-27", "02-28", "03-01", "03-02", "03-03")
    ]
    assert days == [{"Sofia Test": 1, "all": 1}] * 8 + [{}]


def test_what_is_open_now_stands_under_former_employees(company: Settings) -> None:
    former = "Former employees (to reassign)"
    with warehouse(company) as connection:
        open_cards = connection.execute(
            "select employee_name, is_on_key_stage, count(*) "
            "from metrics.metric_open_cards__by_card group by all order by 1"
        ).fetchall()
    assert open_cards == [(former, True, 8), ("Pavel Test", True, 3)]


def test_no_report_of_now_names_her(company: Settings) -> None:
    """Every table of metrics with a column of who is responsible now."""
    with warehouse(company) as connection:
        sofia = connection.execute(
            "select employee_key from marts.dim_employees where employee_name = 'Sofia Test'"
        ).fetchone()
        assert sofia is not None
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.columns "
            "where column_name = 'current_reporting_employee_key' "
            "and table_schema in ('marts', 'metrics')"
        ).fetchall()
        assert len(tables) > 3
        for (table,) in tables:
            named = connection.execute(
                f"select count(*) from {table} where current_reporting_employee_key = ?", sofia
            ).fetchone()
            assert named == (0,), table


def test_the_head_of_her_department_is_told_which_leads_to_hand_over(company: Settings) -> None:
    with warehouse(company) as connection:
        told = connection.execute(
            "select entity, record_id, culprit_name, responsible_name, responsible_basis, "
            "card_url is not null, sentence "
            "from marts.fct_data_quality_issues where rule_id = 'Q2' "
            "order by record_id::integer"
        ).fetchall()
    assert told == [
        (
            "lead",
            str(number),
            "Sofia Test",
            "Hanna Test",
            "head",
            True,
            f"Open lead {number} belongs to Sofia Test, who no longer works here: hand it over.",
        )
        for number in LEFT_OVER
    ]


def test_when_she_left_and_how_that_is_known(company: Settings) -> None:
    with warehouse(company) as connection:
        known = connection.execute(
            "select dismissed_on::varchar, dismissed_on_basis from marts.dim_employees "
            "where employee_name = 'Sofia Test'"
        ).fetchone()
    assert known == ("2026-03-03", "last_own_action")
