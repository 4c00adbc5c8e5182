"""Turning our errors into Dagster failures: the sentence, without a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from dagster import Failure, MetadataValue

from sources.errors import CallfunnelError


@contextlib.contextmanager
def readable_failures(metadata: Mapping[str, MetadataValue] | None = None) -> Iterator[None]:
    """Raise a Failure with the sentence of a CallfunnelError, and nothing chained to it.

    Args:
        metadata: shown with the failure; may be filled until then.
    """
    problem: str | None = None
    try:
        yield
    except CallfunnelError as error:
        problem = str(error)
    if problem is not None:
        raise Failure(problem, metadata=dict(metadata or {}), allow_retries=False)
