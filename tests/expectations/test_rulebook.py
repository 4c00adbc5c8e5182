"""The page of the rules is that of the seeds, and nothing in it is untold."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pytest

from expectations.rulebook import PAGE, render_rulebook
from expectations.rules import quality_rules

PROJECT = Path(__file__).parents[2]
LANGUAGES = ("en", "ru", "uk")
RULES_OF_SPEC = [f"Q{number}" for number in range(1, 21)]


def sentences() -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = defaultdict(dict)
    with (PROJECT / "transform" / "seeds" / "finding_sentences.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            told[row["finding"]][row["language"]] = row["sentence"]
    return told


def test_the_page_is_that_of_the_seeds() -> None:
    """Write it with `make docs-quality`."""
    assert PAGE.read_text(encoding="utf-8") == render_rulebook()


def test_every_rule_of_the_specification_is_there() -> None:
    ids = [rule.rule_id for rule in quality_rules()]
    assert [rule for rule in ids if rule.startswith("Q") and rule[1:].isdigit()] == RULES_OF_SPEC


def test_only_what_would_make_a_report_wrong_stops_publishing() -> None:
    assert [rule.rule_id for rule in quality_rules() if rule.is_blocking] == ["Q1", "Q4", "Q5"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_its_texts(language: str) -> None:
    for rule in quality_rules(language):
        assert rule.title, rule
        assert rule.why.endswith("."), rule
        assert rule.remedy, rule
        assert not rule.remedy.endswith("."), rule


def test_a_sentence_tells_the_same_facts_in_every_language() -> None:
    for finding, told in sentences().items():
        assert set(told) == set(LANGUAGES), finding
        facts = {language: set(re.findall(r"{(\w+)}", text)) for language, text in told.items()}
        assert facts["en"] == facts["ru"] == facts["uk"], finding


def test_texts_are_in_their_language() -> None:
    for told in sentences().values():
        assert not re.search("[а-яіїєґ]", told["en"], re.IGNORECASE), told
        assert not re.search("[іїєґ]", told["ru"], re.IGNORECASE), told
        assert not re.search("[ыэъё]", told["uk"], re.IGNORECASE), told
