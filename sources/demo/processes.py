"""A server in a process of its own: started with its options, told its secrets, asked its port."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_READY = re.compile(r"^portal ready on port (\d+)$")
_STOP_SECONDS = 5.0

Option = str | float | Path | bool | Sequence[str] | None
"""True is the bare option, a list repeats it, and what is empty or zero is left out."""


def say_ready(port: int) -> None:
    """Tell the process that waits in `served` that connections are taken."""
    print(f"portal ready on port {port}", flush=True)


@contextlib.contextmanager
def served(
    command: str, store_path: Path, options: Mapping[str, Option], secrets: Sequence[str]
) -> Iterator[int]:
    """Run `python -m sources.demo <command>` until the block ends; gives its port on loopback.

    Args:
        command: one that serves.
        store_path: the store to serve.
        options: of the command, by their names without dashes.
        secrets: the lines it reads first. They go through the pipe: a command line is readable by
            every user.

    Raises:
        RuntimeError: it ended before it could serve; its own message is on standard error.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sources.demo", command, str(store_path.resolve())),
            *(argument for name, value in options.items() for argument in _arguments(name, value)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("".join(f"{line}\n" for line in secrets))
        process.stdin.flush()
        ready = _READY.match(process.stdout.readline().strip())
        if ready is None:
            raise RuntimeError("the demo portal did not start; its message stands above")
        yield int(ready.group(1))
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _arguments(name: str, value: Option) -> Iterator[str]:
    if not value:
        return
    if value is True:
        yield f"--{name}"
    elif isinstance(value, Path):
        # The process has a working directory of its own.
        yield from (f"--{name}", str(value.resolve()))
    elif isinstance(value, str | int | float):
        yield from (f"--{name}", str(value))
    else:
        for item in value:
            yield from (f"--{name}", item)
