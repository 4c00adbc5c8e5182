"""The dbt project as Dagster assets, one dbt invocation."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Output,
)
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)

from orchestration.manifest import dbt_executable, keep_manifest, keep_semantic_manifest
from orchestration.resources import Warehouse
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.shapes import ROW_COUNT

OWNERS: Mapping[str, Sequence[str]] = {
    "staging": ["team:data-engineering"],
    "marts": ["team:analytics"],
    "metrics": ["team:analytics"],
}
"""Owners of assets by layer; layers without a line of their own are staging's."""

TESTS: Mapping[str, tuple[str, str]] = {
    "unique": ("keys", "{column} is unique"),
    "is_key": ("keys", "its key is unique and complete"),
    "is_unique_together": ("keys", "its key is unique"),
    "not_null": ("keys", "{column} is never empty"),
    "relationships": ("relationships", "{column} leads to a row"),
    "accepted_values": ("values", "{column} has no value but the known ones"),
    "has_as_many_rows_as": ("arithmetic", "no join has multiplied or dropped rows"),
}
"""Kinds of dbt's generic tests, and what they assert; singular ones are arithmetic."""


class CompanyTranslator(DagsterDbtTranslator):
    """Keys start with the company (keys are global in an instance); groups are the layers."""

    def __init__(self, company: str) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))
        self._company = company

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        """`<company>/<schema>/<table>`."""
        schema = dbt_resource_props.get("schema") or dbt_resource_props.get("source_name")
        return AssetKey([self._company, str(schema), str(dbt_resource_props["name"])])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """staging, intermediate, marts, metrics or seeds."""
        return str(dbt_resource_props["schema"])

    def get_asset_check_spec(
        self,
        asset_spec: AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: Any,
    ) -> AssetCheckSpec | None:
        """A dbt test as a check: its kind, what it asserts in words, whether it stops the build."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        test = manifest["nodes"][unique_id]
        generic = str((test.get("test_metadata") or {}).get("name"))
        # A singular test is called by the truth that it asserts.
        truth = spec.name.removeprefix("assert_").replace("_", " ")
        kind, says = TESTS.get(generic, ("arithmetic", truth))
        told = test.get("description") or says.format(column=test.get("column_name"))
        stops = "a failure stops the build" if spec.blocking else "a failure warns"
        return spec._replace(
            description=f"{told.rstrip('.')} (dbt; {stops}).",
            metadata={**(spec.metadata or {}), "kind": kind},
        )

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        """Who answers for a layer: what is published, and what leads to it."""
        return OWNERS.get(str(dbt_resource_props.get("schema")), OWNERS["staging"])


def model_assets(settings: Settings, manifest: Path) -> AssetsDefinition:
    """All models, seeds and dbt tests of one company as one step."""

    @dbt_assets(
        manifest=manifest,
        name=f"{settings.company}__models",
        dagster_dbt_translator=CompanyTranslator(settings.company),
        pool=f"{settings.company}_warehouse",
    )
    def models(
        context: AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
    ) -> Iterator[Any]:
        # The warehouse is only locked: where dbt's step runs alone, no other step holds it.
        settings.make_folders()
        with _environment(settings.dbt_environment()):
            invocation = dbt.cli(["build"], context=context, target_path=settings.dbt_target_dir)
            for message in invocation.stream_raw_events():
                for event in message.to_default_asset_events(
                    manifest=invocation.manifest,
                    dagster_dbt_translator=invocation.dagster_dbt_translator,
                    context=invocation.context,
                    target_path=invocation.target_path,
                    project=invocation.project,
                ):
                    yield _with_row_count(event, message.raw_event)
        keep_semantic_manifest(settings)
        keep_manifest(settings)

    return models


def _with_row_count(event: Any, raw_event: Mapping[str, Any]) -> Any:
    """A table's event with the rows that dbt's log told: tell_shape, or dbt itself of a seed."""
    data = raw_event["data"]
    # dbt calls a seed's own message by another name than a model's.
    message = str(data.get("result_message") or data.get("status"))
    told = re.fullmatch(r"(?:(?:[\d,]+ of )?([\d,]+) rows|(?:CREATE|INSERT) (\d+))", message)
    if not isinstance(event, Output) or not told:
        return event
    return event.with_metadata(
        {**event.metadata, ROW_COUNT: int((told[1] or told[2]).replace(",", ""))}
    )


def dbt_resource() -> DbtCliResource:
    """Dbt of this environment, on the project at the root."""
    return DbtCliResource(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        dbt_executable=str(dbt_executable()),
    )


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """profiles.yml reads the environment, and dbt's subprocess gets a copy of ours."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
