"""Published tables, their names in three languages and how they hang together.

Power BI's project and Metabase's set-up are both made from this, so that they can't disagree.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.catalogue import LANGUAGES, Entry, read_catalogue
from orchestration.manifest import manifest_path, read_manifest
from orchestration.publishing.tables import published_tables
from orchestration.settings import Settings
from sources.company import read_company
from sources.errors import CallfunnelError
from sources.masking import Treatment

Names = Mapping[str, str]
"""A text by language."""

DATES = ("dim_dates", "date_day")
EMPLOYEES = ("dim_employees", "employee_key")

_REF = re.compile(r"""ref\(\s*['"](\w+)['"]\s*\)""")
_NAMES_FILE = Path(__file__).with_name("names.yml")

# Which relationship stays active where two would lead to the same table: a fact's own keys first,
# then attributes of its card, then what dimensions say of one another, then fact to fact.
_FACT_TO_DIMENSION, _FACT_TO_CARD, _DIMENSION_TO_DIMENSION, _FACT_TO_FACT = range(4)


@dataclass(frozen=True)
class Column:
    """A published column; `additivity` is null where it is no number."""

    name: str
    data_type: str
    description: str
    additivity: str | None
    names: Names
    definitions: Names
    unit: str | None

    @property
    def is_key(self) -> bool:
        """Keys and hashes join tables; nobody reads them."""
        is_number = self.name.endswith("_key") and self.data_type == "bigint"
        return is_number or self.name.endswith("_hash")


@dataclass(frozen=True)
class Table:
    """A published table."""

    name: str
    schema: str
    description: str
    key: str | None
    columns: Mapping[str, Column]
    names: Names
    definitions: Names

    @property
    def is_dimension(self) -> bool:
        """Whether other tables are told about by it."""
        return self.name.startswith("dim_")


@dataclass(frozen=True)
class Relationship:
    """Many rows of one table belong to one row of another."""

    from_table: str
    from_column: str
    to_table: str
    to_column: str
    is_active: bool = True

    @property
    def name(self) -> str:
        """Unique within a model."""
        return f"{self.from_table}.{self.from_column}>{self.to_table}.{self.to_column}"


@dataclass(frozen=True)
class BiModel:
    """Everything a BI tool is told."""

    tables: Mapping[str, Table]
    relationships: Sequence[Relationship]
    semantic: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Entry]]
    reports: Mapping[str, str]
    """The number of the report that a table is."""

    def relationship(self, table: str, column: str) -> Relationship | None:
        """Where a column leads to."""
        found = (
            one
            for one in self.relationships
            if one.from_table == table and one.from_column == column
        )
        return next(found, None)

    def active_to(self, table: str, target: str) -> Relationship | None:
        """The active relationship between two tables."""
        found = (
            one
            for one in self.relationships
            if one.is_active and one.from_table == table and one.to_table == target
        )
        return next(found, None)


@dataclass
class _Graph:
    """Active relationships; adding one that would make a second path is refused."""

    one_sides: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, many: str, one: str) -> bool:
        upstream = {many} | {table for table in self.one_sides if many in self.above(table)}
        downstream = {one} | self.above(one)
        if any(self.above(table) & downstream for table in upstream) or upstream & downstream:
            return False
        self.one_sides[many].add(one)
        return True

    def above(self, table: str) -> set[str]:
        found: set[str] = set()
        waiting = [table]
        while waiting:
            for one in self.one_sides.get(waiting.pop(), ()):
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return found


def read_bi_model(settings: Settings) -> BiModel:
    """The model of a company's publication.

    Raises:
        CallfunnelError: the dbt project does not parse.
    """
    manifest = read_manifest(settings)
    parsed = manifest_path(settings).with_name("semantic_manifest.json")
    if not parsed.exists():
        raise CallfunnelError(f"{parsed} is missing: run make dbt ARGS=parse.")
    semantic = json.loads(parsed.read_text(encoding="utf-8"))
    choices = read_company(settings.company_dir).rules.publish.columns
    return bi_model(manifest, semantic, _entries(settings), choices)


