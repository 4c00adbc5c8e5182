"""Which tables and columns are published, read from dbt's manifest and the company's choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.publishing.privacy import DEFAULTS, REGISTERS, expression, pii_of
from sources.errors import InputError
from sources.masking import Treatment

PUBLISHED_SCHEMAS = ("marts", "metrics")


@dataclass(frozen=True)
class PublishedTable:
    """One table as BI sees it.

    Attributes:
        columns: names as published, in order.
        left_out: columns of the model that BI does not see under their name.
        expressions: SQL of columns that are not taken as they are.
        key: the column that dbt's tests hold to be unique and never empty.
        references: columns that lead to other tables.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    description: str = ""
    column_descriptions: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    references: tuple[str, ...] = ()
    expressions: Mapping[str, str] = field(default_factory=dict)

    @property
    def selected(self) -> str:
        """The select list, over the table in the warehouse."""
        return ", ".join(
            f'{self.expressions.get(column, chr(34) + column + chr(34))} as "{column}"'
            for column in self.columns
        )


def published_tables(
    manifest: Mapping[str, Any], choices: Mapping[str, Treatment] | None = None
) -> tuple[PublishedTable, ...]:
    """Every mart and metric table; of personal columns (`meta.pii`) what `DEFAULTS` says.

    A column without the mark is left out: forgetting must not publish. So are columns marked
    `is_hidden`: true keys of employees, behind which reports would name the dismissed.

    Args:
        manifest: dbt's.
        choices: the company's, `<table>.<column>` to what is published of it.
    """
    return _tables(manifest, choices or {}, DEFAULTS)


def registers(
    manifest: Mapping[str, Any], choices: Mapping[str, Treatment] | None = None
) -> tuple[PublishedTable, ...]:
    """The tables whose numbers must be dialled, with the numbers and names of clients.

    Args:
        manifest: dbt's.
        choices: the company's; what it hides is hidden here too.
    """
    dialled: dict[str, Treatment] = {**DEFAULTS, "phone": "show", "email": "show", "name": "show"}
    hidden = {column: told for column, told in (choices or {}).items() if told == "hide"}
    return tuple(table for table in _tables(manifest, hidden, dialled) if table.name in REGISTERS)


def check_choices(
    manifest: Mapping[str, Any], choices: Mapping[str, Treatment], company_toml: Path
) -> None:
    """Refuse choices that name no personal column, with file and line.

    Raises:
        InputError: the column is not published, holds nothing personal, or can't be treated so.
    """
    from sources.company.rules import place_in_toml

    personal = {
        f"{node['name']}.{column['name']}"
        for node in _models(manifest)
        for column in node["columns"].values()
        if pii_of(column) not in ("none", "unmarked")
    }
    for name, treatment in choices.items():
        if name not in personal:
            problem = f"is no column with personal data: one of {', '.join(sorted(personal))}"
        elif name.endswith("_url") and treatment == "mask":
            problem = "is an address, of which nothing is left to read: hide, hash or show it"
        else:
            continue
        place = place_in_toml(company_toml, ("publish", "columns", name))
        raise InputError(f"{place}: publish.columns.{name}: {problem}")


def _tables(
    manifest: Mapping[str, Any],
    choices: Mapping[str, Treatment],
    defaults: Mapping[str, Treatment],
) -> tuple[PublishedTable, ...]:
    tested = _tested(manifest)
    tables = []
    for node in _models(manifest):
        expressions: dict[str, str] = {}
        descriptions: dict[str, str] = {}
        for column in node["columns"].values():
            name, pii = column["name"], pii_of(column)
            if column.get("config", {}).get("meta", {}).get("is_hidden", False):
                continue
            treatment = defaults.get(pii, "hide")
            if pii != "none":
                treatment = choices.get(f"{node['name']}.{name}", treatment)
            told = expression(name, str(column.get("data_type", "")), pii, treatment)
            if told:
                published_name, sql = told
                expressions[published_name] = sql
                says = column.get("description", "")
                descriptions[published_name] = (
                    f"Keyed hash, for joining, of: {says}" if treatment == "hash" else says
                )
        of_node = tested.get(node.get("unique_id", ""), {})
        tables.append(
            PublishedTable(
                schema=node["schema"],
                name=node["name"],
                columns=tuple(expressions),
                left_out=tuple(name for name in node["columns"] if name not in expressions),
                description=node.get("description", ""),
                column_descriptions=descriptions,
                key=_key(of_node),
                references=tuple(sorted(of_node.get("relationships", ()))),
                expressions=expressions,
            )
        )
    return tuple(sorted(tables, key=lambda table: (table.schema, table.name)))


def _models(manifest: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["schema"] in PUBLISHED_SCHEMAS:
            yield node


def _tested(manifest: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """By model and generic test: the columns that it guards without a condition."""
    found: dict[str, dict[str, set[str]]] = {}
    for node in manifest["nodes"].values():
        test, column = node.get("test_metadata"), node.get("column_name")
        if test and column and not node["config"].get("where"):
            of_model = found.setdefault(str(node.get("attached_node")), {})
            of_model.setdefault(test["name"], set()).add(column)
    return found


def _key(tested: Mapping[str, set[str]]) -> str | None:
    return min(tested.get("unique", set()) & tested.get("not_null", set()), default=None)
