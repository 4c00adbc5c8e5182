"""Assets, checks, job and schedule of a company, as Dagster sees them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from dagster import AssetKey, Definitions, FreshnessPolicy

from orchestration.definitions import definitions_for, job_name
from orchestration.freshness import longest_pause
from orchestration.lock import warehouse_lock
from orchestration.manifest import read_manifest
from orchestration.settings import Settings
from tests.support.companies import make_company, write_version

KEPT_BY_HOOKS = {
    AssetKey(["acme", "raw_derived", table]) for table in ("forecasts", "finding_events")
}
"""dbt's hooks write them; no step of the job makes them."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = make_company(tmp_path_factory.mktemp("definitions"), "acme", zone="Europe/Kyiv")
    rules = made.company_dir / "company.toml"
    rules.write_text(rules.read_text() + '\n[schedule]\ncron = "15 4 * * *"\n')
    return made.model_copy(update={"lock_timeout_seconds": 0.1})


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> Definitions:
    return definitions_for(settings)


def test_every_key_starts_with_the_company(definitions: Definitions) -> None:
    keys = [spec.key for spec in definitions.resolve_all_asset_specs()]
    assert len(keys) > 70
    assert {key.path[0] for key in keys} == {"acme"}


def test_the_schedule_takes_cron_and_zone_from_the_companys_rules(
    definitions: Definitions,
) -> None:
    schedule = definitions.resolve_schedule_def("acme__daily_refresh_schedule")
    assert schedule.cron_schedule == "15 4 * * *"
    assert schedule.execution_timezone == "Europe/Kyiv"
    assert schedule.job_name == job_name("acme")


def test_every_asset_is_late_some_hours_after_the_longest_pause_of_the_schedule(
    definitions: Definitions,
) -> None:
    # Daily, and six hours on top; half of them for the warning.
    policy = FreshnessPolicy.time_window(dt.timedelta(hours=30), dt.timedelta(hours=27))
    policies = {spec.key: spec.freshness_policy for spec in definitions.resolve_all_asset_specs()}
    assert {key for key, found in policies.items() if found is None} == KEPT_BY_HOOKS
    assert set(policies.values()) - {None} == {policy}


@pytest.mark.parametrize(
    ("cron", "hours"),
    [("0 5 * * *", 24), ("0 5 * * 1-5", 72), ("0 */4 * * *", 4), ("0 5 1 * *", 31 * 24)],
)
def test_the_longest_pause_of_a_schedule_counts(cron: str, hours: int) -> None:
    assert longest_pause(cron) == dt.timedelta(hours=hours)


def test_alerts_listen_from_the_first_start(definitions: Definitions) -> None:
    sensors = {sensor.name: sensor.default_status.value for sensor in definitions.sensors or ()}
    assert sensors == {"acme__run_failure_alert": "RUNNING", "acme__check_alert": "RUNNING"}


def test_every_dbt_test_is_a_check_on_its_table_that_says_what_it_asserts(
    settings: Settings, definitions: Definitions
) -> None:
    tests = {
        node["name"]: node
        for node in read_manifest(settings)["nodes"].values()
        if node["resource_type"] == "test"
    }
    models = definitions.resolve_assets_def(AssetKey(["acme", "marts", "fct_calls"]))
    specs = {spec.name: spec for spec in models.check_specs}
    assert specs.keys() == tests.keys()
    kinds = {name: spec.metadata["kind"] for name, spec in specs.items()}
    assert set(kinds.values()) == {"keys", "relationships", "values", "arithmetic"}
    assert kinds["assert_every_call_is_counted_once"] == "arithmetic"
    on_calls = specs["not_null_fct_calls_call_key"]
    assert on_calls.asset_key == AssetKey(["acme", "marts", "fct_calls"])
    assert on_calls.description == "call_key is never empty (dbt; a failure stops the build)."
    warning = specs["relationships_fct_goals_stage_key__stage_key__ref_dim_stages_"]
    assert warning.description == "stage_key leads to a row (dbt; a failure warns)."


def test_the_job_holds_every_asset_and_every_check_in_one_process(
    definitions: Definitions,
) -> None:
    job = definitions.resolve_job_def(job_name("acme"))
    layer = job.asset_layer
    known = {spec.key for spec in definitions.resolve_all_asset_specs()}
    assert known - set(layer.executable_asset_keys) == KEPT_BY_HOOKS
    assert job.executor_def.name == "in_process"
    assert len(set(job.graph.node_dict)) == 9


def test_raw_tables_lead_to_the_models_and_the_gate_to_publishing(
    definitions: Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    by_name = {"/".join(key.path): key for key in graph.get_all_asset_keys()}
    staging = graph.get(by_name["acme/staging/stg_bitrix24__deals"])
    assert by_name["acme/raw_bitrix24/deals"] in staging.parent_keys
    assert graph.get(by_name["acme/published_files"]).parent_keys == {by_name["acme/quality_gate"]}
    gate = graph.get(by_name["acme/quality_gate"])
    assert by_name["acme/metrics/metric_call_load__by_stage"] in gate.parent_keys


def test_every_step_is_in_the_companys_pool(definitions: Definitions) -> None:
    job = definitions.resolve_job_def(job_name("acme"))
    pools = {node.definition.pool for node in job.graph.node_dict.values()}
    assert pools == {"acme_warehouse"}


def test_every_step_holds_the_companys_lock_also_where_it_runs_alone(
    definitions: Definitions,
) -> None:
    for name in (job_name("acme"), "acme__backfill", "acme__upkeep"):
        for node in definitions.resolve_job_def(name).graph.node_dict.values():
            assert "warehouse" in node.definition.required_resource_keys, node.name


def test_a_run_that_meets_another_writer_says_who_it_is(
    settings: Settings, definitions: Definitions
) -> None:
    with warehouse_lock(settings.lock_file, "make dbt by hand"):
        job = definitions.resolve_job_def(job_name("acme"))
        result = job.execute_in_process(raise_on_error=False)
    assert not result.success
    told = str([event.event_specific_data for event in result.all_events])
    assert "is being written by make dbt by hand" in told


def test_a_run_leaves_a_newer_warehouse_alone(settings: Settings, definitions: Definitions) -> None:
    write_version(settings.warehouse, 99)
    job = definitions.resolve_job_def(job_name("acme"))
    result = job.execute_in_process(raise_on_error=False)
    settings.warehouse.unlink()
    assert not result.success
    told = str([event.event_specific_data for event in result.all_events])
    assert "its version is 99" in told


def test_an_unknown_company_is_no_attribute() -> None:
    import orchestration.definitions as module

    with pytest.raises(AttributeError):
        _ = module.nosuchcompany


def test_two_companies_have_no_key_in_common(settings: Settings, tmp_path: Path) -> None:
    other = make_company(tmp_path, "beta")
    keys = [
        {spec.key for spec in definitions_for(made).resolve_all_asset_specs()}
        for made in (settings, other)
    ]
    assert not keys[0] & keys[1]
