"""One company, served once as Bitrix24 and once as amoCRM, gives equal marts and metrics."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from orchestration.demo import EXCHANGE
from orchestration.settings import PROJECT_DIR, Settings
from sources.demo.amocrm.conversion import write_amo_store
from sources.demo.amocrm.store import AmoStore
from sources.demo.generator import write_store
from sources.demo.replay import write_replay
from sources.demo.store import PortalStore
from sources.demo.telephony.office import write_office
from tests.support.common_ground import REASONS, add_stages, common_ground
from tests.support.companies import (
    WITHOUT_TESTS,
    dbt_build,
    load_account,
    load_company_rules,
    load_exchange,
    load_portal,
    warehouse,
)
from tests.support.equal_marts import differences, tables_of

HELPDESK = PROJECT_DIR / "tests" / "data" / "helpdesk"
DOCS = PROJECT_DIR / "docs" / "crm-systems.md"
NOT_COMPARED = {
    "*.card_url": "Links lead to the system's own pages.",
    "*.current_card_url": "Links lead to the system's own pages.",
    "*.entry_card_url": "Links lead to the system's own pages.",
    "*.owning_card_url": "Links lead to the system's own pages.",
    "*.client_url": "Links lead to the system's own pages.",
    "*.stage_id": "Ids are the system's own; those of stages are unique only within a pipeline.",
    "dim_stage_set_versions.stage_set": (
        "Ids are the system's own; those of stages are unique only within a pipeline."
    ),
    "*.owner_basis": "amoCRM keeps the history of owners, Bitrix24 the present one.",
    "dim_employees.hired_on": (
        "A first action as an owner is told by a history of owners, which amoCRM has."
    ),
    "dim_employees.hired_on_basis": (
        "A first action as an owner is told by a history of owners, which amoCRM has."
    ),
    "metric_activity_index__by_month.*": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "metric_employee_activity__by_day.*": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "metric_open_cards__by_card.last_change_at": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "metric_open_cards__by_card.days_since_change": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "metric_open_cards__by_card.change_band": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "metric_operative_sheet__by_item.item_type": (
        "amoCRM has one list of tasks; Bitrix24's to-dos and meetings are activities."
    ),
    "metric_reconciliation__by_entity.*": "The lists that are counted are the system's own.",
    "metric_signals__by_employee.*": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "dim_products.catalog_id": "Ids are the system's own; Bitrix24 has one catalog.",
    "dim_sources.is_listed": (
        "amoCRM has no dictionary of sources: there are those that cards name."
    ),
    "fct_crm_actions.*": "Bitrix24 names the last mover and the last change at each load only.",
    "fct_data_quality_issues.sentence": "Sentences name the system's own ids.",
    "fct_messages.is_session": "amoCRM tells each message of a chat.",
    "fct_owner_intervals.*": "Bitrix24's owners are those that loads have seen.",
    "fct_requests.handled_reporting_employee_key": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "fct_tasks.entity": (
        "amoCRM has one list of tasks; Bitrix24's to-dos and meetings are activities."
    ),
    "fct_tasks.record_id": (
        "amoCRM has one list of tasks; Bitrix24's to-dos and meetings are activities."
    ),
    "fct_tasks.task_kind": (
        "amoCRM has one list of tasks; Bitrix24's to-dos and meetings are activities."
    ),
    "fct_tasks.held_at": "amoCRM knows of a meeting by when it is to be done, not its beginning.",
    "fct_tasks.completed_at_basis": "Bitrix24's activities don't tell when they were done.",
    "fct_touches.employee_key": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
    "fct_touches.reporting_employee_key": (
        "Bitrix24 names the last mover and the last change at each load only."
    ),
}


def write_portal(data_set: str, path: Path) -> None:
    if data_set == "demo":
        write_store(path, size="small", seed=1)
        with PortalStore(path, read_only=True) as portal:
            write_office(portal, path.with_name(EXCHANGE))
    else:
        write_replay(HELPDESK, path)


def company_of(root: Path, name: str, dismissals: str) -> Settings:
    """A shipped company with dates of dismissals, which only Bitrix24 can tell from logins, and
    with the extensions that Bitrix24 knows of its users in the file.
    """
    folder = root / "companies" / name
    shutil.copytree(PROJECT_DIR / "companies" / name, folder)
    (folder / "dismissals.csv").write_text(dismissals, encoding="utf-8")
    if name == "demo":
        start_without_leads(folder / "journey_steps.csv")
    if name.startswith("demo"):
        shutil.copy(PROJECT_DIR / "companies" / "demo_amocrm" / "extensions.csv", folder)
    return Settings(
        company=name,
        companies_dir=root / "companies",
        data_root=root / "data",
        memory_limit="1GB",
    )


def start_without_leads(path: Path) -> None:
    """Take the step of leads, which amoCRM has none of, from the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    begun = {row["funnel"] for row in rows if row["pipeline_id"] == "leads"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            if row["pipeline_id"] != "leads":
                number = int(row["step_number"]) - (row["funnel"] in begun)
                writer.writerow({**row, "step_number": number})


DEMO = pytest.param("demo", marks=pytest.mark.long)


@pytest.fixture(scope="module", params=[DEMO, "helpdesk"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Settings]:
    """The company as Bitrix24 and as amoCRM, built."""
    root = tmp_path_factory.mktemp(request.param)
    write_portal(request.param, root / "whole.sqlite")
    path = common_ground(root / "whole.sqlite", root / "portal.sqlite")
    with PortalStore(path, read_only=True) as portal:
        write_amo_store(portal, root / "account.sqlite")
        gone = portal.query('select "ID" from "user" where "ACTIVE" = 0 order by "ID"')
    add_stages(path)
    rows = [f"main,{row[0]},2026-03-{place:02}" for place, row in enumerate(gone, start=1)]
    dismissals = "\n".join(["connection,employee_id,dismissed_on", *rows]) + "\n"
    name = "demo" if request.param == "demo" else "replay"
    bitrix24 = company_of(root, name, dismissals)
    amocrm = company_of(root, f"{name}_amocrm", dismissals)
    with PortalStore(path, read_only=True) as portal:
        load_portal(bitrix24, portal)
    with AmoStore(root / "account.sqlite", read_only=True) as account:
        load_account(amocrm, account)
    for settings in (bitrix24, amocrm):
        if request.param == "demo":
            load_exchange(settings, f"sqlite:///{root / EXCHANGE}")
        load_company_rules(settings)
        dbt_build(settings, *WITHOUT_TESTS)
    return bitrix24, amocrm


def forget_movers(settings: Settings) -> None:
    """Take away the numbers of people that moves go into: only amoCRM knows all movers (see
    `fct_touches.employee_key` above). Who handled a request is nobody where the first touch was a
    move; nobody has rows without a value in the periods of such requests.
    """
    with warehouse(settings, read_only=False) as connection:
        for name in tables_of(connection):
            columns = connection.execute(f"describe {name}").fetchall()
            if "metric_name" in {column for column, *_ in columns}:
                connection.execute(
                    f"delete from {name} "
                    "where metric_name in ('requests_handled', 'activity_index')"
                )
        connection.execute(
            "delete from metrics.metric_sales_kpi__by_period where slice_type = 'employee' "
            "and reporting_employee_key = -2 and coalesce(value, 0) = 0"
        )


def test_every_mart_and_metric_is_equal(both: tuple[Settings, Settings]) -> None:
    bitrix24, amocrm = both
    for settings in both:
        forget_movers(settings)
    with warehouse(bitrix24) as connection:
        tables = tables_of(connection)
        rows = {
            name: connection.execute(f"select count(*) from {name}").fetchall()[0][0]
            for name in tables
        }
    assert len(tables) >= 9
    assert rows["marts.fct_stage_visits"] > 5_000
    assert differences(bitrix24, amocrm, NOT_COMPARED) == {}


@pytest.mark.parametrize("both", [DEMO], indirect=True)
def test_the_exchange_is_merged_with_either(both: tuple[Settings, Settings]) -> None:
    """Were the same pairs not found, or none, the marts could still be equal."""
    for settings in both:
        with warehouse(settings) as connection:
            found = connection.execute(
                "select coalesce(pair_basis, call_sources) as kind, count(*) "
                "from marts.fct_calls group by kind"
            ).fetchall()
        counts = dict(found)
        assert counts.keys() == {"id", "phone", "crm", "pbx"}
        assert min(counts.values()) > 1_000
        assert counts["phone"] > 10_000


@pytest.mark.parametrize("both", ["helpdesk"], indirect=True)
def test_a_difference_in_one_value_or_one_key_would_be_found(
    both: tuple[Settings, Settings], tmp_path: Path
) -> None:
    bitrix24, amocrm = both
    for change in (
        "update marts.fct_deals set amount = amount + 1 where rowid = 7",
        """update marts.fct_stage_visits set stage_key = (
            select max(stage_key) from marts.dim_stages
            where stage_key <> fct_stage_visits.stage_key and stage_semantics = 'open'
        ) where rowid = 7""",
        "delete from marts.dim_employees where rowid = 1",
    ):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.copytree(amocrm.data_dir, tmp_path / "data" / amocrm.company)
        changed = amocrm.model_copy(update={"data_root": tmp_path / "data"})
        with warehouse(changed, read_only=False) as connection:
            connection.execute(change)
        assert differences(bitrix24, changed, NOT_COMPARED), change


def test_what_only_one_system_knows_stands_in_the_docs() -> None:
    told = " ".join(DOCS.read_text(encoding="utf-8").split())
    reasons = [*REASONS, *NOT_COMPARED.values()]
    assert [reason for reason in reasons if reason not in told] == []