def bi_model(
    manifest: Mapping[str, Any],
    semantic: Mapping[str, Any],
    entries: Iterable[Entry],
    choices: Mapping[str, Treatment] | None = None,
) -> BiModel:
    """Put together what dbt knows of the published tables."""
    entries = list(entries)
    explained = _Explained(entries)
    nodes = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    tables: dict[str, Table] = {}
    for published in published_tables(manifest, choices):
        node = nodes[published.name]
        key = node.get("primary_key") or []
        tables[published.name] = Table(
            name=published.name,
            schema=published.schema,
            description=_one_line(node["description"]),
            key=key[0] if len(key) == 1 and key[0] in published.columns else None,
            columns={
                name: _column(published.name, _contract(node, name), explained)
                for name in published.columns
            },
            names=explained.table_names(published.name),
            definitions=explained.definitions(published.name, None),
        )
    metrics: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.entry_kind == "metric":
            metrics[entry.entry_name][entry.language] = entry
    return BiModel(
        tables=tables,
        relationships=_activated(tables, _links(manifest, semantic, tables), semantic),
        semantic=semantic,
        metrics=metrics,
        reports={
            entry.table_name: entry.report
            for entry in entries
            if entry.entry_kind == "report" and entry.table_name and entry.report
        },
    )


class _Explained:
    """Names and definitions by table and column, from the catalogue and `names.yml`."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._own: dict[tuple[str, str | None], dict[str, Entry]] = defaultdict(dict)
        shared: dict[str, dict[str, dict[str, Entry]]] = defaultdict(lambda: defaultdict(dict))
        for entry in entries:
            if entry.entry_kind not in ("column", "report") or entry.table_name is None:
                continue
            self._own[entry.table_name, entry.column_name][entry.language] = entry
            if entry.column_name:
                shared[entry.column_name][entry.table_name][entry.language] = entry
        # The same column name is the same quantity everywhere, unless reports tell it apart.
        self._shared = {
            column: next(iter(by_table.values()))
            for column, by_table in shared.items()
            if len({entry["en"].name for entry in by_table.values()}) == 1
        }
        self._written = _written_names()

    def table_names(self, table: str) -> Names:
        own = self._own.get((table, None))
        if own:
            return {language: entry.name for language, entry in own.items()}
        return self._written["tables"].get(table, {})

    def column_names(self, table: str, column: str) -> Names:
        entries = self._of_column(table, column)
        if entries:
            return {language: entry.name for language, entry in entries.items()}
        return self._written["columns"].get(column, {})

    def definitions(self, table: str, column: str | None) -> Names:
        entries = self._of_column(table, column) if column else self._own.get((table, None), {})
        return {language: entry.definition for language, entry in entries.items()}

    def unit(self, table: str, column: str) -> str | None:
        entry = self._of_column(table, column).get("en")
        return entry.unit if entry else None

    def _of_column(self, table: str, column: str) -> Mapping[str, Entry]:
        return self._own.get((table, column)) or self._shared.get(column, {})


def _contract(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A column as the model has it; under a name of its own, a keyed hash of a personal one."""
    hashed = {"name": name, "data_type": "varchar", "description": "Keyed hash, for joining."}
    return node["columns"].get(name) or hashed


def _column(table: str, column: Mapping[str, Any], explained: _Explained) -> Column:
    meta = column.get("config", {}).get("meta", {})
    name = column["name"]
    return Column(
        name=name,
        data_type=column["data_type"],
        description=_one_line(column["description"]),
        additivity=meta.get("additivity"),
        names=explained.column_names(table, name),
        definitions=explained.definitions(table, name),
        unit=explained.unit(table, name),
    )


def _links(
    manifest: Mapping[str, Any], semantic: Mapping[str, Any], tables: Mapping[str, Table]
) -> list[tuple[str, str, str, str]]:
    """What dbt tests as relationships, and what the semantic layer joins."""
    found: dict[tuple[str, str, str, str], None] = {}

    def add(from_table: str, from_column: str, to_table: str, to_column: str) -> None:
        if (
            from_table != to_table
            and from_column in getattr(tables.get(from_table), "columns", ())
            and to_column in getattr(tables.get(to_table), "columns", ())
        ):
            found[from_table, from_column, to_table, to_column] = None

    for node in manifest["nodes"].values():
        test = node.get("test_metadata") or {}
        if node["resource_type"] != "test" or test.get("name") != "relationships":
            continue
        arguments = test["kwargs"]
        target = _REF.search(arguments["to"])
        if target and node.get("attached_node"):
            from_table = node["attached_node"].rsplit(".", 1)[-1]
            add(from_table, arguments["column_name"], target.group(1), arguments["field"])
    primary = {
        entity["name"]: (model["node_relation"]["alias"], entity["expr"] or entity["name"])
        for model in semantic["semantic_models"]
        for entity in model["entities"]
        if entity["type"] == "primary"
    }
    for model in semantic["semantic_models"]:
        table = model["node_relation"]["alias"]
        for entity in model["entities"]:
            if entity["type"] == "foreign" and entity["name"] in primary:
                add(table, _column_of(entity), *primary[entity["name"]])
        for dimension in model["dimensions"]:
            if dimension["type"] == "time":
                add(table, dimension["expr"] or dimension["name"], *DATES)
    # Keys of pipelines, stages and cards are named alike everywhere; not every table tests them.
    homes = {
        table.key: table.name
        for table in tables.values()
        if table.key
        and table.name in ("dim_pipelines", "dim_stages", "dim_cards", "dim_periods", "dim_clients")
    }
    for table in tables.values():
        for column in table.columns:
            if column in homes:
                add(table.name, column, homes[column], column)
    return list(found)


