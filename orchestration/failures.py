"""Turning our errors into Dagster failures: the sentence, without a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dagster import Failure

from sources.errors import CallfunnelError


@contextlib.contextmanager
def readable_failures() -> Iterator[None]:
    """Raise a Failure with the sentence of a CallfunnelError, and nothing chained to it."""
    problem: str | None = None
    try:
        yield
    except CallfunnelError as error:
        problem = str(error)
    if problem is not None:
        raise Failure(problem, allow_retries=False)
