"""Running the portal: in a thread of a test, or as a process beside the main job."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from sources.demo.limiter import LeakyBucket
from sources.demo.portal import Portal, make_app
from sources.demo.store import PortalStore

HOST = "127.0.0.1"
START_SECONDS = 30.0
_READY = re.compile(r"^portal ready on port (\d+)$")


def address(port: int, portal: Portal) -> str:
    """The webhook address under which a client reaches the portal."""
    return webhook_address(port, portal.user_id, portal.code)


def webhook_address(port: int, user_id: int, code: str) -> str:
    """A webhook address on loopback."""
    return f"http://{HOST}:{port}/rest/{user_id}/{code}/"


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


def _server(portal: Portal) -> uvicorn.Server:
    # The access log would print the webhook's secret with every request.
    return uvicorn.Server(
        uvicorn.Config(make_app(portal), log_level="warning", access_log=False, lifespan="off")
    )


@contextlib.contextmanager
def serve_in_thread(portal: Portal, port: int = 0) -> Iterator[str]:
    """Serve until the block ends; gives the webhook address."""
    listener = _listener(port)
    server = _server(portal)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the demo portal did not start")
        time.sleep(0.01)
    try:
        yield address(listener.getsockname()[1], portal)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def serve(store_path: Path, *, port: int, code: str, limited: bool) -> None:
    """Serve a store in this process until it is stopped."""
    with PortalStore(store_path, read_only=True) as store:
        portal = Portal(store, code=code, bucket=LeakyBucket() if limited else None)
        listener = _listener(port)
        print(f"portal ready on port {listener.getsockname()[1]}", flush=True)
        _server(portal).run(sockets=[listener])


@contextlib.contextmanager
def serve_in_process(store_path: Path, *, limited: bool = False) -> Iterator[str]:
    """Serve a store in a process of its own until the block ends; gives the webhook address."""
    code = secrets.token_hex(8)
    command = [sys.executable, "-m", "sources.demo", "serve", str(store_path)]
    process = subprocess.Popen(
        command + (["--limited"] if limited else []),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # The secret goes through the pipe: a command line is readable by every user.
        process.stdin.write(code + "\n")
        process.stdin.flush()
        ready = _READY.match(process.stdout.readline().strip())
        if ready is None:
            raise RuntimeError("the demo portal did not start; its message stands above")
        yield webhook_address(int(ready.group(1)), 1, code)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
