"""Companies that lack a system, or calls: models build and are judged, with empty tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pytest

from expectations.gate import judge, require_open
from expectations.outcomes import outcomes
from orchestration.settings import Settings
from tests.support.amo_accounts import TALKS, lead_row, make_account, move_row
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.portals import deal_row, history_row, make_portal
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import Pbx, write_raw_telephony

DAY = 24 * 60
FACTS = ("fct_deals", "fct_stage_visits", "fct_calls", "fct_data_quality_issues")


def write_nothing(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """No system at all."""


def write_account(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    with make_account(folder / "account.sqlite") as store:
        store.clock = store.clock.replace(day=12)
        store.insert("lead", [lead_row(1, status_id=TALKS, created_by=0)])
        store.insert("event", [move_row(1, 1, 60, 1001, TALKS)])
        write_raw_amocrm(connection, {"amocrm:main": store})


def write_portal(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    with make_portal(folder / "portal.sqlite", clock_minutes=10 * DAY) as store:
        store.insert("deal", [deal_row(1, STAGE_ID="WORK")])
        store.insert("stage_history", [history_row(1, 1, 0, "NEW"), history_row(2, 1, 60, "WORK")])
        write_raw(connection, {"bitrix24:main": store})


def write_telephony(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    cut = dt.datetime(2026, 3, 12, 12, tzinfo=dt.UTC)
    row = {
        "row_key": "a.1/1",
        "uniqueid": "a.1",
        "calldate": "2026-03-02 12:00:00",
        "src": "+79000000001",
        "dst": "101",
        "channel": "PJSIP/trunk-1",
        "dstchannel": "PJSIP/101-2",
        "duration": 70,
        "billsec": 60,
        "disposition": "ANSWERED",
    }
    write_raw_telephony(connection, {"asterisk:office": Pbx(cut, {"asterisk_cdr": [row]})})


COMPANIES: Mapping[
    str, tuple[tuple[str, ...], Callable[[duckdb.DuckDBPyConnection, Path], None]]
] = {
    "nothing": ((), write_nothing),
    "amocrm": (("amocrm:main",), write_account),
    "bitrix24": (("bitrix24:main",), write_portal),
    "asterisk": (("asterisk:office",), write_telephony),
}


@pytest.fixture(scope="module", params=COMPANIES)
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A company with the connections of its name, built with all tests; the CRMs have no calls."""
    connections, write = COMPANIES[request.param]
    root = tmp_path_factory.mktemp(request.param)
    settings = make_company(root, name=request.param, connections=connections)
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as connection:
        write(connection, root)
    load_company_rules(settings)
    dbt_build(settings)
    return settings


def test_marts_hold_what_there_is(company: Settings) -> None:
    with warehouse(company) as connection:
        rows = {
            table: connection.execute(f"select count(*) from marts.{table}").fetchall()[0][0]
            for table in FACTS
        }
        load = connection.execute(
            "select coalesce(sum(calls_count), 0) from metrics.metric_call_load__by_stage "
            "where segment_type = 'all'"
        ).fetchall()
    has_deal = company.company in ("amocrm", "bitrix24")
    has_call = int(company.company == "asterisk")
    assert rows == {
        "fct_deals": int(has_deal),
        "fct_stage_visits": 2 * has_deal,
        "fct_calls": has_call,
        # Nobody knows since when one of the account's users has left.
        "fct_data_quality_issues": int(company.company == "amocrm"),
    }
    assert load == [(has_call,)]


def test_dimensions_hold_what_there_is(company: Settings) -> None:
    with warehouse(company) as connection:
        kinds = connection.execute(
            "select source_key, count(*) from marts.dim_employees group by 1 order by 1"
        ).fetchall()
        pipelines = connection.execute("select count(*) from marts.dim_pipelines").fetchall()
        report = connection.execute("select count(*) from marts.dim_dates where is_as_of_day")
        days = report.fetchall()
    of_nobody = ("(all)", 3)
    assert (kinds, pipelines, days) == {
        "nothing": ([of_nobody], [(0,)], [(0,)]),
        "amocrm": ([of_nobody, ("amocrm:main", 2)], [(2,)], [(1,)]),
        "bitrix24": ([of_nobody, ("bitrix24:main", 1)], [(1,)], [(1,)]),
        "asterisk": ([of_nobody], [(0,)], [(1,)]),
    }[company.company]


def test_the_gate_judges_what_there_is(company: Settings) -> None:
    with warehouse(company, read_only=False) as connection:
        found = outcomes(connection)
        verdict = judge(connection)
        assert require_open(connection).build_number == verdict.build_number
    told = ["no_dismissed_account_acts"] if company.company == "amocrm" else []
    assert [outcome.check_name for outcome in found if not outcome.has_passed] == told
    assert (verdict.is_open, verdict.reasons) == (True, "")
