"""Private database servers for tests: real MariaDB and PostgreSQL on loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from tests.support.install_servers import programs_of

PASSWORD = "p:s/w@rd"
"""Of the administrator; has to be quoted in a url."""
_UNPRIVILEGED = "nobody"
"""Both servers refuse to run as root."""
_START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A server under way."""

    driver: str
    user: str
    port: int

    def url(self, database: str = "", *, user: str = "", password: str = PASSWORD) -> sa.URL:
        """The address of a database, for the administrator unless somebody else is named."""
        return sa.URL.create(
            self.driver, user or self.user, password, "127.0.0.1", self.port, database or None
        )

    @contextlib.contextmanager
    def engine(self, database: str = "") -> Iterator[sa.Engine]:
        """An engine whose statements stand as soon as they are through."""
        made = sa.create_engine(
            self.url(database), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        try:
            yield made
        finally:
            made.dispose()

    def execute(self, *statements: str, database: str = "") -> None:
        """Run statements as the administrator."""
        with self.engine(database) as engine, engine.connect() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))


@contextlib.contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB of its own."""
    mariadbd, install, _ = programs_of("MariaDB")
    with _folder() as folder:
        data, port = folder / "data", _free_port()
        _run(folder, [install, "--no-defaults", f"--datadir={data}", "--skip-test-db",
                      "--auth-root-authentication-method=normal"])  # fmt: skip
        setup = folder / "setup.sql"
        setup.write_text(
            f"create user admin@'127.0.0.1' identified by '{PASSWORD}';\n"
            "grant all on *.* to admin@'127.0.0.1' with grant option;\n"
        )
        setup.chmod(0o644)
        command = [mariadbd, "--no-defaults", f"--datadir={data}", f"--port={port}",
                   "--bind-address=127.0.0.1", f"--socket={folder}/socket",
                   f"--pid-file={folder}/pid", "--skip-name-resolve",
                   "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
                   "--character-set-server=utf8mb4", f"--init-file={setup}"]  # fmt: skip
        with _running(folder, command, Server("mysql+pymysql", "admin", port)) as server:
            yield server


@contextlib.contextmanager
def postgresql(largest_file: int | None = None) -> Iterator[Server]:
    """A PostgreSQL of its own.

    Args:
        largest_file: bytes beyond which its files can't grow, as on a full disk.
    """
    initdb, postgres = programs_of("PostgreSQL")
    with _folder() as folder:
        data, port, password = folder / "data", _free_port(), folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        password.chmod(0o644)
        _run(folder, [initdb, "-D", str(data), "-U", "admin", "-E", "UTF8", "--locale=C.UTF-8",
                      "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"])  # fmt: skip
        command = [postgres, "-D", str(data), "-F", "-p", str(port),
                   "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories="]  # fmt: skip
        if largest_file is not None:
            command = ["prlimit", f"--fsize={largest_file}", "--", *command]
        server = Server("postgresql+psycopg", "admin", port)
        with _running(folder, command, server, database="postgres"):
            yield server


@contextlib.contextmanager
def _running(
    folder: Path, command: Sequence[str], server: Server, database: str = ""
) -> Iterator[Server]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, **_identity()
        )
    try:
        _wait_until_ready(process, log, lambda: server.execute("select 1", database=database))
        yield server
    finally:
        # PostgreSQL takes it for a fast shutdown, MariaDB for an ordinary one.
        process.send_signal(2 if "postgresql" in server.driver else 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, ask: Callable[[], None]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            ask()
        except sa.exc.OperationalError as problem:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{process.args!r} does not come up: {said}") from problem
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the server's user; pytest's own lie below one that only its user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="callfunnel-test-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, command: Sequence[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, **_identity()
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _identity() -> dict[str, str]:
    return {"user": _UNPRIVILEGED} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
