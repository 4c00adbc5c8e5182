"""The quality rules of SPEC §4 as dbt's seeds tell them: what Dagster's checks and the docs say."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SEEDS = Path(__file__).parents[1] / "transform" / "seeds"


@dataclass(frozen=True)
class QualityRule:
    """One rule.

    Attributes:
        rule_id: SPEC's number (`Q1`), or a word where it has none.
        name: the truth it asserts, name of the check.
        severity: `error` or `warn`.
        is_blocking: a breach stops publishing.
        guards: schema and table on which the check stands.
        owner: who mends a breach.
        title: what it asserts, for people.
        why: what a breach does to reports.
        remedy: what to do, without a full stop.
    """

    rule_id: str
    name: str
    severity: str
    is_blocking: bool
    guards: tuple[str, str]
    owner: str
    title: str
    why: str
    remedy: str


@cache
def quality_rules(language: str = "en") -> tuple[QualityRule, ...]:
    """All rules in the order of the seed, with their texts in a language (en, ru or uk)."""
    texts = {
        row["rule_id"]: row
        for row in _rows("data_quality_texts.csv")
        if row["language"] == language
    }
    rules = []
    for row in _rows("data_quality_rules.csv"):
        schema, _, table = row["guards"].partition(".")
        text = texts[row["rule_id"]]
        rules.append(
            QualityRule(
                rule_id=row["rule_id"],
                name=row["rule_name"],
                severity=row["severity"],
                is_blocking=row["is_blocking"] == "true",
                guards=(schema, table),
                owner=row["owner"],
                title=text["title"],
                why=text["why"],
                remedy=text["remedy"],
            )
        )
    return tuple(rules)


def _rows(name: str) -> list[dict[str, str]]:
    with (_SEEDS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
