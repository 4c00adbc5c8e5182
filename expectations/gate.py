"""The gate: whether the newest build may be published."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from expectations.outcomes import Outcome, build_number, outcomes
from sources.errors import CallfunnelError

_CREATE = """
create table if not exists raw_derived.gate_verdicts (
    build_number bigint, is_open boolean, reasons varchar
)
"""


class GateClosed(CallfunnelError):
    """The newest build must not be published; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """The gate's word on one build."""

    build_number: int
    is_open: bool
    reasons: str


def judge(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge the newest build and keep the verdict."""
    found = outcomes(connection)
    closed_by = [outcome for outcome in found if outcome.is_blocking and not outcome.has_passed]
    verdict = Verdict(build_number(connection), not closed_by, "\n".join(map(_reason, closed_by)))
    connection.execute(_CREATE)
    connection.execute(
        "delete from raw_derived.gate_verdicts where build_number = ?", [verdict.build_number]
    )
    connection.execute(
        "insert into raw_derived.gate_verdicts values (?, ?, ?)",
        [verdict.build_number, verdict.is_open, verdict.reasons],
    )
    return verdict


def require_open(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """The verdict on the newest build, which must let it pass.

    Raises:
        GateClosed: the gate has not judged this build, or has closed.
    """
    number = build_number(connection)
    try:
        row = connection.execute(
            "select is_open, reasons from raw_derived.gate_verdicts where build_number = ?",
            [number],
        ).fetchone()
    except duckdb.CatalogException:
        row = None
    if row is None:
        raise GateClosed(
            f"Build {number} has not passed the gate yet: materialise quality_gate first. "
            "The last publication stays."
        )
    if not row[0]:
        raise GateClosed(
            f"The gate is closed for build {number}; the last publication stays.\n{row[1]}"
        )
    return Verdict(number, True, "")


def _reason(outcome: Outcome) -> str:
    named = "; ".join(str(offender["sentence"]) for offender in outcome.offenders[:3])
    return f"{outcome.check_name}: {named or outcome.sentence} ({outcome.offenders_count} in all)"
