"""Quality rules and boundary suites as asset checks on the tables they guard."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
)

from expectations.data_docs import data_docs_page
from expectations.outcomes import BOUNDARIES, Outcome, build_number, outcomes
from expectations.place import Place
from expectations.rules import quality_rules
from expectations.suites.published import published_boundaries
from orchestration.failures import readable_failures
from orchestration.resources import Warehouse
from orchestration.settings import Settings

_RULES = {rule.name: rule for rule in quality_rules()}

GUARDED: Mapping[str, tuple[str, str]] = {
    **{rule.name: rule.guards for rule in _RULES.values()},
    "every_error_severity_dbt_test_passed": ("marts", "fct_data_quality_issues"),
    **{boundary.name: (boundary.schema, boundary.table) for boundary in BOUNDARIES},
}
"""Check name to the table (schema, name) it guards."""

_OFFENDERS = TableSchema(
    columns=[
        TableColumn(name, "string")
        for name in ("record", "culprit", "owner", "sentence", "link", "since")
    ]
)


def quality_checks(settings: Settings, manifest: Mapping[str, Any]) -> AssetChecksDefinition:
    """All rules and suites of one company, judged in one step after the models."""
    company = settings.company
    place = Place(settings.data_dir)
    guarded = {
        **GUARDED,
        **{one.name: (one.schema, one.table) for one in published_boundaries(manifest)},
    }

    @multi_asset_check(
        name=f"{company}__quality",
        specs=[
            AssetCheckSpec(name, asset=AssetKey([company, *table]), description=_describe(name))
            for name, table in guarded.items()
        ],
        pool=f"{company}_warehouse",
    )
    def quality(
        context: AssetCheckExecutionContext, warehouse: Warehouse
    ) -> Iterator[AssetCheckResult]:
        with readable_failures(), warehouse.connect() as connection:
            found = outcomes(connection)
            number = build_number(connection)
        failed = [outcome for outcome in found if not outcome.has_passed]
        context.log.info(f"quality: {len(found)} checks, {len(failed)} with offenders")
        for outcome in found:
            page = data_docs_page(place.data_docs, number, outcome.check_name)
            if not page.exists():  # a rule, which dbt computes
                page = data_docs_page(place.data_docs, number)
            yield _result(AssetKey([company, *guarded[outcome.check_name]]), outcome, page)

    return quality


def _describe(name: str) -> str:
    if rule := _RULES.get(name):
        return f"{rule.rule_id}: {rule.title}. {rule.why} What to do ({rule.owner}): {rule.remedy}."
    return name.replace("_", " ").capitalize() + "."


def _result(asset_key: AssetKey, outcome: Outcome, page: Path) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=outcome.check_name,
        asset_key=asset_key,
        passed=outcome.has_passed,
        severity=(
            AssetCheckSeverity.ERROR if outcome.severity == "error" else AssetCheckSeverity.WARN
        ),
        description=outcome.sentence,
        metadata={
            "offenders_count": outcome.offenders_count,
            "accepted_count": outcome.accepted_count,
            "offenders": MetadataValue.table(
                [
                    TableRecord({key: str(value or "") for key, value in offender.items()})
                    for offender in outcome.offenders
                ],
                schema=_OFFENDERS,
            ),
            "data_docs": MetadataValue.url(page.resolve().as_uri()),
            "data_docs_path": MetadataValue.path(str(page)),
        },
    )
