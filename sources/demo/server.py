"""Serving a portal or an account: in a thread of a test, or as a process beside the main job."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sources.demo.amocrm import application as amocrm
from sources.demo.amocrm.oauth import REDIRECT_URI, AmoOAuth
from sources.demo.amocrm.portal import BLOCK_AFTER, AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.application import make_app
from sources.demo.certificates import TlsFiles, issue_certificate
from sources.demo.faults import FaultPlan
from sources.demo.limiter import LeakyBucket, SlidingWindow
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.processes import say_ready, served
from sources.demo.record_store import RecordStore
from sources.demo.store import PortalStore

HOST = "127.0.0.1"
START_SECONDS = 30.0

_Store = TypeVar("_Store", bound=RecordStore)


@dataclass(frozen=True)
class ServedAccount:
    """An amoCRM account on loopback.

    Attributes:
        address: `http://127.0.0.1:<port>`, of https where it is served so; no slash at the end.
        token: a long-lived token.
    """

    address: str
    token: str = field(repr=False)


def webhook_address(port: int, user_id: int, code: str, *, scheme: str = "http") -> str:
    """A webhook address on loopback."""
    return f"{_root(port, is_https=scheme == 'https')}/rest/{user_id}/{code}/"


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    # Before anybody is told the port: a connection to a bound port that nobody listens on fails.
    listener.listen(128)
    return listener


class _Protocol(HttpToolsProtocol):
    """HTTP whose requests know their connection, so that a planned fault can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _root(port: int, *, is_https: bool) -> str:
    return f"{'https' if is_https else 'http'}://{HOST}:{port}"


def _server(portal: Portal | AmoPortal, port: int, tls: TlsFiles | None) -> uvicorn.Server:
    root = _root(port, is_https=tls is not None)
    if isinstance(portal, AmoPortal):
        portal.served_at = root
        # Clients read amoCRM's clock from this header; the account's own stands in there.
        return _server_of(amocrm.make_app(portal), tls, date_header=False)
    if portal.oauth is not None:
        portal.oauth.served_at = root
    return _server_of(make_app(portal), tls, date_header=True)


def _server_of(app: ASGIApp, tls: TlsFiles | None, *, date_header: bool) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            # uvloop never reports the end of a TLS connection that a planned fault has cut.
            loop="asyncio",
            log_level="warning",
            # The access log would print the webhook's secret with every request.
            access_log=False,
            date_header=date_header,
            lifespan="off",
            # As nginx in front of a portal: clients that wait for a limit keep their connection.
            timeout_keep_alive=75,
            ssl_certfile=tls.chain_file if tls else None,
            ssl_keyfile=tls.key_file if tls else None,
        )
    )


@contextlib.contextmanager
def serve_in_thread(
    portal: Portal | AmoPortal, port: int = 0, *, tls: TlsFiles | None = None
) -> Iterator[str]:
    """Serve until the block ends; gives the main webhook's address, of amoCRM the account's.

    Args:
        portal: what to serve.
        port: on loopback; 0 picks a free one.
        tls: serve https with this certificate (see `issue_certificate`).
    """
    listener = _listener(port)
    port = listener.getsockname()[1]
    with _running(_server(portal, port, tls), listener):
        if isinstance(portal, AmoPortal):
            yield _root(port, is_https=tls is not None) + "/"
        else:
            yield webhook_address(
                port, portal.user_id, portal.code, scheme="https" if tls else "http"
            )


