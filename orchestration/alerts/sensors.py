"""Two sensors per company: failed runs and failed checks, told once, and told when they are over.

They read Dagster's event log and never the warehouse: a run may be writing it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    EventLogEntry,
    RunsFilter,
    RunStatusChangeRecordsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    TableMetadataValue,
    sensor,
)
from dagster._time import get_current_timestamp

from orchestration.alerts.delivery import addresses_of, send
from orchestration.alerts.messages import Message, Teller
from orchestration.alerts.state import AlertState, Passed, Trouble, Waiting, read_state
from orchestration.failures import failure_sentence
from orchestration.freshness import fail_hours
from orchestration.settings import Settings
from sources.company.rules import CompanyRules

SECONDS_BETWEEN_TICKS = 60
RUNS_PER_TICK = 20
MESSAGES_KEPT = 20
"""While an address can't be reached, so many messages wait for it; the oldest go first."""
MESSAGES_PER_TICK = 5
"""A tick that takes longer than a minute is broken off."""

_End = Literal[
    DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED
]
_ENDS: tuple[_End, ...] = (
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_CANCELED,
)
_STALE = "stale"
_NO_STATE = "{}"
"""Dagster keeps the cursor before where an empty one is given."""

Finding = Trouble | Passed


@dataclass(frozen=True)
class EndedRun:
    """A run of the company that has ended."""

    run_id: str
    job_name: str
    storage_id: int
    is_success: bool


def alert_sensors(
    settings: Settings, rules: CompanyRules, daily_job: str
) -> list[SensorDefinition]:
    """The sensors of one company; without an address they skip and say so."""
    company = settings.company
    teller = Teller(
        rules.company.name, rules.company.language, rules.company.time_zone, settings.ui_url
    )

    def runs(instance: DagsterInstance, ended: Sequence[EndedRun], _: AlertState) -> list[Finding]:
        found = [finding for run in ended for finding in _of_steps(instance, run, company)]
        return found + _staleness(instance, daily_job, fail_hours(rules.schedule), teller)

    def checks(
        instance: DagsterInstance, ended: Sequence[EndedRun], state: AlertState
    ) -> list[Finding]:
        found: list[Finding] = []
        for run in ended:
            judged = list(_of_checks(instance, run, company))
            found += judged
            if run.is_success and run.job_name == daily_job:
                # The daily run judges everything: what it does not know any more has gone.
                known = {finding.key for finding in found}
                found += [
                    Passed(key, run.run_id, is_told=False) for key in state.told.keys() - known
                ]
        return found

    return [
        _sensor(
            settings,
            teller,
            f"{company}__run_failure_alert",
            "Tells once that a run has failed or the reports are stale, and when that is over.",
            runs,
            is_of_runs=True,
        ),
        _sensor(
            settings,
            teller,
            f"{company}__check_alert",
            "Tells once that checks have failed, with the names of those concerned, and when they "
            "pass again.",
            checks,
            is_of_runs=False,
        ),
    ]


def _sensor(
    settings: Settings,
    teller: Teller,
    name: str,
    description: str,
    findings: Callable[[DagsterInstance, Sequence[EndedRun], AlertState], Sequence[Finding]],
    *,
    is_of_runs: bool,
) -> SensorDefinition:
    @sensor(
        name=name,
        description=description,
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=DefaultSensorStatus.RUNNING,
    )
    def alert(context: SensorEvaluationContext) -> SensorResult:
        if not addresses_of(settings.alert_text):
            # It forgets: once there is an address again, it tells what comes from then on.
            return SensorResult(
                skip_reason=SkipReason("No alerts: set CALLFUNNEL_ALERT_URLS, see docs/alerts.md."),
                cursor=_NO_STATE,
            )
        state = read_state(context.cursor)
        if state is None:
            state = AlertState(after=_newest(context.instance))
            return _result(state, "Listening from now on.")
        ended, state.after = _ended_runs(context.instance, state.after, settings.company)
        news = state.take(findings(context.instance, ended, state))
        if news:
            _wait(state, teller.message(news, is_of_runs=is_of_runs), settings, context)
        return _result(state, _deliver(state, settings, context))

    return alert


def _result(state: AlertState, told: str) -> SensorResult:
    return SensorResult(skip_reason=SkipReason(told), cursor=state.model_dump_json())


def _wait(
    state: AlertState, message: Message, settings: Settings, context: SensorEvaluationContext
) -> None:
    keys = [address.key for address in addresses_of(settings.alert_text)]
    state.waiting.append(Waiting(title=message.title, body=message.body, addresses=keys))
    for dropped in state.waiting[:-MESSAGES_KEPT]:
        context.log.error(f"Given up after too many that could not be sent: {dropped.title}")
    state.waiting = state.waiting[-MESSAGES_KEPT:]


def _deliver(state: AlertState, settings: Settings, context: SensorEvaluationContext) -> str:
    """Send what waits, in its order; an address that refuses gets no further message this time."""
    addresses = {address.key: address for address in addresses_of(settings.alert_text)}
    refusing: dict[str, str] = {}
    sent = 0
    for waiting in state.waiting[:MESSAGES_PER_TICK]:
        tried = [
            addresses[key] for key in waiting.addresses if key in addresses and key not in refusing
        ]
        delivery = send(Message(waiting.title, waiting.body), tried)
        refusing |= delivery.refused
        sent += len(tried) - len(delivery.refused)
        # An address that was taken out of the setting is forgotten.
        waiting.addresses = [
            key for key in waiting.addresses if key in addresses and key in refusing
        ]
    state.waiting = [waiting for waiting in state.waiting if waiting.addresses]
    for problem in refusing.values():
        context.log.warning(f"An alert could not be sent and will be tried again. {problem}")
    if state.waiting:
        return f"Sent: {sent}; waiting for an address that refuses: {len(state.waiting)}."
    return f"Sent: {sent}." if sent else "Nothing new."


