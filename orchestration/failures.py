"""Turning our errors into Dagster failures: the sentence, without a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from dagster import DagsterEvent, Failure, MetadataValue

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


def failure_sentence(event: DagsterEvent) -> str:
    """What a failed step or run says for people; empty where it says nothing."""
    data = event.event_specific_data
    told = getattr(data, "user_failure_data", None)
    if told and told.description:
        return str(told.description)
    error = getattr(data, "error", None)
    if error is None:
        return ""
    innermost = error.cause or error
    return str(innermost.message).strip()
