"""The command line behind make: run the daily job, start the UI, call dbt under the lock."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape

from orchestration.demo import demo_company, demo_portal, is_prepared, serving
from orchestration.lock import warehouse_lock
from orchestration.settings import PROJECT_DIR, Settings, read_settings
from orchestration.warehouse_version import claim_warehouse
from sources.company import read_company
from sources.company.rules import CRM_SYSTEMS, CrmSystem
from sources.errors import CallfunnelError, InputError

if TYPE_CHECKING:
    from dagster import DagsterEvent

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
# Where nobody watches (CI, a file), rich would cut tables at 80 columns.
console = Console(width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True)

Folder = Annotated[str | None, typer.Option("--company", help="A folder of companies/")]
Replay = Annotated[
    Path | None, typer.Option(help="A folder of csv files to replay instead of the demo company")
]
Seed = Annotated[int, typer.Option(help="Another seed, another invented company")]
System = Annotated[str, typer.Option(help="The CRM that the company is served as")]


@app.command()
def demo(
    replay: Replay = None,
    seed: Seed = 1,
    system: System = "bitrix24",
    limited: Annotated[bool, typer.Option(help="The portal refuses like the real limiter")] = False,
    faults: Annotated[
        Path | None, typer.Option(help="A fault plan: how the portal is to misbehave")
    ] = None,
) -> None:
    """Start the demo portal and run the daily job of the demo company on it."""
    with _sentences():
        settings = _prepared(_demo(replay, system))
        with demo_portal(
            settings,
            replay=replay,
            seed=seed,
            limited=limited,
            say=errors.print,
            faults=faults.resolve() if faults else None,
        ):
            _run_job(settings)


@app.command()
def run(
    company: Folder = None,
    sweep: Annotated[
        bool, typer.Option(help="Compare all ids with the system's: finds deletions and gaps")
    ] = False,
) -> None:
    """Run the daily job of a company once, now: the same job as the schedule's."""
    with _sentences():
        _run_job(_prepared(company or read_settings().company), sweep=sweep)


@app.command()
def backfill(
    start: Annotated[str, typer.Option("--from", help="First day, e.g. 2026-01-31")],
    end: Annotated[str, typer.Option("--to", help="The day after the last one")],
    entity: Annotated[
        list[str] | None, typer.Option(help="E.g. deals; may stand several times; none: all")
    ] = None,
    connection: Annotated[list[str] | None, typer.Option(help="None: all connections")] = None,
    company: Folder = None,
) -> None:
    """Read what was created in a window again; no cursor moves."""
    from orchestration.backfill import backfill_name

    with _sentences():
        settings = _prepared(company or read_settings().company)
        config = {
            "start": start,
            "end": end,
            "entities": entity or [],
            "connections": connection or [],
        }
        step = f"{settings.company}__read_again"
        with _portal_beside(settings):
            _execute(settings, backfill_name(settings.company), {step: {"config": config}})


@app.command()
def restore(
    company: Folder = None,
    force: Annotated[
        bool, typer.Option(help="Also where there is a warehouse: it is set aside")
    ] = False,
) -> None:
    """Build a new warehouse out of the archive; the next run reads the rest from the systems."""
    from sources.archive import restore as restore_archive

    with _sentences():
        settings = _prepared(company or read_settings().company)
        with warehouse_lock(settings.lock_file, "make restore", settings.lock_timeout_seconds):
            counts = restore_archive(
                settings.archive_dir,
                settings.warehouse,
                settings.pipelines_dir,
                force=force,
                memory_limit=settings.memory_limit,
            )
    for table, rows in counts.items():
        console.print(f"{table}: {rows:,} rows")
    console.print("Restored. Run the daily job next: it reads the rest from the systems.")


@app.command()
def upkeep(
    company: Folder = None,
) -> None:
    """Remove what old runs have left, compact the warehouse, tell sizes and free disk."""
    from orchestration.upkeep.job import upkeep_name

    with _sentences():
        settings = _prepared(company or read_settings().company)
        _execute(settings, upkeep_name(settings.company), {})