@contextlib.contextmanager
def serve_app_in_thread(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve an application that tells its own `Date` until the block ends; gives its address.

    Args:
        app: what to serve.
        port: on loopback; 0 picks a free one.
    """
    listener = _listener(port)
    with _running(_server_of(app, None, date_header=False), listener):
        yield _root(listener.getsockname()[1], is_https=False)


@contextlib.contextmanager
def _running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the demo portal did not start")
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def serve(
    store_path: Path,
    *,
    port: int,
    code: str,
    limited: bool = False,
    command_seconds: float = 0.0,
    count_seconds: float = 0.0,
    operating_limit_seconds: float | None = None,
    faults: Path | None = None,
    tls_folder: Path | None = None,
    tls_hosts: Sequence[str] = (),
    oauth: OAuthServer | None = None,
) -> None:
    """Serve a portal's store in this process until it is stopped.

    Args:
        store_path: the store; it is changed only where the fault plan does so.
        port: on loopback; 0 picks a free one.
        code: the webhook's secret, of user 1.
        limited: refuse requests like the real limiter.
        command_seconds: see `Portal`.
        count_seconds: see `Portal`.
        operating_limit_seconds: see `Portal`.
        faults: a fault plan's file.
        tls_folder: serve https; `ca.pem` for clients is written here.
        tls_hosts: host names of the certificate beside localhost and 127.0.0.1.
        oauth: an application to authorise.

    Raises:
        InputError: the fault plan can't be used.
        FileNotFoundError: there is no store.
    """
    plan = FaultPlan.read(faults) if faults else None
    with _opened(PortalStore, store_path, plan) as store:
        portal = Portal(
            store,
            code=code,
            bucket=LeakyBucket() if limited else None,
            command_seconds=command_seconds,
            count_seconds=count_seconds,
            operating_limit_seconds=operating_limit_seconds,
            fault_plan=plan,
            oauth=oauth,
        )
        _run(portal, port, tls_folder, tls_hosts)


def serve_account(
    store_path: Path,
    *,
    port: int,
    token: str,
    limited: bool = False,
    faults: Path | None = None,
    is_admin: bool = True,
    tls_folder: Path | None = None,
    tls_hosts: Sequence[str] = (),
    oauth: AmoOAuth | None = None,
) -> None:
    """Serve an amoCRM account's store in this process until it is stopped.

    Args:
        store_path: the store; it is changed only where the fault plan does so.
        port: on loopback; 0 picks a free one.
        token: a long-lived token.
        limited: refuse more than 7 requests a second, and block the API after a streak of
            refusals.
        faults: a fault plan's file, with the account's entities.
        is_admin: whether tokens have an administrator's rights; others may not list users.
        tls_folder: serve https; `ca.pem` for clients is written here.
        tls_hosts: host names of the certificate beside localhost and 127.0.0.1.
        oauth: an integration to authorise.

    Raises:
        InputError: the fault plan can't be used.
        FileNotFoundError: there is no store.
    """
    plan = FaultPlan.read(faults, entities=AmoStore.entities) if faults else None
    with _opened(AmoStore, store_path, plan) as store:
        portal = AmoPortal(
            store,
            token=token,
            bucket=SlidingWindow() if limited else None,
            block_after=BLOCK_AFTER if limited else None,
            fault_plan=plan,
            is_admin=is_admin,
            oauth=oauth,
        )
        _run(portal, port, tls_folder, tls_hosts)


@contextlib.contextmanager
def serve_in_process(
    store_path: Path,
    *,
    limited: bool = False,
    command_seconds: float = 0.0,
    count_seconds: float = 0.0,
    operating_limit_seconds: float | None = None,
    faults: Path | None = None,
    tls_folder: Path | None = None,
    tls_hosts: Sequence[str] = (),
    oauth: tuple[str, str] | None = None,
) -> Iterator[str]:
    """Serve a portal in a process of its own until the block ends; gives the webhook address.

    The arguments are those of `serve`, but `oauth` is an application's client id and secret.
    """
    code = secrets.token_hex(8)
    options = {
        "limited": limited,
        "command-seconds": command_seconds,
        "count-seconds": count_seconds,
        "operating-limit": operating_limit_seconds,
        "faults": faults,
        "tls-folder": tls_folder,
        "tls-host": tls_hosts,
        "oauth": oauth is not None,
    }
    with served("serve", store_path, options, (code, *(oauth or ()))) as port:
        yield webhook_address(port, 1, code, scheme="https" if tls_folder else "http")


@contextlib.contextmanager
def serve_account_in_process(
    store_path: Path,
    *,
    token: str | None = None,
    limited: bool = False,
    faults: Path | None = None,
    is_admin: bool = True,
    tls_folder: Path | None = None,
    tls_hosts: Sequence[str] = (),
    oauth: tuple[str, str] | None = None,
    redirect_uri: str = REDIRECT_URI,
) -> Iterator[ServedAccount]:
    """Serve an account in a process of its own until the block ends.

    The arguments are those of `serve_account`, but `token` is a random one if left out, and
    `oauth` an integration's client id and secret, `redirect_uri` its redirect address. A code for
    the integration's first tokens is to be had at `/oauth`.
    """
    token = token or secrets.token_hex(32)
    options = {
        "limited": limited,
        "faults": faults,
        "not-admin": not is_admin,
        "tls-folder": tls_folder,
        "tls-host": tls_hosts,
        "oauth": oauth is not None,
        "redirect-uri": redirect_uri if oauth else None,
    }
    with served("serve-account", store_path, options, (token, *(oauth or ()))) as port:
        yield ServedAccount(_root(port, is_https=tls_folder is not None), token)


def _opened(kind: type[_Store], path: Path, plan: FaultPlan | None) -> _Store:
    """The store, to be written only where the plan changes records."""
    if not path.exists():
        # Opened for writing, a path that is mistyped would become an empty store.
        raise FileNotFoundError(f"no portal store at {path}")
    return kind(path, read_only=plan is None or not plan.writes)


def _run(
    portal: Portal | AmoPortal, port: int, tls_folder: Path | None, tls_hosts: Sequence[str]
) -> None:
    tls = issue_certificate(tls_folder, tls_hosts) if tls_folder else None
    listener = _listener(port)
    port = listener.getsockname()[1]
    say_ready(port)
    _server(portal, port, tls).run(sockets=[listener])
