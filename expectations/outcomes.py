"""Judging one build: rules of the register and suites at the boundaries, each evaluated once.

The outcome is kept in `raw_derived.check_outcomes` under the number of the build, so that Dagster's
checks, the gate and publishing read the same verdict, whoever of them comes first.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from expectations.place import Place, place_of
from expectations.suites.boundary import Boundary
from expectations.suites.marts import MART_BOUNDARIES
from expectations.suites.published import published_boundaries
from expectations.suites.raw_amocrm import AMOCRM_BOUNDARIES
from expectations.suites.raw_bitrix24 import BITRIX24_BOUNDARIES
from expectations.suites.raw_telephony import TELEPHONY_BOUNDARIES
from sources.errors import CallfunnelError
from sources.masking import without_contacts

RAW_BOUNDARIES = (*BITRIX24_BOUNDARIES, *AMOCRM_BOUNDARIES, *TELEPHONY_BOUNDARIES)
BOUNDARIES = (*RAW_BOUNDARIES, *MART_BOUNDARIES)
OFFENDERS_SHOWN = 20

_CREATE = """
create schema if not exists raw_derived;
create table if not exists raw_derived.check_outcomes (
    build_number bigint, check_name varchar, is_blocking boolean, severity varchar,
    has_passed boolean, offenders_count bigint, sentence varchar, offenders json,
    accepted_count bigint
);
alter table raw_derived.check_outcomes add column if not exists accepted_count bigint
"""


class NotBuilt(CallfunnelError):
    """There is no build to judge."""


@dataclass(frozen=True)
class Outcome:
    """The verdict of one check on one build.

    Attributes:
        check_name: the truth that was asserted.
        severity: `error` or `warn`.
        is_blocking: a failure stops publishing.
        offenders_count: how many records offend, all of them.
        sentence: what it says, in words.
        offenders: the first of them: record, culprit (whom it names), owner (who is to mend it),
            sentence, link, since; without phones and e-mails, for they are shown to whoever may
            look at a run.
        accepted_count: further ones that a person has taken on (accepted_findings.csv).
    """

    check_name: str
    is_blocking: bool
    severity: str
    has_passed: bool
    offenders_count: int
    sentence: str
    offenders: tuple[Mapping[str, Any], ...] = ()
    accepted_count: int = 0

    @property
    def was_checked(self) -> bool:
        """Whether there was anything to judge by: what can't be checked names no offender."""
        return self.has_passed or self.offenders_count > 0


