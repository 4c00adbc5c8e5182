"""Progress of long work: the layers below log to `callfunnel`, Dagster and the terminal show it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from dagster import DagsterLogManager


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
