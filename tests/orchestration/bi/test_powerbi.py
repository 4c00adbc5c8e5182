"""The Power BI project: read back by a reader of its own, every name in it looked up."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pbi_parsers import dax
from pbi_semantic_doc.parser import TmdlParser

from orchestration.bi.model import BiModel, bi_model, read_bi_model
from orchestration.bi.powerbi import Project, write_project
from orchestration.publishing.tables import published_tables
from tests.conftest import DemoRun
from tests.support.tmdl_reader import Node, read

FUNCTIONS = {
    "ALL", "CALCULATE", "CONTAINSSTRINGEXACT", "COUNTROWS", "DATEADD", "DATESINPERIOD", "DATESMTD",
    "DATESYTD", "DISTINCTCOUNTNOBLANK", "DIVIDE", "FALSE", "FILTER", "IF", "ISBLANK",
    "LOOKUPVALUE", "MAX", "MAXX", "MEDIANX", "NOT", "PERCENTILEX.INC", "RELATED",
    "REMOVEFILTERS", "SUMX", "TREATAS", "TRUE", "USERPRINCIPALNAME", "VALUES",
}  # fmt: skip
"""Of dax.guide; a measure that needs another one is looked at before it is added."""


@dataclass
class Written:
    """A project as it stands on disk."""

    project: Project
    model: BiModel
    manifest: dict[str, Any]
    definition: Path

    @cached_property
    def all_nodes(self) -> list[Node]:
        return [node for path in self.definition.rglob("*.tmdl") for node in read(path)]

    def nodes(self, kind: str) -> list[Node]:
        return [node for node in self.all_nodes if node.kind == kind]

    @cached_property
    def tables(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes("table")}

    @cached_property
    def columns(self) -> set[tuple[str, str]]:
        return {(name, one.name) for name, node in self.tables.items() for one in node.of("column")}

    @cached_property
    def expressions(self) -> dict[str, str]:
        said = {one.name: one.value for one in self.tables["measures"].of("measure")}
        for role in self.nodes("role"):
            for permission in role.of("tablePermission"):
                said[f"{role.name}: {permission.name}"] = permission.value
        return said


@pytest.fixture(scope="module")
def written(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("powerbi")
    model = read_bi_model(demo_run.settings)
    project = write_project(model, "demo", folder, "ru")
    manifest = json.loads((demo_run.settings.dbt_target_dir / "manifest.json").read_text())
    return Written(project, model, manifest, folder / "callfunnel_demo.SemanticModel/definition")


def test_the_tables_are_the_published_ones_with_their_published_columns(written: Written) -> None:
    published = {
        (table.name, column)
        for table in published_tables(written.manifest)
        for column in table.columns
    }
    own = {(name, column) for name, column in written.columns if name in ("measures", "bi_viewers")}
    stamps = {("dim_dates", "generation"), ("dim_dates", "as_of_at")}
    # Everybody may see every card, so its amount is told by the facts only.
    assert written.columns - own - stamps == published - {("dim_cards", "company_amount")}


def test_a_tmdl_parser_of_others_reads_what_was_meant(written: Written) -> None:
    found = TmdlParser().parse(written.definition.parent)
    assert found.name == "callfunnel_demo"
    # Not the explanations: it takes those of `health_check_key` for `health_check`.
    assert {
        (table.name, column.name, column.data_type, column.is_hidden)
        for table in found.tables
        for column in table.columns
    } == {
        (name, one.name, one.properties["dataType"], "isHidden" in one.properties)
        for name, node in written.tables.items()
        for one in node.of("column")
    }
    assert {
        (one.from_table, one.from_column, one.to_table, one.to_column, one.is_active)
        for one in found.relationships
    } == {
        (one.from_table, one.from_column, one.to_table, one.to_column, one.is_active)
        for one in written.model.relationships
    }
    expressions = {one.name: one.expression for table in found.tables for one in table.measures}
    for role in found.roles:
        for permission in role.table_permissions:
            expressions[f"{role.name}: {permission.table_name}"] = permission.filter_expression
    assert {name: told.split() for name, told in expressions.items()} == {
        name: told.split() for name, told in written.expressions.items()
    }
    sources = {table.name: one for table in found.tables for one in table.partitions}
    assert set(sources) == set(written.tables)


def test_columns_and_partitions_fit_the_published_files(
    demo_run: DemoRun, written: Written
) -> None:
    types = {
        "BIGINT": "int64", "INTEGER": "int64", "DOUBLE": "double", "VARCHAR": "string",
        "BOOLEAN": "boolean", "DATE": "dateTime", "TIMESTAMP": "dateTime",
    }  # fmt: skip
    current = demo_run.settings.published_dir / "current"
    with duckdb.connect() as connection:
        for name, node in written.tables.items():
            if name in ("measures", "bi_viewers"):
                continue
            found = connection.execute(
                f"describe select * from '{current / name}.parquet'"
            ).fetchall()
            # A decimal of the tabular model has four digits behind the point.
            in_file = {
                row[0]: types.get(row[1])
                or ("decimal" if int(row[1].split(",")[1].rstrip(")")) <= 4 else "double")
                for row in found
            }
            told = {one.name: one.properties["dataType"] for one in node.of("column")}
            assert told.items() <= in_file.items(), name
            [partition] = node.of("partition")
            chosen = re.search(r"SelectColumns\(Read, \{(.*)\}\)", partition.properties["source"])
            assert chosen
            assert re.findall(r'"(\w+)"', chosen.group(1)) == list(told)
            assert f'Item="{name}"' in partition.properties["source"]
            assert f'"\\{name}.parquet"' in partition.properties["source"]


def test_every_column_that_an_expression_names_exists(written: Written) -> None:
    measures = {one.name for one in written.tables["measures"].of("measure")}
    for name, expression in written.expressions.items():
        used = set(re.findall(r"'(\w+)'\[(\w+)\]", expression))
        assert used <= written.columns, f"{name}: {used - written.columns}"
        bare = re.sub(r"'\w+'\[\w+\]", "", expression)
        assert set(re.findall(r"\[(\w+)\]", bare)) <= measures, name
        assert set(re.findall(r"'(\w+)'", bare)) <= set(written.tables), name


def test_every_expression_is_dax(written: Written) -> None:
    for name, expression in written.expressions.items():
        assert dax.to_ast(expression) is not None, f"{name} does not parse: {expression}"
        unquoted = re.sub(r'"[^"]*"', "", expression)
        assert set(re.findall(r"([A-Z][A-Z.]+)\(", unquoted)) <= FUNCTIONS, name
        assert unquoted.count("(") == unquoted.count(")")


def test_a_related_column_is_reached_by_an_active_relationship(written: Written) -> None:
    active = {
        (one.from_table, one.to_table) for one in written.model.relationships if one.is_active
    }
    for name, expression in written.expressions.items():
        rows = None
        for filtered, related in re.findall(r"FILTER\('(\w+)'|RELATED\('(\w+)'", expression):
            rows = filtered or rows
            assert not related or (rows, related) in active, name


def test_no_two_active_ways_lead_from_one_table_to_another(written: Written) -> None:
    ahead: dict[str, list[str]] = defaultdict(list)
    for node in written.nodes("relationship"):
        if "isActive" not in node.properties:
            from_table = node.properties["fromColumn"].split(".")[0]
            ahead[from_table].append(node.properties["toColumn"].split(".")[0])

    def ways(table: str) -> Iterator[str]:
        for one in ahead[table]:
            yield one
            yield from ways(one)

    for table in list(ahead):
        twice = [target for target, count in Counter(ways(table)).items() if count > 1]
        assert not twice, f"{table} leads to {twice} in several ways"


def test_relationships_join_columns_of_one_type_and_end_in_a_key(written: Written) -> None:
    types = {
        (name, one.name): one.properties["dataType"]
        for name, node in written.tables.items()
        for one in node.of("column")
    }
    relationships = written.nodes("relationship")
    assert len(relationships) > 200
    for node in relationships:
        start, end = (
            tuple(node.properties[side].split(".")) for side in ("fromColumn", "toColumn")
        )
        assert types[start] == types[end], node.properties
        assert written.model.tables[end[0]].key == end[1], node.properties


def test_keys_are_hidden_and_the_date_table_is_marked(written: Written) -> None:
    for name, node in written.tables.items():
        for one in node.of("column"):
            if one.name.endswith("_key") and one.properties["dataType"] == "int64":
                assert "isHidden" in one.properties, f"{name}.{one.name}"
                assert one.properties["summarizeBy"] == "none"
    dates = written.tables["dim_dates"]
    assert dates.properties["dataCategory"] == "Time"
    assert [one.name for one in dates.of("column") if "isKey" in one.properties] == ["date_day"]
    levels = [level.properties["column"] for one in dates.of("hierarchy") for level in one.children]
    assert {("dim_dates", level) for level in levels} <= written.columns


def test_names_are_unique_and_every_reference_has_its_file(written: Written) -> None:
    tags = Counter(
        tag
        for path in written.definition.rglob("*.tmdl")
        for tag in re.findall(r"lineageTag: (\S+)", path.read_text())
    )
    assert max(tags.values()) == 1
    for node in written.tables.values():
        for kind in ("column", "measure"):
            assert max(Counter(one.name.lower() for one in node.of(kind)).values(), default=1) == 1
    measures = {one.name for one in written.tables["measures"].of("measure")}
    assert not measures & {one.name for one in written.tables["measures"].of("column")}
    references = {
        (node.kind, node.name)
        for node in read(written.definition / "model.tmdl")
        if node.kind.startswith("ref")
    }
    assert references == {
        (f"ref {kind}", node.name)
        for kind in ("table", "role", "cultureInfo")
        for node in written.nodes(kind)
    }


def test_what_is_seen_has_a_name_in_three_languages(written: Written) -> None:
    cultures = {node.name: node for node in written.nodes("cultureInfo")}
    assert set(cultures) == {"en-US", "ru-RU", "uk-UA"}
    for culture, node in cultures.items():
        [model] = node.of("translations")[0].of("model")
        captions = {}
        for table in model.of("table"):
            captions[table.name] = table.properties["caption"]
            own = {one.name: one.properties["caption"] for one in table.children}
            assert {(table.name, one.name) for one in table.of("column")} <= written.columns
            doubled = [said for said, count in Counter(own.values()).items() if count > 1]
            assert not doubled, f"{culture}, {table.name}: {doubled}"
            seen = {
                one.name
                for kind in ("column", "measure")
                for one in written.tables[table.name].of(kind)
                if "isHidden" not in one.properties
            }
            assert seen <= set(own), f"{culture}, {table.name}: {seen - set(own)}"
        assert len(set(captions.values())) == len(captions)
        assert set(captions) == set(written.tables) - {"bi_viewers"}


def test_every_metric_is_a_measure_or_left_out_with_a_reason(written: Written) -> None:
    metrics = {metric["name"] for metric in written.model.semantic["metrics"]}
    made = {one.name for one in written.tables["measures"].of("measure")} - {"as_of"}
    left = {one.name: one.reason for one in written.project.left_out}
    assert made | set(left) == metrics
    assert not made & set(left)
    # Conversions follow single cards; everything else has its measure.
    assert set(left) == {"requests_won_in_90_days", "requests_won_share_90_days"}
    readme = (written.project.folder / "README.md").read_text()
    assert all(f"`{name}`: {reason}" in readme for name, reason in left.items())


def test_the_readme_lists_what_a_slicer_of_days_does_not_filter(written: Written) -> None:
    linked = {
        node.properties["fromColumn"].split(".")[0]
        for node in written.nodes("relationship")
        if "isActive" not in node.properties and node.properties["toColumn"] == "dim_dates.date_day"
    }
    days = {
        node["name"]: [name for name, one in node["columns"].items() if one["data_type"] == "date"]
        for node in written.manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"] in written.tables
    }
    wanted = {
        f"- `{name}`: " + ", ".join(f"`{day}`" for day in listed)
        for name, listed in days.items()
        if listed and name not in linked and not name.startswith("dim_")
    }
    readme = (written.project.folder / "README.md").read_text()
    [_, section] = readme.split("## Tables that the calendar does not filter\n")
    found = {line for line in section.split("\n## ")[0].splitlines() if line.startswith("- ")}
    assert found == wanted
    assert "- `metric_losses__by_reason`: `month_start_on`" in found
    assert not any("`fct_calls`" in line for line in found)


def test_a_metric_becomes_the_expression_that_it_means(written: Written) -> None:
    said = written.expressions
    assert said["calls"] == "COUNTROWS(FILTER('fct_calls', 'fct_calls'[is_external] == TRUE()))"
    assert said["won_share_closed"] == "DIVIDE([won] + 0, [closed])"
    # A blank seconds-to-win is below every limit in DAX.
    assert (
        "NOT(ISBLANK('fct_deal_creations'[won_after_seconds])) &&"
        in (said["deals_created_won_in_30_days"])
    )
    # Not a fall of 100 % where there is nothing to compare with.
    assert said["won_amount_growth_share"].endswith("IF(NOT(ISBLANK(ratio)), ratio - 1)")
    # Qualified requests stand in the day of their qualification.
    assert (
        "TREATAS(VALUES('dim_dates'[date_day]), 'fct_requests'[qualified_on])"
        in (said["qualified"])
    )
    # Power BI refuses it in a role that limits rows.
    assert not any("USERELATIONSHIP" in expression for expression in said.values())


def test_a_manager_sees_only_what_leads_to_them(written: Written) -> None:
    [role] = written.nodes("role")
    permissions = {one.name: one.value for one in role.of("tablePermission")}
    assert "USERPRINCIPALNAME()" in permissions["dim_employees"]
    # Rows for nobody in particular have no id, and BLANK equals BLANK.
    assert permissions["dim_employees"].startswith("NOT(ISBLANK('dim_employees'[employee_id]))")
    assert permissions["bi_viewers"] == "FALSE()"
    ahead: dict[str, set[str]] = defaultdict(set)
    for node in written.nodes("relationship"):
        if "isActive" not in node.properties:
            from_table = node.properties["fromColumn"].split(".")[0]
            ahead[from_table].add(node.properties["toColumn"].split(".")[0])
    for name in written.tables:
        if not name.startswith(("fct_", "metric_")) or name == "metric_catalogue":
            continue
        waiting, seen = [name], set()
        while waiting:
            seen |= (new := ahead[waiting.pop()] - seen)
            waiting += new
        leads_there = "dim_employees" in seen
        assert permissions[name].startswith("NOT(ISBLANK(" if leads_there else "FALSE()"), name


def test_the_same_model_gives_the_same_bytes_in_a_folder_that_holds_more(
    written: Written, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("own")
    stale = tmp_path / "callfunnel_demo.SemanticModel/definition/tables/gone.tmdl"
    stale.parent.mkdir(parents=True)
    stale.write_text("table gone\n")
    write_project(written.model, "demo", tmp_path, "ru")
    assert notes.read_text() == "own"
    notes.unlink()

    def content(folder: Path) -> dict[Path, bytes]:
        return {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    assert content(tmp_path) == content(written.project.folder)


def test_the_report_opens_the_model_beside_it(written: Written) -> None:
    folder = written.project.folder
    files = {path.name: path for path in folder.rglob("*") if path.suffix in (".pbip", ".pbir")}
    shortcut = json.loads(files["callfunnel_demo.pbip"].read_text())
    [artifact] = shortcut["artifacts"]
    report = folder / artifact["report"]["path"]
    reference = json.loads((report / "definition.pbir").read_text())["datasetReference"]
    assert (report / reference["byPath"]["path"] / "definition.pbism").resolve().exists()
    pages = json.loads((report / "definition/pages/pages.json").read_text())
    [page] = pages["pageOrder"]
    assert json.loads((report / f"definition/pages/{page}/page.json").read_text())["name"] == page


def test_a_personal_column_is_a_hidden_hash_unless_the_company_shows_it(written: Written) -> None:
    nothing = {"semantic_models": [], "metrics": []}
    hashed = bi_model(written.manifest, nothing, []).tables["fct_calls"].columns
    assert "phone_e164" not in hashed
    assert (hashed["phone_e164_hash"].data_type, hashed["phone_e164_hash"].is_key) == (
        "varchar",
        True,
    )
    shown = bi_model(written.manifest, nothing, [], {"fct_calls.phone_e164": "show"})
    assert not shown.tables["fct_calls"].columns["phone_e164"].is_key