def _activated(
    tables: Mapping[str, Table],
    links: Iterable[tuple[str, str, str, str]],
    semantic: Mapping[str, Any],
) -> list[Relationship]:
    """Make relationships active one by one; what would open a second path stays inactive."""
    preferred = _preferred_columns(semantic)
    links = list(links)
    # An employee's department matters more than that of an entry of their history.
    importance = Counter(to_table for _, _, to_table, _ in links)

    def rank(link: tuple[str, str, str, str]) -> tuple[Any, ...]:
        from_table, from_column, to_table, _ = link
        tier = _FACT_TO_FACT
        if to_table == "dim_cards":
            tier = _FACT_TO_CARD
        elif tables[to_table].is_dimension:
            of_dimension = tables[from_table].is_dimension
            tier = _DIMENSION_TO_DIMENSION if of_dimension else _FACT_TO_DIMENSION
        order = preferred.get((from_table, to_table), [])
        wanted = order.index(from_column) if from_column in order else len(order)
        names = ("reporting_employee_key", "current_reporting_employee_key")
        by_name = names.index(from_column) if from_column in names else len(names)
        position = list(tables[from_table].columns).index(from_column)
        return tier, -importance[from_table], from_table, wanted, by_name, position, to_table

    graph = _Graph()
    made = [
        Relationship(*link, is_active=graph.add(link[0], link[2]))
        for link in sorted(links, key=rank)
    ]
    return sorted(made, key=lambda one: one.name)


def _preferred_columns(semantic: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Of a fact's several dates or people, the ones its first semantic model counts by."""
    homes = {
        entity["name"]: model["node_relation"]["alias"]
        for model in semantic["semantic_models"]
        for entity in model["entities"]
        if entity["type"] == "primary"
    }
    preferred: dict[tuple[str, str], list[str]] = defaultdict(list)
    for model in semantic["semantic_models"]:
        table = model["node_relation"]["alias"]
        day = (model["defaults"] or {}).get("agg_time_dimension")
        if day:
            preferred[table, DATES[0]].append(day)
        for entity in model["entities"]:
            if entity["type"] == "foreign" and entity["name"] in homes:
                preferred[table, homes[entity["name"]]].append(_column_of(entity))
    return preferred


def _entries(settings: Settings) -> list[Entry]:
    """The catalogue as published; compiled by dbt where nothing is published yet."""
    path = settings.published_dir / "current" / "metric_catalogue.parquet"
    if not path.exists():
        return read_catalogue()
    fields = ", ".join(Entry.__dataclass_fields__)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {fields} from read_parquet(?) order by entry_position, language", [str(path)]
        ).fetchall()
    return [Entry(*row) for row in rows]


@cache
def _written_names() -> Mapping[str, Mapping[str, Names]]:
    """Names of what is no report, from `names.yml`: English, Russian, Ukrainian."""
    written = yaml.safe_load(_NAMES_FILE.read_text(encoding="utf-8"))
    return {
        kind: {
            name: dict(zip(LANGUAGES, texts, strict=True)) for name, texts in written[kind].items()
        }
        for kind in ("tables", "columns")
    }


def _column_of(entity: Mapping[str, Any]) -> str:
    """The column of an entity; row 0, for what belongs to no card, is Power BI's blank row."""
    expression: str = entity["expr"] or entity["name"]
    found = re.fullmatch(r"coalesce\((\w+), 0\)", expression)
    return found.group(1) if found else expression


def _one_line(text: str) -> str:
    return " ".join(text.split())
