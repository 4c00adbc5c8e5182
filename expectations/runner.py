"""Running a boundary through Great Expectations.

Imported only where it is needed: importing Great Expectations takes about 13 CPU seconds.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import duckdb

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)

from expectations.suites.boundary import Boundary


class ExpectationCrashed(RuntimeError):
    """An expectation raised instead of judging: a defect of the suite, not of the data."""


@functools.cache
def _context() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


def failed_bounds(connection: duckdb.DuckDBPyConnection, boundary: Boundary) -> Mapping[str, float]:
    """The figures of a boundary that lie outside of their range, with what was observed.

    Raises:
        ExpectationCrashed: an expectation could not be evaluated.
    """
    profile = connection.execute(boundary.profile).df().astype("float64")
    context = _context()
    source = context.data_sources.add_or_update_pandas(boundary.name)
    batch = (
        source.add_dataframe_asset(boundary.name)
        .add_batch_definition_whole_dataframe("profile")
        .get_batch(batch_parameters={"dataframe": profile})
    )
    suite = gx.ExpectationSuite(
        name=boundary.name,
        expectations=[
            ExpectColumnValuesToBeBetween(
                column=bound.column, min_value=bound.minimum, max_value=bound.maximum
            )
            for bound in boundary.bounds
        ],
    )
    result = batch.validate(suite)
    failures: dict[str, float] = {}
    for judged in result.results:
        column = str(judged.expectation_config.kwargs["column"])
        if judged.exception_info and judged.exception_info.get("raised_exception"):
            raise ExpectationCrashed(f"{boundary.name}, {column}: {judged.exception_info}")
        if not judged.success:
            failures[column] = float(profile[column].iloc[0])
    return failures
