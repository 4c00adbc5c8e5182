"""Old runs of one company in a Dagster instance that others share."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Collection
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage


def forget_old_runs(
    instance: DagsterInstance, company: str, jobs: Collection[str], before: dt.datetime
) -> int:
    """Delete a company's runs that were created before an instant: events, logs, outputs.

    The newest run of each job that succeeded stays, however old: with it stay the newest
    materialisation and check of every asset. A run that old which has not ended was killed.

    Args:
        instance: of Dagster; runs of other companies are left alone.
        company: what its assets' keys start with.
        jobs: the names of its jobs.
        before: runs created from then on stay.

    Returns:
        How many runs were deleted.
    """
    newest = {
        run.run_id
        for job in jobs
        for run in instance.get_runs(
            RunsFilter(job_name=job, statuses=[DagsterRunStatus.SUCCESS]), limit=1
        )
    }
    old = [
        run
        for run in instance.get_runs(RunsFilter(created_before=before))
        if run.run_id not in newest and _is_of(run, company, jobs)
    ]
    for run in old:
        _forget(instance, run.run_id)
    return len(old)


def _is_of(run: DagsterRun, company: str, jobs: Collection[str]) -> bool:
    if run.job_name in jobs:
        return True
    # What is materialised by hand runs in a job without the company's name.
    keys = {*(run.asset_selection or ()), *(c.asset_key for c in run.asset_check_selection or ())}
    return bool(keys) and all(key.path[0] == company for key in keys)


def _forget(instance: DagsterInstance, run_id: str) -> None:
    """Delete one run, its row last: a kill before that leaves it to the next upkeep."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    events = instance.event_log_storage
    events.delete_events(run_id)
    if isinstance(events, SqliteEventLogStorage):
        # Dagster empties a run's own file of events and keeps it: 16 MB a daily run.
        shard = Path(events.path_for_shard(run_id))
        for path in (shard, *(shard.with_name(f"{shard.name}-{end}") for end in ("wal", "shm"))):
            path.unlink(missing_ok=True)
    instance.run_storage.delete_run(run_id)
