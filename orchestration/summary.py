"""What `make demo` prints at the end: short, readable, with the culprits' names."""

from __future__ import annotations

import duckdb
from rich import box
from rich.console import Console
from rich.table import Table

from expectations.outcomes import Outcome, outcomes
from orchestration.settings import Settings
from orchestration.systems import RAW_SCHEMAS

CULPRITS_SHOWN = 3
_LAYERS = (
    "raw_company",
    *RAW_SCHEMAS,
    "raw_derived",
    "intermediate",
    "marts",
    "metrics",
)


def print_summary(settings: Settings, console: Console) -> None:
    """Rows per layer, calls by stage and source, failed checks and where the files are."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        _print_title(connection, console)
        console.print(_layers(connection))
        console.print(_calls_by_stage(connection))
        _print_call_sources(connection, console)
        _print_checks(outcomes(connection), console)
    current = settings.published_dir / "current"
    if current.exists():
        console.print("\n[bold]Published files[/bold]")
        console.print(f"  {current} -> {current.resolve().name}", soft_wrap=True, highlight=False)
        console.print(
            f"  {current / f'marts_{settings.company}.duckdb'}", soft_wrap=True, highlight=False
        )


def _print_title(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    row = connection.execute(
        "select any_value(rules.company_name), max(connections.report_as_of_at) "
        "from staging.stg_company__rules as rules "
        "left join intermediate.int_connections as connections on true"
    ).fetchone()
    if row:
        console.print(f"\n[bold]{row[0]}[/bold], as of {row[1]} UTC")


def _layers(connection: duckdb.DuckDBPyConnection) -> Table:
    table = Table(title="Rows per layer", box=box.SIMPLE, title_justify="left")
    table.add_column("layer")
    table.add_column("tables", justify="right")
    table.add_column("rows", justify="right")
    for layer in _LAYERS:
        names = connection.execute(
            "select table_name from duckdb_tables() where schema_name = ? "
            "and table_name not like '\\_dlt\\_%' escape '\\'",
            [layer],
        ).fetchall()
        rows = 0
        for (name,) in names:
            counted = connection.execute(f'select count(*) from {layer}."{name}"').fetchone()
            rows += int(counted[0]) if counted else 0
        if not rows and layer.startswith("raw_"):
            # Of a system that the company doesn't have.
            continue
        table.add_row(layer, f"{len(names)}", f"{rows:,}")
    return table


def _calls_by_stage(connection: duckdb.DuckDBPyConnection) -> Table:
    table = Table(title="Calls by stage", box=box.SIMPLE, title_justify="left")
    table.add_column("pipeline")
    table.add_column("stage")
    for name in ("visits", "calls", "answered", "successful", "talk, h"):
        table.add_column(name, justify="right")
    rows = connection.execute(
        """
        with visits as (
            select stage_key, count(*) as visits_count from marts.fct_stage_visits group by all
        ),
        load as (
            select
                stage_key,
                call_place,
                sum(calls_count) as calls_count,
                sum(answered_count) as answered_count,
                sum(successful_count) as successful_count,
                sum(talk_seconds) as talk_seconds
            from metrics.metric_call_load__by_stage
            where segment_type = 'all'
            group by all
        ),
        named as (
            select stages.*, pipelines.pipeline_name, pipelines.pipeline_sort
            from marts.dim_stages as stages
            inner join marts.dim_pipelines as pipelines
                on stages.pipeline_key = pipelines.pipeline_key
        )
        select
            coalesce(named.pipeline_name, '(no stage)'),
            coalesce(named.stage_name, replace(load.call_place, '_', ' ')),
            visits.visits_count,
            coalesce(load.calls_count, 0),
            coalesce(load.answered_count, 0),
            coalesce(load.successful_count, 0),
            coalesce(load.talk_seconds, 0) / 3600.0
        from named
        full outer join load on named.stage_key = load.stage_key
        left join visits on named.stage_key = visits.stage_key
        order by named.pipeline_sort nulls last, named.pipeline_key, named.stage_position, 2
        """
    ).fetchall()
    last = None
    totals = [0, 0, 0, 0, 0.0]
    for pipeline, stage, visits, calls, answered, successful, hours in rows:
        if last is not None and pipeline != last:
            table.add_section()
        for position, value in enumerate((visits or 0, calls, answered, successful, hours)):
            totals[position] += value
        table.add_row(
            pipeline if pipeline != last else "",
            stage,
            f"{visits:,}" if visits is not None else "",
            f"{calls:,}",
            f"{answered:,}",
            f"{successful:,}",
            f"{hours:,.1f}",
        )
        last = pipeline
    table.add_section()
    table.add_row(
        "all external calls",
        "",
        *(f"{value:,}" for value in totals[:4]),
        f"{totals[4]:,.1f}",
        style="bold",
    )
    return table


def _print_call_sources(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Where the company has a telephony beside its CRM: which of the two knows the calls."""
    counts = dict(
        connection.execute(
            "select call_sources, count(*) from marts.fct_calls where is_external group by all"
        ).fetchall()
    )
    if not counts.keys() - {"crm"}:
        return
    both, crm, pbx = (counts.get(name, 0) for name in ("crm_and_pbx", "crm", "pbx"))
    console.print(
        f"[bold]External calls[/bold]: {both:,} in the CRM and the telephony, {crm:,} only in the "
        f"CRM, {pbx:,} only in the telephony",
        highlight=False,
    )


def _print_checks(found: tuple[Outcome, ...], console: Console) -> None:
    failed = [outcome for outcome in found if not outcome.has_passed]
    console.print(f"\n[bold]Checks[/bold]: {len(found) - len(failed)} passed, {len(failed)} failed")
    for outcome in sorted(failed, key=lambda outcome: (outcome.severity, outcome.check_name)):
        colour = "red" if outcome.severity == "error" else "yellow"
        console.print(
            f"  [{colour}]{outcome.severity}[/{colour}] {outcome.check_name}: "
            f"{outcome.offenders_count:,}. {outcome.sentence}",
            highlight=False,
        )
        for offender in outcome.offenders[:CULPRITS_SHOWN]:
            console.print(f"       {offender['sentence']}", highlight=False, markup=False)
        if outcome.offenders_count > CULPRITS_SHOWN:
            console.print(f"       … and {outcome.offenders_count - CULPRITS_SHOWN:,} more")
