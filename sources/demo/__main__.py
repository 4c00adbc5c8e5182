"""`python -m sources.demo`: serve a portal's store, or write one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sources.demo.server import serve

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("serve")
def serve_command(
    store: Annotated[Path, typer.Argument(help="A portal store written by `generate` or `replay`")],
    port: Annotated[int, typer.Option(help="0 picks a free one")] = 0,
    limited: Annotated[bool, typer.Option(help="Refuse requests like the real limiter")] = False,
) -> None:
    """Serve a store on loopback; the webhook's secret is read from the first line of stdin."""
    code = sys.stdin.readline().strip()
    if not code:
        typer.echo("Give the webhook's secret as the first line of standard input.", err=True)
        raise typer.Exit(2)
    serve(store, port=port, code=code, limited=limited)


@app.command("generate")
def generate_command(
    store: Annotated[Path, typer.Argument(help="The file to write")],
    size: Annotated[str, typer.Option(help="small or large")] = "small",
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Write the invented company into a store."""
    from sources.demo.generator import write_store

    write_store(store, size=size, seed=seed)  # type: ignore[arg-type]


@app.command("replay")
def replay_command(
    folder: Annotated[Path, typer.Argument(help="A folder with stage_history.csv")],
    store: Annotated[Path, typer.Argument(help="The file to write")],
) -> None:
    """Write a replayed folder of csv files into a store."""
    from sources.demo.replay import write_replay
    from sources.errors import CallfunnelError

    try:
        report = write_replay(folder, store)
    except CallfunnelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(report.sentence())


if __name__ == "__main__":
    app()
