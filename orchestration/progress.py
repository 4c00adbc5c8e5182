"""Progress of long work: the layers below log to `callfunnel`, Dagster and the terminal show it."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from dagster import DagsterEventType, DagsterLogManager, InitLoggerContext, logger

_DBT_NODE = re.compile(r"(\d+) of (\d+) (?:OK|PASS|WARN|FAIL|ERROR|SKIP)")
_DBT_TROUBLE = re.compile(r"\b(?:FAIL|ERROR|WARN)\b")
# What begin_affected_keys and the materialization say of what is built, and why.
_DBT_SCOPE = re.compile(
    r"(?:Only what hangs together|All models are built whole|\S+ is built whole).*"
)
_SECONDS_BETWEEN_COUNTS = 2.0
_NOISE = (
    "A dbt subsetted execution",
    "Running dbt command",
    "Finished dbt command",
    "Dependencies for step",
)
"""What Dagster says at the level of our own messages, and nobody at a terminal needs."""


class _Relay(logging.Handler):
    def __init__(self, log: DagsterLogManager) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, self.format(record))


@contextlib.contextmanager
def relayed_to(log: DagsterLogManager) -> Iterator[None]:
    """Show what `callfunnel` loggers say as messages of the Dagster run."""
    logger = logging.getLogger("callfunnel")
    relay = _Relay(log)
    previous, propagates = logger.level, logger.propagate
    logger.addHandler(relay)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(relay)
        logger.setLevel(previous)
        logger.propagate = propagates


class _Lines(logging.Handler):
    """One line per step and message, without Dagster's prefixes."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        message = str(meta.get("orig_message", record.getMessage()))
        if event is None and record.levelno >= logging.INFO and not message.startswith(_NOISE):
            print(f"  {message}", file=self._stream, flush=True)
        elif event is not None and event.event_type == DagsterEventType.STEP_START:
            step = str(meta.get("step_key", "")).partition("__")
            print(f"• {step[2] or step[0]}", file=self._stream, flush=True)


@logger({}, description="What a person at a terminal wants to see of a run.")
def terminal_logger(_: InitLoggerContext) -> logging.Logger:
    """Step names and messages, to stderr."""
    made = logging.Logger("callfunnel.terminal", logging.DEBUG)
    made.addHandler(_Lines(sys.stderr))
    return made


class DbtProgress(io.TextIOBase):
    """A stand-in for stdout that turns dbt's line per node into a count now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = time.monotonic()

    def write(self, text: str) -> int:
        """Take dbt's output; print counts, failures and warnings."""
        for line in text.splitlines():
            scope = _DBT_SCOPE.search(line)
            if scope:
                print(f"  {scope.group()}", file=self._stream, flush=True)
            node = _DBT_NODE.search(line)
            if not node:
                continue
            if _DBT_TROUBLE.search(line):
                print(f"  {line.strip()}", file=self._stream, flush=True)
            is_last = node.group(1) == node.group(2)
            if is_last or time.monotonic() - self._said_at >= _SECONDS_BETWEEN_COUNTS:
                self._said_at = time.monotonic()
                print(
                    f"  models and tests: {node.group(1)} of {node.group(2)}",
                    file=self._stream,
                    flush=True,
                )
        return len(text)
