"""`python -m sources.demo`: serve a portal's or an account's store, or write one, or the calls of
the exchange behind it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sources.demo.amocrm.oauth import REDIRECT_URI, AmoOAuth
from sources.demo.oauth import OAuthServer
from sources.demo.server import serve, serve_account
from sources.errors import CallfunnelError

app = typer.Typer(no_args_is_help=True, help=__doc__)

_Port = Annotated[int, typer.Option(help="0 picks a free one")]
_Faults = Annotated[
    Path | None,
    typer.Option(help="A plan of faults, TOML or JSON; it may change records in the store"),
]
_TlsFolder = Annotated[
    Path | None,
    typer.Option(help="Serve https; the authority's ca.pem for clients is written here"),
]
_TlsHost = Annotated[
    list[str] | None,
    typer.Option(help="A host name of the certificate beside localhost; may be repeated"),
]
_ToWrite = Annotated[Path, typer.Argument(help="The file to write")]


@app.command("serve")
def serve_command(
    store: Annotated[Path, typer.Argument(help="A portal store written by `generate` or `replay`")],
    port: _Port = 0,
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
    faults: _Faults = None,
    tls_folder: _TlsFolder = None,
    tls_host: _TlsHost = None,
    oauth: Annotated[
        bool,
        typer.Option(
            "--oauth", help="Authorise an application: its client id and secret, lines 2 and 3"
        ),
    ] = False,
) -> None:
    """Serve a portal on loopback; the webhook's secret is read from the first line of stdin."""
    code, client_id, client_secret = _secrets("webhook's secret", "application", oauth=oauth)
    with _told():
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


@app.command("serve-account")
def serve_account_command(
    store: Annotated[Path, typer.Argument(help="An amoCRM account's store written by `convert`")],
    port: _Port = 0,
    limited: Annotated[
        bool,
        typer.Option(
            "--limited", help="Refuse more than 7 requests a second (429), and block a streak (403)"
        ),
    ] = False,
    faults: _Faults = None,
    not_admin: Annotated[
        bool,
        typer.Option("--not-admin", help="Tokens without an administrator's rights: no users"),
    ] = False,
    tls_folder: _TlsFolder = None,
    tls_host: _TlsHost = None,
    oauth: Annotated[
        bool,
        typer.Option(
            "--oauth", help="Authorise an integration: its client id and secret, lines 2 and 3"
        ),
    ] = False,
    redirect_uri: Annotated[
        str, typer.Option(help="The integration's redirect address, with --oauth")
    ] = REDIRECT_URI,
) -> None:
    """Serve an amoCRM account on loopback; a long-lived token is the first line of stdin."""
    token, client_id, client_secret = _secrets("long-lived token", "integration", oauth=oauth)
    with _told():
        serve_account(
            store,
            port=port,
            token=token,
            limited=limited,
            faults=faults,
            is_admin=not not_admin,
            tls_folder=tls_folder,
            tls_hosts=tls_host or (),
            oauth=AmoOAuth(client_id, client_secret, redirect_uri) if oauth else None,
        )


@app.command("serve-telephony")
def serve_telephony_command(
    provider: Annotated[
        str, typer.Argument(help="binotel, mango, megafon, ringostat, uis, zadarma")
    ],
    port: _Port = 0,
    days: Annotated[int, typer.Option(min=1, help="Days of calls, up to today")] = 30,
    calls_per_day: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option()] = 1,
    zone: Annotated[
        str, typer.Option(help="Of the account: times without an offset are printed in it")
    ] = "Europe/Moscow",
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Refuse more, as the provider would")
    ] = None,
    faults: _Faults = None,
) -> None:
    """Serve invented calls as a provider of telephony would; prints the secrets to ask with."""
    from sources.demo.telephony.providers import serve_telephony

    with _told(), contextlib.suppress(KeyboardInterrupt):
        serve_telephony(
            provider,
            port=port,
            days=days,
            calls_per_day=calls_per_day,
            seed=seed,
            zone=zone,
            requests_per_minute=requests_per_minute,
            faults=faults,
            say=typer.echo,
        )


@app.command("generate")
def generate_command(
    store: _ToWrite,
    size: Annotated[str, typer.Option(help="small or large")] = "small",
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Write the invented company into a store."""
    from sources.demo.generator import write_store

    write_store(store, size=size, seed=seed)  # type: ignore[arg-type]


@app.command("replay")
def replay_command(
    folder: Annotated[Path, typer.Argument(help="A folder with stage_history.csv")],
    store: _ToWrite,
) -> None:
    """Write a replayed folder of csv files into a store."""
    from sources.demo.replay import write_replay

    with _told():
        typer.echo(write_replay(folder, store).sentence())


@app.command("convert")
def convert_command(
    portal: Annotated[Path, typer.Argument(help="A portal store written by `generate`, `replay`")],
    account: _ToWrite,
) -> None:
    """Write the company of a portal's store as an amoCRM account would hold it."""
    from sources.demo.amocrm.conversion import write_amo_store
    from sources.demo.store import PortalStore

    with _told(), PortalStore(portal, read_only=True) as source:
        write_amo_store(source, account)


@app.command("exchange")
def exchange_command(
    portal: Annotated[Path, typer.Argument(help="A portal store written by `generate`")],
    records: _ToWrite,
) -> None:
    """Write the call records of the FreePBX behind an invented company's CRM, as SQLite."""
    from sources.demo.store import PortalStore
    from sources.demo.telephony.office import write_office

    with _told(), PortalStore(portal, read_only=True) as store:
        write_office(store, records)


def _secrets(secret: str, client: str, *, oauth: bool) -> tuple[str, str, str]:
    """The lines of standard input: the secret, and with `oauth` the client's id and secret."""
    first, client_id, client_secret = (
        sys.stdin.readline().strip() if is_read else "" for is_read in (True, oauth, oauth)
    )
    if not first or (oauth and not (client_id and client_secret)):
        typer.echo(
            f"Give the {secret} as the first line of standard input, with --oauth the {client}'s "
            "client id and secret as the second and third.",
            err=True,
        )
        raise typer.Exit(2)
    return first, client_id, client_secret


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say what can't be used in a sentence, and end."""
    try:
        yield
    except (CallfunnelError, FileNotFoundError, FileExistsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
