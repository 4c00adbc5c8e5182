"""Whether what is built can be published: the PostgreSQL database, and choices of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestration.doctor.findings import Finding
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.postgres import Standing, look_at_database, place_of
from orchestration.publishing.tables import check_choices
from orchestration.settings import Settings
from sources.company import CompanyRules
from sources.errors import InputError

ITEM = "PostgreSQL for BI"


def look_at_publishing(settings: Settings, rules: CompanyRules) -> Iterator[Finding]:
    """The address answers and the user may do what publishing does; nothing is written."""
    address = settings.postgres_address.get_secret_value()
    if not address.strip():
        yield Finding(ITEM, "ok", "no address: BI reads the published files (docs/publishing.md)")
    else:
        try:
            place = place_of(address)
            standing = look_at_database(address, settings.company)
        except PublishingFailed as problem:
            yield Finding(ITEM, "problem", str(problem))
        else:
            yield from _rights(place, standing)
    manifest = settings.dbt_target_dir / "manifest.json"
    if rules.publish.columns and manifest.exists():
        try:
            check_choices(
                json.loads(manifest.read_text(encoding="utf-8")),
                rules.publish.columns,
                settings.company_dir / "company.toml",
            )
        except InputError as problem:
            yield Finding("published columns", "problem", str(problem))


def _rights(place: str, standing: Standing) -> Iterator[Finding]:
    if not standing.may_create:
        yield Finding(
            ITEM,
            "problem",
            f"{place}: user {standing.user} may not create schemas. Let the administrator run "
            f"`grant create on database … to {standing.user}`.",
        )
        return
    if standing.missing_roles and not standing.may_create_roles:
        told = "; ".join(f"create role {role} nologin" for role in standing.missing_roles)
        yield Finding(
            ITEM,
            "warning",
            f"{place}: nobody but {standing.user} will read what is published. Let the "
            f"administrator run `{told}`.",
        )
        return
    yield Finding(ITEM, "ok", f"{place}, user {standing.user}, {standing.published}")
