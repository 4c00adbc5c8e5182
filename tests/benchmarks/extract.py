"""`make bench-extract`: reading deals out of a CRM, as ratios within one run.

1. Under the system's real limit: the time of our extraction against the limit's own floor, refusals
   met, what it costs the server against the least that is needed; other people's clients against
   the same stand-in beside it.
2. Without a limit: the CPU of a whole load (API to merged raw tables) per further row against
   DuckDB's `read_json` of the same rows from a file, and the peak memory at both sizes.

Medians of our runs are held against the bounds that the project has set itself; one that is broken
makes the exit code 1.
"""

from __future__ import annotations

import importlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks import measuring
from tests.benchmarks.measuring import Bound, Sizes, System

app = typer.Typer(help=__doc__, add_completion=False)


class SystemName(StrEnum):
    """A system to measure: a module beside this one."""

    bitrix24 = "bitrix24"
    amocrm = "amocrm"


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    system: Annotated[
        list[SystemName] | None, typer.Option(help="A system to measure; all without it")
    ] = None,
    rows: Annotated[int, typer.Option(help="Deals under the limit")] = 200_000,
    many_rows: Annotated[int, typer.Option(help="Deals of the larger load without a limit")] = (
        1_000_000
    ),
    runs: Annotated[int, typer.Option(help="Runs of ours; medians are printed")] = 5,
    foreign_runs: Annotated[int, typer.Option(help="Runs of each other client")] = 1,
    foreign_seconds: Annotated[int, typer.Option(help="Patience with other clients")] = 900,
) -> None:
    """Measure and print; see the module's first lines."""
    if context.invoked_subcommand:
        return
    sizes = Sizes(rows, many_rows, runs, foreign_runs, foreign_seconds)
    held: list[Bound] = []
    for name in system or SystemName:
        held += measuring.measure(_system(name), sizes)
    if not measuring.print_bounds(held):
        raise typer.Exit(1)


@app.command("portal", hidden=True)
def portal_command(
    system: SystemName, store: Path, limited: bool = False, tls: Path | None = None
) -> None:
    """Serve a store, and tell on request what was served."""
    measuring.stand_in(_system(system), store, limited=limited, tls=tls)


@app.command("client", hidden=True)
def client_command(system: SystemName, client: str, folder: Path) -> None:
    """Read everything with one client and print what it took."""
    measuring.client(_system(system), client, folder)


@app.command("read-json", hidden=True)
def read_json_command(file: Path) -> None:
    """Print the CPU seconds of DuckDB's read_json into a table."""
    measuring.read_json(file)


def _system(name: SystemName) -> System:
    # Only this one: the memory of a client's process is measured.
    system: System = importlib.import_module(f"tests.benchmarks.{name}").SYSTEM
    return system


if __name__ == "__main__":
    app()
