"""Running the portal: in a thread of a test, or as a process beside the main job."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sources.demo.amocrm import application as amocrm
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.application import make_app
from sources.demo.certificates import TlsFiles, issue_certificate
from sources.demo.faults import FaultPlan
from sources.demo.limiter import LeakyBucket
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.store import PortalStore

HOST = "127.0.0.1"
START_SECONDS = 30.0
_READY = re.compile(r"^portal ready on port (\d+)$")


def webhook_address(port: int, user_id: int, code: str, *, scheme: str = "http") -> str:
    """A webhook address on loopback."""
    return f"{scheme}://{HOST}:{port}/rest/{user_id}/{code}/"


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


def _root(port: int, tls: TlsFiles | None) -> str:
    return f"{'https' if tls else 'http'}://{HOST}:{port}"


def _server(portal: Portal | AmoPortal, port: int, tls: TlsFiles | None) -> uvicorn.Server:
    if isinstance(portal, AmoPortal):
        portal.served_at = _root(port, tls)
        app = amocrm.make_app(portal)
    else:
        if portal.oauth is not None:
            portal.oauth.served_at = _root(port, tls)
        app = make_app(portal)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            # uvloop never reports the end of a TLS connection that a planned fault has cut.
            loop="asyncio",
            log_level="warning",
            # The access log would print the webhook's secret with every request.
            access_log=False,
            # Clients read amoCRM's clock from this header; the account's own stands in there.
            date_header=not isinstance(portal, AmoPortal),
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
    server = _server(portal, port, tls)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the demo portal did not start")
        time.sleep(0.01)
    try:
        if isinstance(portal, AmoPortal):
            yield _root(port, tls) + "/"
        else:
            yield webhook_address(
                port, portal.user_id, portal.code, scheme="https" if tls else "http"
            )
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
    """Serve a store in this process until it is stopped.

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
    tls = issue_certificate(tls_folder, tls_hosts) if tls_folder else None
    with PortalStore(store_path, read_only=plan is None or not plan.writes) as store:
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
        listener = _listener(port)
        port = listener.getsockname()[1]
        print(f"portal ready on port {port}", flush=True)
        _server(portal, port, tls).run(sockets=[listener])


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
    """Serve a store in a process of its own until the block ends; gives the webhook address.

    The arguments are those of `serve`, but `oauth` is an application's client id and secret.
    """
    code = secrets.token_hex(8)
    options: dict[str, object] = {
        "--command-seconds": command_seconds,
        "--count-seconds": count_seconds,
        "--operating-limit": operating_limit_seconds,
        "--faults": faults,
        "--tls-folder": tls_folder,
    }
    command = [sys.executable, "-m", "sources.demo", "serve", str(store_path.resolve())]
    for name, value in options.items():
        if value:
            command += [name, str(value.resolve() if isinstance(value, Path) else value)]
    for host in tls_hosts:
        command += ["--tls-host", host]
    command += ["--limited"] if limited else []
    command += ["--oauth"] if oauth else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # Secrets go through the pipe: a command line is readable by every user.
        process.stdin.write("".join(f"{line}\n" for line in (code, *(oauth or ()))))
        process.stdin.flush()
        ready = _READY.match(process.stdout.readline().strip())
        if ready is None:
            raise RuntimeError("the demo portal did not start; its message stands above")
        yield webhook_address(
            int(ready.group(1)), 1, code, scheme="https" if tls_folder else "http"
        )
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
