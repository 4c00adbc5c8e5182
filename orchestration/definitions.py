"""Wiring: one Definitions per company, found by name as `orchestration.definitions.<company>`.

workspace.yaml names one code location per company; an attribute is built when it is asked for, so
that a broken company does not take the others with it.
"""

from __future__ import annotations

from dagster import (
    AssetSelection,
    Definitions,
    ScheduleDefinition,
    apply_freshness_policy,
    colored_console_logger,
    define_asset_job,
    in_process_executor,
    map_asset_specs,
)

from orchestration.alerts.sensors import alert_sensors
from orchestration.assets.load import load_assets
from orchestration.assets.models import dbt_resource, model_assets
from orchestration.assets.publish import publish_assets
from orchestration.backfill import backfill_job, backfill_name
from orchestration.checks.quality import quality_checks
from orchestration.freshness import freshness_policy
from orchestration.manifest import manifest_path, read_manifest
from orchestration.progress import terminal_logger
from orchestration.resources import Warehouse
from orchestration.settings import Settings, read_settings
from orchestration.upkeep.job import upkeep_job, upkeep_schedule
from sources.company import read_company


def job_name(company: str) -> str:
    """The daily job's name; names of a company's things start with the company."""
    return f"{company}__daily_refresh"


def definitions_for(settings: Settings) -> Definitions:
    """Assets, checks, job, schedule and sensors of one company.

    Raises:
        InputError: the company's rules can't be read.
    """
    rules = read_company(settings.company_dir).rules
    manifest = manifest_path(settings)
    dbt_manifest = read_manifest(settings)
    policy = freshness_policy(rules.schedule)
    daily_refresh = define_asset_job(
        name=job_name(settings.company),
        selection=AssetSelection.all(),
        executor_def=in_process_executor,
        description="Load, build, check, judge and publish: everything, once a day.",
    )
    assets = [
        *load_assets(settings),
        model_assets(settings, manifest),
        *publish_assets(settings, dbt_manifest),
    ]
    upkeep = upkeep_job(settings, (daily_refresh.name, backfill_name(settings.company)))
    return Definitions(
        assets=list(map_asset_specs(lambda spec: apply_freshness_policy(spec, policy), assets)),
        asset_checks=[quality_checks(settings, dbt_manifest)],
        jobs=[daily_refresh, backfill_job(settings), upkeep],
        schedules=[
            ScheduleDefinition(
                name=f"{job_name(settings.company)}_schedule",
                job=daily_refresh,
                cron_schedule=rules.schedule.cron,
                execution_timezone=rules.company.time_zone,
            ),
            upkeep_schedule(rules, upkeep),
        ],
        sensors=alert_sensors(settings, rules, job_name(settings.company)),
        resources={"dbt": dbt_resource(), "warehouse": Warehouse.of(settings)},
        executor=in_process_executor,
        loggers={"console": colored_console_logger, "terminal": terminal_logger},
    )


def __getattr__(name: str) -> Definitions:
    settings = read_settings().for_company(name)
    if name.startswith("_") or not (settings.company_dir / "company.toml").exists():
        raise AttributeError(name)
    return definitions_for(settings)
