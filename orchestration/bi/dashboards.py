"""Dashboards as files: one folder per reader, one SQL file per card, texts in `dashboards.yml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestration.bi.model import BiModel, Names

_FOLDER = Path(__file__).with_name("dashboards")
_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_PARAMETER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Parameter:
    """A filter of a dashboard: `type` date or text."""

    name: str
    type: str
    names: Names


@dataclass(frozen=True)
class Card:
    """One question in SQL; `table` is the report that explains its numbers."""

    name: str
    sql: str
    table: str
    titles: Names
    display: str
    chart: Mapping[str, Any]

    @property
    def parameters(self) -> list[str]:
        """Names of the filters it takes, in order."""
        return list(dict.fromkeys(_PARAMETER.findall(self.sql)))

    def filled(self, values: Mapping[str, str]) -> str:
        """The SQL with literals in place of parameters; clauses without a value fall away."""

        def optional(found: re.Match[str]) -> str:
            names = _PARAMETER.findall(found.group(1))
            return found.group(1) if all(name in values for name in names) else ""

        return _PARAMETER.sub(
            lambda found: values[found.group(1)], _OPTIONAL.sub(optional, self.sql)
        )


@dataclass(frozen=True)
class Dashboard:
    """The page of one reader; `models` are the tables for questions beyond it."""

    reader: str
    names: Names
    descriptions: Names
    models: Sequence[str]
    cards: Sequence[Card]

    @property
    def parameters(self) -> list[str]:
        """Every filter that a card of the page takes."""
        return list(dict.fromkeys(name for card in self.cards for name in card.parameters))


@cache
def read_dashboards() -> tuple[Dashboard, ...]:
    """All dashboards, in the order of the file."""
    return tuple(
        Dashboard(
            reader=reader,
            names=said["name"],
            descriptions=said["description"],
            models=said["models"],
            cards=[_card(reader, name, card) for name, card in said["cards"].items()],
        )
        for reader, said in _written()["dashboards"].items()
    )


@cache
def read_parameters() -> Mapping[str, Parameter]:
    """Filters by name."""
    return {
        name: Parameter(name, said["type"], said["name"])
        for name, said in _written()["parameters"].items()
    }


def tables_title(language: str) -> str:
    """The collection of the models."""
    return str(_written()["tables"][language])


def explanation_of(name: str, model: BiModel, language: str) -> str:
    """Which report a table is and what its numbers mean."""
    table = model.tables[name]
    report = model.reports.get(name)
    said = table.definitions.get(language) or table.description
    return f"{report}. {said}" if report else said


def column_title(column: str, card: Card, model: BiModel, language: str) -> str | None:
    """The name of a result's column: the report's, else that of the metric or of any table."""
    written: Names = _written()["columns"].get(column, {})
    own = model.tables[card.table].columns.get(column)
    if own and own.names.get(language):
        return own.names[language]
    entry = model.metrics.get(column, {}).get(language)
    if entry:
        return entry.name
    if language in written:
        return written[language]
    others = (table.columns.get(column) for table in model.tables.values())
    return next((one.names[language] for one in others if one and language in one.names), None)


def _card(reader: str, name: str, said: Mapping[str, Any]) -> Card:
    return Card(
        name=name,
        sql=(_FOLDER / reader / f"{name}.sql").read_text(encoding="utf-8").strip(),
        table=said["table"],
        titles=said["title"],
        display=said.get("display", "table"),
        chart=said.get("chart", {}),
    )


@cache
def _written() -> Mapping[str, Any]:
    text = (_FOLDER / "dashboards.yml").read_text(encoding="utf-8")
    written: Mapping[str, Any] = yaml.safe_load(text)
    return written
