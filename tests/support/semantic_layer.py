"""The semantic layer asked in this process: MetricFlow writes the SQL, DuckDB runs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantic_interfaces.type_enums import MetricType
from metricflow_semantics.model.dbt_manifest_parser import (
    parse_manifest_from_dbt_generated_manifest,
)
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]


class _DuckDb:
    """What MetricFlow needs to know of an engine to write its SQL."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()


class SemanticLayer:
    """Metrics of one company's warehouse."""

    def __init__(self, manifest: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._manifest = parse_manifest_from_dbt_generated_manifest(manifest.read_text())
        self._engine = MetricFlowEngine(SemanticManifestLookup(self._manifest), _DuckDb())  # type: ignore[arg-type]
        self._connection = connection

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(metric.name for metric in self._manifest.metrics)

    @property
    def ratios(self) -> frozenset[str]:
        """Metrics that are null, not 0, where there is nothing to divide by."""
        return frozenset(
            metric.name
            for metric in self._manifest.metrics
            if metric.type is MetricType.RATIO or "nullif" in (metric.type_params.expr or "")
        )

    def semantic_models_of(self, metric_name: str) -> frozenset[str]:
        """The semantic models whose measures a metric is made of."""
        measures = {
            measure.name: model.name
            for model in self._manifest.semantic_models
            for measure in model.measures
        }
        metrics = {metric.name: metric for metric in self._manifest.metrics}
        found: set[str] = set()
        waiting = [metric_name]
        while waiting:
            metric = metrics[waiting.pop()]
            found |= {measures[measure.name] for measure in metric.input_measures}
            waiting += [one.name for one in metric.input_metrics]
        return frozenset(found)

    def ask(
        self,
        metrics: Sequence[str],
        group_by: Sequence[str] = (),
        *,
        where: Sequence[str] = (),
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> Rows:
        """Values of the metrics by the values of `group_by`, in its order; days as dates."""
        midnight = dt.time()
        request = MetricFlowQueryRequest.create(
            metric_names=list(metrics),
            group_by_names=list(group_by),
            where_constraints=list(where) or None,
            time_constraint_start=start and dt.datetime.combine(start, midnight),
            time_constraint_end=end and dt.datetime.combine(end, midnight),
        )
        found: Rows = {}
        for row in self._answer(request):
            key = tuple(row.pop(name) for name in group_by)
            assert key not in found
            found[key] = row
        return found

    def ask_saved(self, saved_query: str) -> list[dict[str, Any]]:
        """The rows of a saved query."""
        return self._answer(MetricFlowQueryRequest.create(saved_query_name=saved_query))

    def totals(self, metrics: Sequence[str]) -> Mapping[str, Any]:
        """The metrics over everything."""
        return self.ask(metrics)[()]

    def _answer(self, request: MetricFlowQueryRequest) -> list[dict[str, Any]]:
        cursor = self._connection.execute(self._engine.explain(request).sql_statement.sql)
        columns = [column[0] for column in cursor.description or []]
        return [
            {name: _day(value) for name, value in zip(columns, row, strict=True)}
            for row in cursor.fetchall()
        ]


def _day(value: Any) -> Any:
    return value.date() if isinstance(value, dt.datetime) else value
