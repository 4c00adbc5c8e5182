"""A build makes a model whole where its text has changed; the logic of some stands elsewhere."""

from __future__ import annotations

import hashlib
import re

import pytest

from orchestration.settings import PROJECT_DIR


@pytest.mark.parametrize(
    ("model", "constant", "logic"),
    [
        ("telephony/int_calls_paired_by_phone.py", "PAIRING", "pairing.py"),
        ("int_cards_in_journeys.py", "JOURNEYS", "journeys.py"),
    ],
)
def test_a_model_in_python_names_the_logic_that_it_runs(
    model: str, constant: str, logic: str
) -> None:
    text = (PROJECT_DIR / "models/intermediate" / model).read_text(encoding="utf-8")
    (named,) = re.findall(rf'^{constant} = "(\w+)"', text, re.MULTILINE)
    found = hashlib.sha256((PROJECT_DIR / "transform" / logic).read_bytes()).hexdigest()
    assert named == found[: len(named)]


def test_every_model_in_python_is_asked() -> None:
    models = {path.name for path in (PROJECT_DIR / "models").rglob("*.py")}
    assert models == {"int_calls_paired_by_phone.py", "int_cards_in_journeys.py"}
