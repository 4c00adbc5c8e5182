"""The upkeep as a job of Dagster, with its weekly schedule."""

import datetime as dt
from collections.abc import Collection, Mapping
from pathlib import Path

from dagster import (
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    ScheduleDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
    in_process_executor,
    job,
    op,
)

from orchestration.failures import readable_failures
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from orchestration.upkeep.compaction import compact
from orchestration.upkeep.leftovers import forget_old_results, remove_remains
from orchestration.upkeep.runs import forget_old_runs
from orchestration.upkeep.sizes import free_bytes, sizes
from sources.company import read_company
from sources.company.rules import CompanyRules

_SIZES = TableSchema(
    columns=[
        TableColumn("what", "string"),
        TableColumn("before_mb", "float"),
        TableColumn("after_mb", "float"),
    ]
)


def upkeep_name(company: str) -> str:
    """The job's name."""
    return f"{company}__upkeep"


def upkeep_job(settings: Settings, other_jobs: Collection[str]) -> JobDefinition:
    """The job of one company.

    Args:
        settings: of the company.
        other_jobs: whose old runs go, beside the upkeep's own.
    """
    company = settings.company
    jobs = (*other_jobs, upkeep_name(company))

    @op(
        name=f"{company}__tidy",
        description="Remove what old runs have left, compact the warehouse, tell sizes.",
        pool=f"{company}_warehouse",
    )
    def tidy(context: OpExecutionContext, warehouse: Warehouse) -> None:
        with readable_failures():
            keep_days = read_company(settings.company_dir).rules.upkeep.keep_days
            before = dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)
            dagster_storage = Path(context.instance.storage_directory()).parent
            at_first = sizes(settings, dagster_storage)
            gone = {
                "runs": forget_old_runs(context.instance, company, jobs, before),
                **forget_old_results(settings, before),
                "remains of killed runs": remove_remains(settings),
            }
            told = ", ".join(f"{count:,} {what}" for what, count in gone.items() if count)
            context.log.info(f"Older than {keep_days} days or of no use: {told or 'nothing'}.")
            compaction = compact(
                settings.warehouse,
                note=settings.state_dir / "compacted_bytes",
                temp_dir=settings.temp_dir,
                memory_limit=settings.memory_limit,
            )
            context.log.info(compaction.sentence)
            at_last = sizes(settings, dagster_storage)
            free = free_bytes(settings)
            context.log.info(
                f"{company}: {_megabytes(sum(at_first.values())):,.0f} MB became "
                f"{_megabytes(sum(at_last.values())):,.0f} MB; {free / 1e9:,.1f} GB of disk free."
            )
            if free < at_last["warehouse"]:
                context.log.warning(
                    "The disk has less room than the warehouse takes: a whole build may not fit. "
                    "Make room, or move CALLFUNNEL_DATA_ROOT."
                )
        context.add_output_metadata(
            {
                "free_disk_gb": round(free / 1e9, 1),
                "warehouse": compaction.sentence,
                "removed": MetadataValue.json(gone),
                "sizes": _table(at_first, at_last),
            }
        )

    @job(
        name=upkeep_name(company),
        executor_def=in_process_executor,
        description="Remove old runs, logs and packages, compact the warehouse, tell free disk.",
    )
    def upkeep() -> None:
        tidy()

    return upkeep


def upkeep_schedule(rules: CompanyRules, upkeep: JobDefinition) -> ScheduleDefinition:
    """Once a week, in the company's zone."""
    return ScheduleDefinition(
        name=f"{upkeep.name}_schedule",
        job=upkeep,
        cron_schedule=rules.upkeep.cron,
        execution_timezone=rules.company.time_zone,
    )


def _table(before: Mapping[str, int], after: Mapping[str, int]) -> MetadataValue:
    records = [
        TableRecord(
            {
                "what": what,
                "before_mb": round(_megabytes(size), 1),
                "after_mb": round(_megabytes(after[what]), 1),
            }
        )
        for what, size in before.items()
    ]
    return MetadataValue.table(records, schema=_SIZES)


def _megabytes(size: int) -> float:
    return size / 1e6
