"""`python -m sources.demo`: serve a portal's store, or write one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sources.demo.oauth import OAuthServer
from sources.demo.server import serve
from sources.errors import CallfunnelError

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("serve")
def serve_command(
    store: Annotated[Path, typer.Argument(help="A portal store written by `generate` or `replay`")],
    port: Annotated[int, typer.Option(help="0 picks a free one")] = 0,
    limited: Annotated[
        bool, typer.Option("--limited", help="Refuse requests like the real limiter (503)")
    ] = False,
    command_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds of server work of each command")
    ] = 0.0,
    count_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds in addition where a list counts its rows")
    ] = 0.0,
    operating_limit: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds a method may work in ten minutes before it answers 429 (real: 480)"
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(help="A plan of faults, TOML or JSON; it may change records in the store"),
    ] = None,
    tls_folder: Annotated[
        Path | None,
        typer.Option(help="Serve https; the authority's ca.pem for clients is written here"),
    ] = None,
    tls_host: Annotated[
        list[str] | None,
        typer.Option(help="A host name of the certificate beside localhost; may be repeated"),
    ] = None,
    oauth: Annotated[
        bool,
        typer.Option(
            "--oauth", help="Authorise an application: its client id and secret, lines 2 and 3"
        ),
    ] = False,
) -> None:
    """Serve a store on loopback; the webhook's secret is read from the first line of stdin."""
    code, client_id, client_secret = (
        sys.stdin.readline().strip() if is_read else "" for is_read in (True, oauth, oauth)
    )
    if not code or (oauth and not (client_id and client_secret)):
        typer.echo(
            "Give the webhook's secret as the first line of standard input, with --oauth the "
            "application's client id and secret as the second and third.",
            err=True,
        )
        raise typer.Exit(2)
    try:
        serve(
            store,
            port=port,
            code=code,
            limited=limited,
            command_seconds=command_seconds,
            count_seconds=count_seconds,
            operating_limit_seconds=operating_limit,
            faults=faults,
            tls_folder=tls_folder,
            tls_hosts=tls_host or (),
            oauth=OAuthServer(client_id, client_secret) if oauth else None,
        )
    except (CallfunnelError, FileNotFoundError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


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

    try:
        report = write_replay(folder, store)
    except CallfunnelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(report.sentence())


if __name__ == "__main__":
    app()
