"""`make bench-quality`: what judging a build costs beside making it.

Of a company that works in Bitrix24 alone: the build of all its tables, without dbt's tests (they
belong to the job too, so the share is rather told too large), and then the quality stage (rules,
suites of Great Expectations, their pages) in a process of its own, its import apart. Both less what
they take with hardly any rows. A bound that is broken makes the exit code 1.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from tests.benchmarks.building import MEMORY_LIMIT, peak_mb, run_dbt, settings_of
from tests.benchmarks.measuring import Bound, console, print_bounds
from tests.benchmarks.three_years import write_company
from tests.support.companies import WITHOUT_TESTS

SHARE_BOUND = 0.25
"""Of the job's engine CPU, import excluded."""
HARDLY_ANY = 100

app = typer.Typer(help=__doc__, add_completion=False)


@dataclass(frozen=True)
class Judged:
    """What judging one build took."""

    import_cpu_seconds: float
    cpu_seconds: float
    peak_mb: float
    checks_count: int


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    deals: Annotated[int, typer.Option(help="Of the company; ten calls each")] = 200_000,
    folder: Annotated[Path | None, typer.Option(help="For warehouses; 20 GB a million")] = None,
) -> None:
    """Measure and print; see the module's first lines."""
    if context.invoked_subcommand:
        return
    root = Path(tempfile.mkdtemp(prefix="bench-quality-", dir=folder))
    try:
        few, many = (_measure(root / str(count), count) for count in (HARDLY_ANY, deals))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    build, judging = many[0] - few[0], many[1].cpu_seconds - few[1].cpu_seconds
    console.print(
        f"{deals:,} deals, {10 * deals:,} calls: build {many[0]:.1f} CPU s (hardly any rows: "
        f"{few[0]:.1f}); {many[1].checks_count} checks {many[1].cpu_seconds:.1f} CPU s (hardly any "
        f"rows: {few[1].cpu_seconds:.1f}), peak {many[1].peak_mb:,.0f} MB; import "
        f"{many[1].import_cpu_seconds:.1f} CPU s"
    )
    share = judging / (build + judging)
    if not print_bounds(
        [Bound("share of the engine's CPU that judging takes", SHARE_BOUND, share)]
    ):
        raise typer.Exit(1)


@app.command("judge", hidden=True)
def judge_command(root: Path) -> None:
    """Judge the newest build of a warehouse and print what it took."""
    began = time.process_time()
    import expectations.data_docs
    import expectations.runner

    expectations.data_docs._renderers()
    expectations.runner._context()
    from expectations.outcomes import outcomes

    imported = time.process_time()
    with duckdb.connect(str(settings_of(root).warehouse)) as connection:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute("set TimeZone = 'UTC'")
        found = outcomes(connection)
    judged = Judged(imported - began, time.process_time() - imported, peak_mb(), len(found))
    print(json.dumps(asdict(judged)))


def _measure(root: Path, deals: int) -> tuple[float, Judged]:
    settings = settings_of(root)
    write_company(settings, deals)
    console.print(f"building {deals:,} deals …")
    build = run_dbt(settings, "build", *WITHOUT_TESTS)
    finished = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.quality", "judge", str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    return build.cpu_seconds, Judged(**json.loads(finished.stdout.splitlines()[-1]))


if __name__ == "__main__":
    app()
