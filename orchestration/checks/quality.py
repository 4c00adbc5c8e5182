"""Quality rules and boundary suites as asset checks on the tables they guard."""

from collections.abc import Iterator, Mapping

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

from expectations.outcomes import BOUNDARIES, Outcome, outcomes
from orchestration.failures import readable_failures
from orchestration.resources import Warehouse
from orchestration.settings import Settings

GUARDED: Mapping[str, tuple[str, str]] = {
    "no_report_names_a_dismissed_employee": ("marts", "fct_calls"),
    "no_open_card_belongs_to_a_dismissed_employee": ("marts", "fct_deals"),
    "no_dismissed_account_acts": ("marts", "fct_calls"),
    "no_pipeline_with_deals_is_missing": ("marts", "dim_pipelines"),
    "source_raw_and_marts_hold_the_same_rows": ("marts", "fct_deals"),
    "last_history_stage_is_the_current_stage": ("marts", "fct_stage_visits"),
    "every_stage_is_in_the_dictionary": ("marts", "dim_stages"),
    "no_line_is_shared": ("marts", "dim_employees"),
    "every_won_deal_has_an_amount": ("marts", "fct_deals"),
    "no_history_lies_before_creation_or_in_the_future": ("marts", "fct_stage_visits"),
    "no_call_is_absurdly_long": ("marts", "fct_calls"),
    "every_code_of_the_telephony_is_known": ("marts", "fct_calls"),
    "every_received_row_could_be_read": ("marts", "fct_data_quality_issues"),
    "every_entity_was_read_whole": ("marts", "fct_data_quality_issues"),
    "the_company_rules_name_known_records": ("marts", "dim_pipelines"),
    "every_error_severity_dbt_test_passed": ("marts", "fct_data_quality_issues"),
    **{boundary.name: (boundary.schema, boundary.table) for boundary in BOUNDARIES},
}
"""Check name to the table (schema, name) it guards."""

_OFFENDERS = TableSchema(
    columns=[TableColumn(name, "string") for name in ("record", "culprit", "sentence", "link")]
)


def quality_checks(settings: Settings) -> AssetChecksDefinition:
    """All rules and suites of one company, judged in one step after the models."""
    company = settings.company

    @multi_asset_check(
        name=f"{company}__quality",
        specs=[
            AssetCheckSpec(name, asset=AssetKey([company, *table]), description=_describe(name))
            for name, table in GUARDED.items()
        ],
        pool=f"{company}_warehouse",
    )
    def quality(
        context: AssetCheckExecutionContext, warehouse: Warehouse
    ) -> Iterator[AssetCheckResult]:
        with readable_failures(), warehouse.connect() as connection:
            found = outcomes(connection)
        failed = [outcome for outcome in found if not outcome.has_passed]
        context.log.info(f"quality: {len(found)} checks, {len(failed)} with offenders")
        for outcome in found:
            yield _result(company, outcome)

    return quality


def _describe(name: str) -> str:
    return name.replace("_", " ").capitalize() + "."


def _result(company: str, outcome: Outcome) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=outcome.check_name,
        asset_key=AssetKey([company, *GUARDED[outcome.check_name]]),
        passed=outcome.has_passed,
        severity=(
            AssetCheckSeverity.ERROR if outcome.severity == "error" else AssetCheckSeverity.WARN
        ),
        description=outcome.sentence,
        metadata={
            "offenders_count": outcome.offenders_count,
            "offenders": MetadataValue.table(
                [
                    TableRecord({key: str(value or "") for key, value in offender.items()})
                    for offender in outcome.offenders
                ],
                schema=_OFFENDERS,
            ),
        },
    )
