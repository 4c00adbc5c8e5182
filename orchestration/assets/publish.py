"""The gate and what stands behind it."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
)

from expectations.gate import judge, require_open
from expectations.outcomes import Outcome, accepted_findings, outcomes
from orchestration.failures import readable_failures
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.files import publish_files
from orchestration.publishing.postgres import (
    Contacts,
    place_of,
    publish_postgres,
    read_generation,
)
from orchestration.publishing.privacy import hash_key
from orchestration.publishing.tables import check_choices, published_tables, registers
from orchestration.resources import Warehouse
from orchestration.settings import PROJECT_DIR, Settings
from sources.company import read_company


def publish_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[AssetsDefinition]:
    """The gate, the published files and their copy in PostgreSQL, of one company."""
    company = settings.company
    company_toml = settings.company_dir / "company.toml"
    pool = f"{company}_warehouse"
    gate_key = AssetKey([company, "quality_gate"])

    @asset(
        key=gate_key,
        deps=[
            AssetKey([company, table.schema, table.name]) for table in published_tables(manifest)
        ],
        group_name="publish",
        owners=["team:analytics"],
        kinds={"python"},
        description="Judges the newest build: a failed blocking check stops publishing.",
        pool=pool,
    )
    def quality_gate(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> MaterializeResult[None]:
        with readable_failures(), warehouse.connect() as connection:
            verdict = judge(connection)
        if not verdict.is_open:
            raise Failure(
                "The gate is closed: nothing is published, the last publication stays.\n"
                + verdict.reasons,
                allow_retries=False,
            )
        context.log.info(f"the gate is open for build {verdict.build_number}")
        return MaterializeResult(metadata={"build": verdict.build_number, "verdict": "open"})

    files_key = AssetKey([company, "published_files"])

    @asset(
        key=files_key,
        deps=[gate_key],
        group_name="publish",
        owners=["team:analytics"],
        kinds={"parquet", "duckdb"},
        description="Parquet files and one DuckDB file for BI, without personal data.",
        pool=pool,
    )
    def published_files(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> MaterializeResult[None]:
        with readable_failures():
            publish = read_company(settings.company_dir).rules.publish
            check_choices(manifest, publish.columns, company_toml)
            with warehouse.connect() as connection:
                verdict = require_open(connection)
                found = outcomes(connection)
                accepted = accepted_findings(connection)
            publication = publish_files(
                settings.warehouse,
                settings.published_dir,
                company,
                published_tables(manifest, publish.columns),
                hash_key=hash_key(settings),
                contacts=registers(manifest, publish.columns) if publish.contacts_in_files else (),
                keep_generations=publish.keep_generations,
                memory_limit=settings.memory_limit,
                temp_dir=settings.temp_dir,
                progress=context.log.info,
                facts={
                    "build_number": verdict.build_number,
                    "git_revision": settings.revision or _git_revision(),
                    "checks": _checks(found, accepted),
                },
            )
        return MaterializeResult(
            metadata={
                "generation": publication.generation,
                "folder": MetadataValue.path(str(publication.folder)),
                "size_bytes": publication.files_size_bytes,
                "dagster/row_count": sum(publication.rows.values()),
                "as_of": str(publication.as_of_at),
            }
        )

    @asset(
        key=AssetKey([company, "published_postgres"]),
        deps=[files_key],
        group_name="publish",
        owners=["team:analytics"],
        kinds={"postgres"},
        description=(
            "The published files as schema `marts` of a PostgreSQL database, swapped as a whole; "
            "nothing where no address is set."
        ),
        pool=pool,
    )
    def published_postgres(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> MaterializeResult[None]:
        address = settings.postgres_address.get_secret_value()
        if not address.strip():
            nowhere = (
                "Nothing is published in PostgreSQL: CALLFUNNEL_PUBLISH_POSTGRES is not set "
                "(docs/publishing.md)."
            )
            context.log.info(nowhere)
            return MaterializeResult(metadata={"published": nowhere})
        with readable_failures():
            with warehouse.connect() as connection:
                build = require_open(connection).build_number
            publish = read_company(settings.company_dir).rules.publish
            check_choices(manifest, publish.columns, company_toml)
            generation = read_generation(settings.published_dir)
            if generation.build_number != build:
                raise PublishingFailed(
                    f"The published files are of build {generation.build_number}, the newest is "
                    f"{build}: materialise published_files first."
                )
            publication = publish_postgres(
                address,
                generation,
                published_tables(manifest, publish.columns),
                contacts=(
                    Contacts(
                        settings.warehouse,
                        registers(manifest, publish.columns),
                        hash_key(settings),
                    )
                    if publish.contacts_in_postgres
                    else None
                ),
                memory_limit=settings.memory_limit,
                temp_dir=settings.temp_dir,
                progress=context.log.info,
            )
        kept = [
            f"{table} stays, for {', '.join(views)} reads it: create the view again, then it "
            "reads the new generation"
            for table, views in publication.kept.items()
        ]
        for sentence in (*publication.warnings, *kept):
            context.log.warning(sentence)
        return MaterializeResult(
            metadata={
                "published": place_of(address),
                "generation": publication.generation,
                "dagster/row_count": sum(publication.rows.values()),
                "tables_count": len(publication.rows),
                "tries_of_the_swap": publication.tries,
                "old_tables_kept": MetadataValue.md(
                    "\n".join(f"- {one}" for one in kept) or "none"
                ),
                "warnings": MetadataValue.md(
                    "\n".join(f"- {one}" for one in publication.warnings) or "none"
                ),
            }
        )

    return [quality_gate, published_files, published_postgres]


def _checks(found: Sequence[Outcome], accepted: list[dict[str, Any]]) -> dict[str, Any]:
    """What manifest.json says of the checks; behind an open gate a failed one has only warned."""
    failed = [outcome for outcome in found if not outcome.has_passed]
    return {
        "passed": [outcome.check_name for outcome in found if outcome.has_passed],
        "warned": {o.check_name: o.offenders_count for o in failed if o.was_checked},
        "not_checked": {o.check_name: o.sentence for o in failed if not o.was_checked},
        "accepted": accepted,
    }


def _git_revision() -> str | None:
    if shutil.which("git") is None:
        return None
    finished = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )
    return finished.stdout.strip() or None