@app.command()
def authorise(
    connection: Annotated[
        str, typer.Option(help="A connection of the company: its name, or <system>:<name>")
    ],
    code: Annotated[
        str,
        typer.Option(help="From the redirect; it lives 30 seconds (Bitrix24), 20 minutes (amoCRM)"),
    ],
    company: Folder = None,
) -> None:
    """Exchange an application's authorisation code for its first tokens."""
    from orchestration.connections import find_connection, oauth_of

    with _sentences():
        settings = _prepared(company or read_settings().company)
        access = oauth_of(settings, find_connection(settings, connection))
        console.print(f"Authorised for {access.authorise(code)}")


@app.command()
def doctor(
    company: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Look at everything a run needs and say what to fix; exits with 1 where there is a problem."""
    from dataclasses import asdict

    from orchestration.doctor import examine

    with _sentences():
        settings = read_settings().for_company(company or read_settings().company)
        os.chdir(PROJECT_DIR)
        with _portal_beside(settings):
            found = []
            for finding in examine(settings):
                found.append(finding)
                if not as_json:
                    style = {"ok": "green", "warning": "yellow", "problem": "bold red"}
                    console.print(
                        f"[{style[finding.status]}]{finding.status:8}[/] "
                        f"{escape(f'{finding.item}: {finding.says}')}",
                        # `asterisk:office:` is no picture of an office.
                        emoji=False,
                        highlight=False,
                        soft_wrap=True,
                    )
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    raise typer.Exit(int(any(finding.status == "problem" for finding in found)))


@app.command()
def alert_test(
    company: Folder = None,
) -> None:
    """Send a test message to the addresses of the company's alerts."""
    from orchestration.alerts.delivery import addresses_of, send
    from orchestration.alerts.messages import Teller

    with _sentences():
        settings = _prepared(company or read_settings().company)
        rules = read_company(settings.company_dir).rules.company
        addresses = addresses_of(settings.alert_text)
        if not addresses:
            raise CallfunnelError("No address for alerts: set CALLFUNNEL_ALERT_URLS.")
        teller = Teller(rules.name, rules.language, rules.time_zone, settings.ui_url)
        delivery = send(teller.test_message(), addresses)
        for address in addresses:
            if address.key not in delivery.refused:
                console.print(f"Sent to {address.label}.", markup=False, highlight=False)
        if delivery.refused:
            raise CallfunnelError(" ".join(delivery.refused.values()))


@app.command()
def dev(
    replay: Replay = None,
    seed: Seed = 1,
    system: System = "bitrix24",
    port: Annotated[int, typer.Option(help="Port of the UI on 127.0.0.1")] = 3000,
) -> None:
    """Start the Dagster UI on 127.0.0.1, with the demo portal beside it."""
    with _sentences():
        company = _demo(replay, system)
        settings = _prepared(company)
        with demo_portal(settings, replay=replay, seed=seed, limited=False, say=errors.print):
            _serve_ui(None if company == "demo" else company, port)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def dbt(context: typer.Context) -> None:
    """Call dbt on the company's warehouse, under its lock."""
    from orchestration.manifest import dbt_executable, keep_manifest, keep_semantic_manifest

    with _sentences():
        settings = _prepared(read_settings().company)
        with warehouse_lock(settings.lock_file, "make dbt", settings.lock_timeout_seconds):
            claim_warehouse(settings.warehouse)
            finished = subprocess.run(
                [str(dbt_executable()), *context.args],
                cwd=PROJECT_DIR,
                env={**os.environ, **settings.dbt_environment()},
                check=False,
            )
            keep_semantic_manifest(settings)
            keep_manifest(settings)
    raise typer.Exit(finished.returncode)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def mf(context: typer.Context) -> None:
    """Ask the semantic layer on the company's warehouse, under its lock."""
    from orchestration.manifest import mf_executable

    with _sentences():
        settings = _prepared(read_settings().company)
        _require_warehouse(settings)
        with warehouse_lock(settings.lock_file, "make mf", settings.lock_timeout_seconds):
            claim_warehouse(settings.warehouse)
            finished = subprocess.run(
                [str(mf_executable()), *context.args],
                cwd=PROJECT_DIR,
                env={
                    **os.environ,
                    **settings.dbt_environment(),
                    "CALLFUNNEL_ACCESS_MODE": "read_only",
                },
                check=False,
            )
    raise typer.Exit(finished.returncode)


@app.command()
def docs(
    company: Folder = None,
) -> None:
    """Write dbt's documentation of all tables, with their lineage, as one page."""
    from orchestration.manifest import dbt_executable

    with _sentences():
        settings = _prepared(company or read_settings().company)
        if not settings.warehouse.exists():
            raise CallfunnelError(
                f"Company '{settings.company}' has no warehouse yet: run make demo or make run."
            )
        with warehouse_lock(settings.lock_file, "make docs", settings.lock_timeout_seconds):
            claim_warehouse(settings.warehouse)
            finished = subprocess.run(
                [str(dbt_executable()), "--quiet", "docs", "generate", "--static"],
                cwd=PROJECT_DIR,
                env={**os.environ, **settings.dbt_environment()},
                check=False,
            )
        if finished.returncode:
            raise typer.Exit(finished.returncode)
        page = settings.data_dir / "docs" / "index.html"
        page.parent.mkdir(mode=0o750, exist_ok=True)
        shutil.copyfile(settings.dbt_target_dir / "static_index.html", page)
        page.chmod(0o640)
        console.print(f"Tables, columns and lineage: {page}", soft_wrap=True)


@app.command()
def summary(
    company: Folder = None,
) -> None:
    """Print the summary of the last run again."""
    from orchestration.summary import print_summary

    with _sentences():
        settings = _prepared(company or read_settings().company)
        _require_warehouse(settings)
        with warehouse_lock(settings.lock_file, "make summary", settings.lock_timeout_seconds):
            claim_warehouse(settings.warehouse)
            print_summary(settings, console)


@app.command()
def catalogue() -> None:
    """Write docs/metrics.<language>.md from the texts in the yml files."""
    from orchestration.catalogue import write_pages

    with _sentences():
        for path in write_pages():
            console.print(f"{path.relative_to(PROJECT_DIR)}: {path.stat().st_size:,} bytes")


@app.command()
def powerbi(
    company: Folder = None,
    to: Annotated[Path | None, typer.Option(help="None: data/<company>/powerbi")] = None,
    language: Annotated[str | None, typer.Option(help="en, ru or uk; none: the company's")] = None,
) -> None:
    """Write a Power BI project over the published tables: model, measures, names, roles."""
    from orchestration.bi.model import read_bi_model
    from orchestration.bi.powerbi import write_project

    with _sentences():
        settings = _prepared(company or read_settings().company)
        spoken = _language(settings, language)
        folder = (to or settings.data_dir / "powerbi").resolve()
        project = write_project(read_bi_model(settings), settings.company, folder, spoken)
        console.print(
            f"{project.file}: {project.tables} tables, {project.columns:,} columns, "
            f"{project.measures} measures, {project.relationships} relationships "
            f"({project.inactive} inactive)",
            soft_wrap=True,
        )
        for left in project.left_out:
            console.print(f"No measure: {left.name}, {left.reason}", soft_wrap=True)


@app.command()
def metabase(
    url: Annotated[str, typer.Option(envvar="METABASE_URL", help="E.g. http://127.0.0.1:3001")],
    api_key: Annotated[
        str,
        typer.Option(envvar="METABASE_API_KEY", show_envvar=True, help="Of the administrators"),
    ],
    company: Folder = None,
    database: Annotated[
        str, typer.Option(help="The PostgreSQL connection's name in Metabase")
    ] = "callfunnel",
    collection: Annotated[
        str | None, typer.Option(help="Where dashboards go; none: callfunnel <company>")
    ] = None,
    language: Annotated[str | None, typer.Option(help="en, ru or uk; none: the company's")] = None,
) -> None:
    """Set up Metabase: names, keys and types of the tables, a dashboard for every reader."""
    from orchestration.bi.metabase import set_up
    from orchestration.bi.metabase_client import Client
    from orchestration.bi.model import read_bi_model

    with _sentences():
        settings = _prepared(company or read_settings().company)
        outcome = set_up(
            Client(url, api_key),
            read_bi_model(settings),
            database=database,
            collection=collection or f"callfunnel {settings.company}",
            language=_language(settings, language),
            say=errors.print,
        )
        console.print(f"Changed: {len(outcome.changed)}", highlight=False)
        for name, dashboard in outcome.dashboards.items():
            console.print(f"{name}: {url.rstrip('/')}/dashboard/{dashboard}", soft_wrap=True)


@app.command()
def rulebook() -> None:
    """Write docs/data-quality.md from the seeds and suites."""
    from expectations.rulebook import write_rulebook

    with _sentences():
        path = write_rulebook()
        console.print(f"{path.relative_to(PROJECT_DIR)}: {path.stat().st_size:,} bytes")


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Print an error meant for the user as its sentence, and exit with 1."""
    try:
        yield
    except CallfunnelError as error:
        _say_error("Error", str(error))
        raise typer.Exit(1) from None


def _prepared(company: str) -> Settings:
    os.chdir(PROJECT_DIR)
    os.environ.setdefault("DAGSTER_HOME", str(PROJECT_DIR))
    settings = read_settings().for_company(company)
    read_company(settings.company_dir)
    settings.make_folders()
    return settings


def _language(settings: Settings, wanted: str | None) -> str:
    from orchestration.catalogue import LANGUAGES

    language = wanted or read_company(settings.company_dir).rules.company.language
    if language not in LANGUAGES:
        raise InputError(f"There is no language '{language}'; choose from {', '.join(LANGUAGES)}.")
    return language


def _require_warehouse(settings: Settings) -> None:
    if not settings.warehouse.exists():
        raise CallfunnelError(
            f"Company '{settings.company}' has no warehouse yet: run make demo or make run."
        )


def _demo(replay: Path | None, system: str) -> str:
    """The company of a demo in a system."""
    if system not in CRM_SYSTEMS:
        raise InputError(f"There is no system '{system}'; choose from {', '.join(CRM_SYSTEMS)}.")
    return demo_company(is_replay=replay is not None, system=cast(CrmSystem, system)).name


def _portal_beside(settings: Settings) -> contextlib.AbstractContextManager[Any]:
    """A demo company's portal runs only while something reads it."""
    return serving(settings) if is_prepared(settings) else contextlib.nullcontext()


def _run_job(settings: Settings, *, sweep: bool = False) -> None:
    from orchestration.definitions import job_name
    from orchestration.summary import print_summary
    from orchestration.systems import RAW_SCHEMAS

    ops: dict[str, Any] = {}
    if sweep:
        loads = [schema.removeprefix("raw_") for schema in RAW_SCHEMAS]
        names = [f"{settings.company}__load_{load}" for load in loads]
        ops = {name: {"config": {"sweep": True}} for name in names}
    _execute(settings, job_name(settings.company), ops)
    with warehouse_lock(settings.lock_file, "summary", settings.lock_timeout_seconds):
        print_summary(settings, console)


def _execute(settings: Settings, job: str, ops: dict[str, Any]) -> None:
    """Run a job in this process, its log on the terminal; exit with 1 where it fails."""
    from dagster import DagsterInstance

    from orchestration.definitions import definitions_for
    from orchestration.progress import DbtProgress

    errors.print("reading models and rules …")
    definitions = definitions_for(settings)
    with DagsterInstance.get() as instance, contextlib.redirect_stdout(DbtProgress(sys.stderr)):
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"terminal": {}}, "ops": ops},
        )
    if not result.success:
        failures = [event for event in result.all_events if event.is_step_failure]
        # The run's own failure repeats its step's; it is told where no step has failed.
        for failure in failures or [e for e in result.all_events if e.is_job_failure]:
            _print_failure(failure)
        raise typer.Exit(1)


def _print_failure(event: DagsterEvent) -> None:
    from orchestration.failures import failure_sentence

    sentence = failure_sentence(event)
    if sentence:
        step = (event.step_key or event.job_name).partition("__")[2] or event.step_key
        _say_error(f"{step} failed", sentence)


def _say_error(what: str, sentence: str) -> None:
    # Escaped: a message may name a [section] of a file, which rich would take for a style.
    errors.print(
        f"[bold red]{what}:[/bold red] {escape(sentence)}",
        highlight=False,
        soft_wrap=True,
        emoji=False,
    )


def _serve_ui(company: str | None, port: int) -> None:
    """Run `dagster dev` until it is interrupted; its whole process group goes with it."""
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1"]
    command += ["-p", str(port)]
    if company is None:
        command += ["-w", "workspace.yaml"]
    else:
        command += ["-m", "orchestration.definitions", "-a", company]
    errors.print(f"Dagster UI: http://127.0.0.1:{port}  (stop with Ctrl-C)")
    # Links in alerts lead there, unless the setting says otherwise.
    environment = {"CALLFUNNEL_UI_URL": f"http://127.0.0.1:{port}", **os.environ}
    process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        _stop_group(process)
    raise typer.Exit(code)


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    for stop, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