def build_number(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the newest dbt build of this warehouse.

    Raises:
        NotBuilt: dbt has not built anything here yet.
    """
    try:
        rows = connection.execute("select max(build_number) from raw_derived.builds").fetchone()
    except duckdb.CatalogException:
        rows = None
    if not rows or rows[0] is None:
        raise NotBuilt("Nothing has been built yet: materialise the models first.")
    return int(rows[0])


def _failures(connection: duckdb.DuckDBPyConnection, number: int) -> int:
    row = connection.execute(
        "select failures_count from raw_derived.builds where build_number = ?", [number]
    ).fetchone()
    if row is None or row[0] is None:
        raise NotBuilt(
            f"Build {number} has not finished: it was interrupted or is still running. Materialise "
            "the models again; the last publication stays."
        )
    return int(row[0])


def outcomes(connection: duckdb.DuckDBPyConnection) -> tuple[Outcome, ...]:
    """The outcomes of the newest build, evaluated now if nobody has done it yet.

    Args:
        connection: the warehouse, writable.

    Returns:
        One outcome per rule of `data_quality_rules`, per boundary and per published table. A rule
        that can't be checked has not passed, and says so; one that can't be checked in part says
        so too, and passes by the rest.
    """
    number = build_number(connection)
    failures = _failures(connection, number)
    connection.execute(_CREATE)
    kept = connection.execute(
        "select check_name, is_blocking, severity, has_passed, offenders_count, sentence, "
        "offenders, coalesce(accepted_count, 0) from raw_derived.check_outcomes "
        "where build_number = ? order by check_name",
        [number],
    ).fetchall()
    if kept:
        return tuple(_read(row) for row in kept)
    place = place_of(connection)
    found = (*_rules(connection), *_boundaries(connection, place, number), _dbt(failures))
    connection.executemany(
        "insert into raw_derived.check_outcomes values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                outcome.check_name,
                outcome.is_blocking,
                outcome.severity,
                outcome.has_passed,
                outcome.offenders_count,
                outcome.sentence,
                json.dumps(outcome.offenders, ensure_ascii=False, default=str),
                outcome.accepted_count,
            )
            for outcome in found
        ],
    )
    return tuple(sorted(found, key=lambda outcome: outcome.check_name))


def accepted_findings(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Open findings of the newest build that a person has taken on (accepted_findings.csv).

    Returns:
        Rows of rule, connection, entity, record, until_on, who and why.
    """
    rows = connection.execute(
        "select rule_id, source_key, entity, record_id, accepted_until_on, accepted_by, "
        "accepted_reason "
        "from marts.fct_data_quality_issues where closed_at is null and is_accepted "
        "order by rule_id, source_key, entity, record_id"
    ).fetchall()
    names = ("rule", "connection", "entity", "record", "until_on", "who", "why")
    return [
        {
            name: value.isoformat() if isinstance(value, dt.date) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in rows
    ]


def _read(row: tuple[Any, ...]) -> Outcome:
    name, is_blocking, severity, has_passed, count, sentence, offenders, accepted = row
    named = tuple(json.loads(offenders))
    return Outcome(name, is_blocking, severity, has_passed, count, sentence, named, accepted)


def _rules(connection: duckdb.DuckDBPyConnection) -> list[Outcome]:
    rules = connection.execute(
        "select rules.rule_id, rules.rule_name, rules.severity, rules.is_blocking, texts.title, "
        "texts.remedy "
        "from seeds.data_quality_rules as rules "
        "inner join seeds.data_quality_texts as texts on rules.rule_id = texts.rule_id "
        "inner join raw_company.rules as company on texts.language = company.language"
    ).fetchall()
    unchecked: dict[str, tuple[str, bool]] = {
        rule_id: (sentences, is_whole_rule)
        for rule_id, sentences, is_whole_rule in connection.execute(
            "select rule_id, string_agg(sentence, ' ' order by source_key), bool_or(is_whole_rule) "
            "from intermediate.int_unchecked_rules group by rule_id"
        ).fetchall()
    }
    counts: dict[str, tuple[int, int]] = {
        rule_id: (offenders, accepted)
        for rule_id, offenders, accepted in connection.execute(
            "select rule_id, count(*) filter (where not is_accepted), "
            "count(*) filter (where is_accepted) "
            "from marts.fct_data_quality_issues where closed_at is null group by rule_id"
        ).fetchall()
    }
    found = []
    for rule_id, name, severity, is_blocking, title, remedy in rules:
        count, accepted = counts.get(rule_id, (0, 0))
        rows = connection.execute(
            "select record_id, culprit_name, responsible_name, sentence, card_url, first_seen_at "
            "from marts.fct_data_quality_issues "
            "where rule_id = ? and closed_at is null and not is_accepted "
            "order by entity, try_cast(record_id as bigint), record_id limit ?",
            [rule_id, OFFENDERS_SHOWN],
        ).fetchall()
        offenders = tuple(
            {
                "record": record,
                "culprit": culprit and without_contacts(culprit),
                "owner": owner and without_contacts(owner),
                "sentence": without_contacts(sentence),
                "link": link,
            }
            | {"since": f"{since:%Y-%m-%d}"}
            for record, culprit, owner, sentence, link, since in rows
        )
        missing, is_whole_rule = unchecked.get(rule_id, ("", False))
        if is_whole_rule and not count:
            # Not passed, but no offence either: it warns and stops nothing.
            found.append(Outcome(name, False, "warn", False, 0, missing, accepted_count=accepted))
            continue
        sentence = f"{remedy if count else title}. {missing}".rstrip()
        found.append(
            Outcome(name, is_blocking, severity, count == 0, count, sentence, offenders, accepted)
        )
    return found


def _boundaries(connection: duckdb.DuckDBPyConnection, place: Place, number: int) -> list[Outcome]:
    from expectations.data_docs import write_data_docs
    from expectations.runner import judge

    boundaries = (*BOUNDARIES, *published_boundaries(place.manifest()))
    judgements = [judge(connection, boundary) for boundary in boundaries]
    write_data_docs(place.data_docs, number, judgements)
    return [_boundary_outcome(one.boundary, one.failures) for one in judgements]


def _boundary_outcome(boundary: Boundary, failures: Mapping[str, float]) -> Outcome:
    says = {bound.column: bound.says for bound in boundary.bounds}
    offenders = tuple(
        {
            "record": f"{boundary.schema}.{boundary.table}: {column}",
            "culprit": None,
            "owner": None,
            "sentence": f"Expected that {says[column]}; {column} is {observed:g}.",
            "link": None,
        }
        for column, observed in failures.items()
    )
    return Outcome(
        boundary.name,
        boundary.is_blocking,
        "error" if boundary.is_blocking else "warn",
        not failures,
        len(failures),
        "; ".join(bound.says for bound in boundary.bounds) + ".",
        offenders,
    )


def _dbt(failures: int) -> Outcome:
    return Outcome(
        "every_error_severity_dbt_test_passed",
        True,
        "error",
        failures == 0,
        failures,
        "dbt's tests of our own arithmetic hold; run a full build and look at what fails in it.",
    )