def _newest(instance: DagsterInstance) -> int:
    return max(
        (
            record.storage_id
            for kind in _ENDS
            for record in instance.fetch_run_status_changes(kind, limit=1).records
        ),
        default=0,
    )


def _ended_runs(instance: DagsterInstance, after: int, company: str) -> tuple[list[EndedRun], int]:
    """The next runs that have ended, oldest first, and the storage id to go on from."""
    records = sorted(
        (
            record
            for kind in _ENDS
            for record in instance.fetch_run_status_changes(
                RunStatusChangeRecordsFilter(kind, after_storage_id=after),
                limit=RUNS_PER_TICK,
                ascending=True,
            ).records
        ),
        key=lambda record: record.storage_id,
    )[:RUNS_PER_TICK]
    runs = [
        EndedRun(
            record.run_id,
            record.event_log_entry.job_name or "",
            record.storage_id,
            record.event_type == DagsterEventType.RUN_SUCCESS,
        )
        for record in records
    ]
    # What is materialised by hand runs in a job without the company's name.
    own = [run for run in runs if run.job_name.startswith((f"{company}__", "__"))]
    return own, records[-1].storage_id if records else after


def _of_steps(instance: DagsterInstance, run: EndedRun, company: str) -> Iterator[Finding]:
    """What a run says about its steps; about itself where it failed outside of them."""
    kinds = {
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.RUN_FAILURE,
    }
    has_failed_step = False
    failed_run: Trouble | None = None
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = _event(entry)
        key = event.step_key
        if event.event_type == DagsterEventType.RUN_FAILURE:
            failed_run = _failure(entry, run.job_name)
        elif key and key.startswith(f"{company}__"):
            if event.event_type == DagsterEventType.STEP_SUCCESS:
                yield Passed(key, run.run_id)
            else:
                has_failed_step = True
                yield _failure(entry, key)
    if run.job_name.startswith(f"{company}__"):
        is_outside = failed_run is not None and not has_failed_step
        yield failed_run if failed_run and is_outside else Passed(run.job_name, run.run_id)


def _failure(entry: EventLogEntry, key: str) -> Trouble:
    return Trouble(
        key=key,
        name=key.partition("__")[2],
        at=entry.timestamp,
        run_id=entry.run_id,
        sentence=failure_sentence(_event(entry)),
    )


def _staleness(
    instance: DagsterInstance, daily_job: str, hours: float, teller: Teller
) -> list[Finding]:
    """A schedule that is off, or a daemon that is down, fails no run."""
    records = instance.get_run_records(
        RunsFilter(job_name=daily_job, statuses=[DagsterRunStatus.SUCCESS]), limit=1
    )
    ended_at = records[0].end_time if records else None
    if ended_at is None:
        return []
    if get_current_timestamp() - ended_at <= hours * 3600:
        return [Passed(_STALE, records[0].dagster_run.run_id)]
    words = teller.words
    sentence = words.stale.format(at=teller.at(ended_at), hours=f"{hours:g}")
    return [Trouble(_STALE, words.stale_name, ended_at + hours * 3600, "", sentence=sentence)]


def _of_checks(instance: DagsterInstance, run: EndedRun, company: str) -> Iterator[Finding]:
    kind = DagsterEventType.ASSET_CHECK_EVALUATION
    for entry in instance.all_logs(run.run_id, of_type=kind):
        judged = _event(entry).event_specific_data
        assert isinstance(judged, AssetCheckEvaluation)
        path = judged.asset_key.path
        if path[0] != company:
            continue
        table = ".".join(path[1:])
        key = f"{table}:{judged.check_name}"
        yield Passed(key, run.run_id) if judged.passed else _failed_check(entry, judged, key, table)


def _failed_check(
    entry: EventLogEntry, judged: AssetCheckEvaluation, key: str, table: str
) -> Trouble:
    offenders = _offenders(judged)
    first: Mapping[str, Any] = offenders[0] if offenders else {}
    # The owner is who must act; where a rule names none, whoever caused it.
    names = (str(row.get("owner") or row.get("culprit") or "") for row in offenders)
    count = judged.metadata.get("offenders_count") or judged.metadata.get(
        "dagster_dbt/failed_row_count"
    )
    sentences = (judged.description, first.get("sentence"))
    return Trouble(
        key=key,
        name=f"{judged.check_name} ({table})",
        at=entry.timestamp,
        run_id=entry.run_id,
        severity="error" if judged.severity == AssetCheckSeverity.ERROR else "warn",
        sentence=" ".join(str(told) for told in sentences if told),
        records_count=count.value if count and isinstance(count.value, int) else None,
        people=tuple(dict.fromkeys(name for name in names if name)),
        link=str(first.get("link") or "") or None,
    )


def _offenders(judged: AssetCheckEvaluation) -> list[Mapping[str, Any]]:
    table = judged.metadata.get("offenders")
    return [row.data for row in table.records] if isinstance(table, TableMetadataValue) else []


def _event(entry: EventLogEntry) -> DagsterEvent:
    assert entry.dagster_event is not None
    return entry.dagster_event
