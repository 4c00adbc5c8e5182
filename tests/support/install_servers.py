"""The programs of others that tests start: where they are, and their installation.

`make test` runs this module first. On Debian and Ubuntu it installs what is missing; elsewhere it
says what to install.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAMS = {
    "MariaDB": ("mariadbd", "mariadb-install-db", "my_print_defaults"),
    "PostgreSQL": ("initdb", "postgres"),
    # It runs nothing: its own checker reads the units of deploy/systemd.
    "systemd": ("systemd-analyze",),
}
# Of MariaDB the programs alone, in packages of their own: with mariadb-server comes a service.
PACKAGES = {
    "MariaDB": ("mariadb-server-core", "mariadb-client-core"),
    "PostgreSQL": ("postgresql",),
    "systemd": ("systemd",),
}
OLD_DUCKDB = "1.0.0" if sys.version_info < (3, 13) else "1.1.3"
"""The oldest that reads what is published, for Python 3.13 the oldest that there is."""
_PROJECT = Path(__file__).parents[2]
OLD_DUCKDB_FOLDER = _PROJECT / ".venv" / f"duckdb-{OLD_DUCKDB}"
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
_POLICY = Path("/usr/sbin/policy-rc.d")


class ServerMissing(Exception):
    """A server's programs are not on this machine; the message says what to install."""


def find_program(name: str) -> str | None:
    """The path of a server's program; Debian keeps some where no PATH of a user leads."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"]
    newest = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    return shutil.which(name, path=os.pathsep.join([*places, *map(str, reversed(newest))]))


def programs_of(server: str) -> list[str]:
    """The paths of a server's programs, in the order of `PROGRAMS`.

    Raises:
        ServerMissing: one is missing.
    """
    found = [path for name in PROGRAMS[server] if (path := find_program(name))]
    if len(found) < len(PROGRAMS[server]):
        raise ServerMissing(
            f"The tests use {server} and find no {PROGRAMS[server][0]}: run `make test-servers` as "
            "root or with sudo, or install what they start and use "
            "(Debian: apt install mariadb-server postgresql systemd)."
        )
    return found


def missing_servers() -> list[str]:
    """The servers whose programs are not on this machine."""
    return [
        server
        for server, names in PROGRAMS.items()
        if not all(find_program(name) for name in names)
    ]


def install(servers: Sequence[str]) -> None:
    """Install servers from Debian's packages, and keep Debian from starting them."""
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    packages = [package for server in servers for package in PACKAGES[server]]
    print(f"installing {' and '.join(packages)} for the tests", flush=True)
    with _nothing_starts(root):
        subprocess.run([*root, *apt, "update"], check=False)
        keep = ["-o", "Dpkg::Options::=--force-confold", "--no-install-recommends"]
        command = [*root, *apt, "install", "-y", *keep, *packages]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def install_old_duckdb() -> None:
    """Put an old DuckDB beside the environment's: BI tools lag behind."""
    if (OLD_DUCKDB_FOLDER / "duckdb").exists():
        return
    print(f"installing DuckDB {OLD_DUCKDB}, a reader of published files, for the tests", flush=True)
    target = ["--target", str(OLD_DUCKDB_FOLDER), "--python", sys.executable]
    uv = str(_PROJECT / ".uv" / "bin" / "uv")
    subprocess.run([uv, "pip", "install", "--quiet", *target, f"duckdb=={OLD_DUCKDB}"], check=True)


@contextlib.contextmanager
def _nothing_starts(root: Sequence[str]) -> Iterator[None]:
    """While packages are installed: no service is started, and PostgreSQL makes no cluster."""
    if not _CREATE_CLUSTER.exists():
        _write(root, _CREATE_CLUSTER, "create_main_cluster = false\n", "644")
    has_policy = _POLICY.exists()
    if not has_policy:
        _write(root, _POLICY, "#!/bin/sh\nexit 101\n", "755")
    try:
        yield
    finally:
        if not has_policy:
            subprocess.run([*root, "rm", "-f", str(_POLICY)], check=False)


def _write(root: Sequence[str], path: Path, text: str, mode: str) -> None:
    command = [*root, "install", "-D", "-m", mode, "/dev/stdin", str(path)]
    subprocess.run(command, input=text, text=True, check=False)


def main() -> int:
    """Install what is missing; the exit code says whether everything is there now."""
    missing = missing_servers()
    if missing and shutil.which("apt-get"):
        install(missing)
    for server in missing:
        try:
            programs_of(server)
        except ServerMissing as problem:
            print(problem, file=sys.stderr)
            return 1
    install_old_duckdb()
    return 0


if __name__ == "__main__":
    sys.exit(main())
