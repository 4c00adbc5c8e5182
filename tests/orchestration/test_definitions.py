"""Assets, checks, job and schedule of a company, as Dagster sees them."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dagster import (
    AssetCheckKey,
    AssetChecksDefinition,
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    FreshnessPolicy,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.workspace.load import location_origins_from_yaml_paths

from orchestration.definitions import definitions_for, job_name
from orchestration.freshness import longest_pause
from orchestration.lock import warehouse_lock
from orchestration.manifest import manifest_path, read_manifest
from orchestration.settings import PROJECT_DIR, Settings
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
    assert len(set(job.graph.node_dict)) == 10


def test_raw_tables_lead_to_the_models_and_the_gate_to_publishing(
    definitions: Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    by_name = {"/".join(key.path): key for key in graph.get_all_asset_keys()}
    staging = graph.get(by_name["acme/staging/stg_bitrix24__deals"])
    assert by_name["acme/raw_bitrix24/deals"] in staging.parent_keys
    files = by_name["acme/published_files"]
    assert graph.get(files).parent_keys == {by_name["acme/quality_gate"]}
    assert graph.get(by_name["acme/published_postgres"]).parent_keys == {files}
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


# Two companies in one instance


@pytest.fixture(scope="module")
def other(settings: Settings, definitions: Definitions) -> Settings:
    made = make_company(settings.companies_dir.parent / "other", "beta")
    made.company_dir.rename(settings.companies_dir / "beta")
    made = settings.for_company("beta")
    made.make_folders()
    # Of the same models: parsing them again would cost 8 CPU seconds.
    shutil.copy(manifest_path(settings), made.dbt_target_dir)
    return made


@pytest.fixture(scope="module")
def of_other(other: Settings) -> Definitions:
    return definitions_for(other)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    # In memory: two hundred checks of each company would wait for the disk one by one.
    with DagsterInstance.ephemeral() as made:
        yield made


def judged_warehouse(settings: Settings, definitions: Definitions, *, failing: str = "") -> None:
    """A warehouse with one finished build, of which all checks have passed but one."""
    settings.make_folders()
    names = {key.name for key in quality_checks_of(definitions)}
    assert failing in {*names, ""}
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema raw_derived")
        connection.execute(
            "create table raw_derived.builds as select 1 as build_number, 0 as failures_count"
        )
        connection.execute(
            "create table raw_derived.check_outcomes as select 1 as build_number, name as "
            "check_name, true as is_blocking, 'error' as severity, name <> ? as has_passed, "
            "(name = ?)::bigint as offenders_count, 'says ' || name as sentence, '[]'::json as "
            "offenders, 0::bigint as accepted_count from unnest(?) as names(name)",
            [failing, failing, sorted(names)],
        )


def quality_checks_of(definitions: Definitions) -> set[AssetCheckKey]:
    checks = next(iter(definitions.asset_checks or ()))
    assert isinstance(checks, AssetChecksDefinition)
    return {spec.key for spec in checks.check_specs}


def judge(definitions: Definitions, instance: DagsterInstance) -> ExecuteInProcessResult:
    """The checks of the register and the gate, by hand as in the UI."""
    company = next(iter(definitions.resolve_all_asset_specs())).key.path[0]
    part = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={AssetKey([company, "quality_gate"])},
        asset_check_selection=quality_checks_of(definitions),
    )
    return part.execute_in_process(instance=instance, raise_on_error=False)


def test_a_company_whose_gate_is_closed_leaves_the_others_open(
    settings: Settings,
    definitions: Definitions,
    other: Settings,
    of_other: Definitions,
    instance: DagsterInstance,
) -> None:
    culprit = "no_report_names_a_dismissed_employee"
    judged_warehouse(settings, definitions, failing=culprit)
    judged_warehouse(other, of_other)
    runs = {"acme": judge(definitions, instance), "beta": judge(of_other, instance)}
    settings.warehouse.unlink()
    assert {company: run.success for company, run in runs.items()} == {"acme": False, "beta": True}

    gates = {
        company: instance.get_latest_materialization_event(AssetKey([company, "quality_gate"]))
        for company in runs
    }
    assert gates["acme"] is None
    assert gates["beta"] is not None
    assert gates["beta"].run_id == runs["beta"].run_id
    for made, run in ((definitions, runs["acme"]), (of_other, runs["beta"])):
        keys = quality_checks_of(made)
        kept = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
        assert kept.keys() == keys
        assert {execution.run_id for execution in kept.values()} == {run.run_id}
        failed = {
            key.name
            for key, execution in kept.items()
            if execution.status is AssetCheckExecutionRecordStatus.FAILED
        }
        assert failed == ({culprit} if run is runs["acme"] else set())


def test_two_companies_have_nothing_in_common(
    definitions: Definitions, of_other: Definitions
) -> None:
    def names(made: Definitions) -> set[object]:
        graph = made.resolve_asset_graph()
        repository = made.get_repository_def()
        jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
        pools = {node.definition.pool for job in jobs for node in job.graph.node_dict.values()}
        return {
            *graph.get_all_asset_keys(),
            *graph.asset_check_keys,
            *(job.name for job in jobs),
            *(schedule.name for schedule in repository.schedule_defs),
            *(sensor.name for sensor in repository.sensor_defs),
            *pools,
        }

    assert not names(definitions) & names(of_other)


def test_a_workspace_names_several_companies_each_in_a_location_of_its_own(
    settings: Settings, other: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import orchestration.definitions as module

    entry = (PROJECT_DIR / "workspace.yaml").read_text().partition("load_from:\n")[2]
    assert entry.count("attribute: demo") == 1
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(
        "load_from:\n" + "".join(entry.replace("demo", name) for name in ("acme", "beta"))
    )
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(settings.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(settings.data_root))
    origins = location_origins_from_yaml_paths([str(workspace)])
    assert [origin.location_name for origin in origins] == ["acme", "beta"]
    for origin in origins:
        target = origin.loadable_target_origin
        assert target.module_name == module.__name__
        made = getattr(module, target.attribute)
        companies = {spec.key.path[0] for spec in made.resolve_all_asset_specs()}
        assert companies == {origin.location_name}
