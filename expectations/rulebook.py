"""docs/data-quality.md, rendered from the rules that the warehouse, Dagster and the gate read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from expectations.outcomes import BOUNDARIES
from expectations.rules import QualityRule, quality_rules
from expectations.suites.boundary import Boundary

PAGE = Path(__file__).parents[1] / "docs" / "data-quality.md"

_INTRO = (
    "# Data quality\n\n"
    "Every rule, what it asserts, why it matters, who mends a breach and how. This page is made "
    "from `transform/seeds/data_quality_rules.csv`, `data_quality_texts.csv` and "
    "`expectations/suites/` by `make docs-quality`; the register says the same in the company's "
    "language. How findings are kept, accepted and stop publishing: "
    "[operating](operating.md#checks-and-the-gate).\n\n"
    "- **Register**: `marts.fct_data_quality_issues` (R22), one row per finding, open or gone, "
    "with its sentence, who mends it, link, first and last seen.\n"
    "- **Checks**: one asset check per rule, on the table it guards, with the first offenders in "
    "its metadata.\n"
    "- **Gate**: rules marked *blocks* stop publishing until they are mended or accepted in "
    "`accepted_findings.csv`; the others warn. Suites that block and dbt's own tests stop it too, "
    "and nobody can accept them: they speak of the load and of our arithmetic, not of a record.\n"
    "- What can't be checked says so, and counts neither as passed nor as a breach.\n"
)


def render_rulebook(
    rules: Iterable[QualityRule] | None = None, boundaries: Iterable[Boundary] = BOUNDARIES
) -> str:
    """The page as Markdown."""
    return "\n".join([_INTRO, *_rules(rules or quality_rules()), *_boundaries(boundaries)]) + "\n"


def write_rulebook() -> Path:
    """Write docs/data-quality.md.

    Returns:
        The page's path.
    """
    PAGE.write_text(render_rulebook(), encoding="utf-8")
    return PAGE


def _rules(rules: Iterable[QualityRule]) -> Iterator[str]:
    yield "## Rules"
    for rule in rules:
        schema, table = rule.guards
        yield ""
        yield f'### <a id="{rule.rule_id.lower()}"></a>{rule.rule_id}. {rule.title}'
        yield ""
        yield f"- **Why.** {rule.why}"
        yield f"- **What to do** ({rule.owner}). {rule.remedy}."
        verdict = f"{rule.severity}, blocks" if rule.is_blocking else rule.severity
        yield f"- **Check.** `{rule.name}` on `{schema}.{table}`; {verdict}."


def _boundaries(boundaries: Iterable[Boundary]) -> Iterator[str]:
    yield ""
    yield "## Suites at the boundaries"
    yield ""
    yield (
        "Great Expectations judges a profile of each table: raw tables as they come in, marts as "
        "they go out."
    )
    yield ""
    yield "| suite | table | expects | blocks |"
    yield "|---|---|---|---|"
    for boundary in boundaries:
        expects = "; ".join(bound.says for bound in boundary.bounds)
        yield (
            f"| `{boundary.name}` | `{boundary.schema}.{boundary.table}` | {expects} | "
            f"{'yes' if boundary.is_blocking else ''} |"
        )
    yield ""
    yield (
        "Beside these every published table has a suite `<table>_keeps_what_it_promises`, made "
        "from dbt's manifest (`expectations/suites/published.py`): columns and types are those of "
        "the contract; keys are unique, required columns filled; counts and lengths are not below "
        "0, shares lie between 0 and 1; keys lead to rows; columns about now name nobody who has "
        "left, columns about events nobody for what came after they had left. They warn: dbt's own "
        "tests of the same promises stop the build already."
    )
