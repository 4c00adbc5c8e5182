"""The shape of the dbt project: layers, names, descriptions, keys, contracts, marks of privacy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.checks.quality import GUARDED
from orchestration.manifest import dbt_executable
from orchestration.settings import PROJECT_DIR, Settings
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.history import VERSIONED
from tests.conftest import DemoRun
from tests.support.companies import warehouse

LAYER_MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "seeds", "marts"},
    "marts": {"staging", "intermediate", "marts", "seeds"},
    "metrics": {"staging", "intermediate", "marts", "metrics"},
}
"""intermediate may read the marts' dimensions and the facts that quality rules judge."""


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    settings = Settings(company="demo", data_root=tmp_path_factory.mktemp("manifest"))
    settings.make_folders()
    subprocess.run(
        [str(dbt_executable()), "--quiet", "parse"],
        cwd=PROJECT_DIR,
        env={**os.environ, **settings.dbt_environment()},
        check=True,
    )
    parsed: Mapping[str, Any] = json.loads((settings.dbt_target_dir / "manifest.json").read_text())
    return parsed


def models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(unique_id: str, manifest: Mapping[str, Any]) -> str:
    if unique_id.startswith("source."):
        return "source"
    return str(manifest["nodes"][unique_id]["schema"])


def data_tests_of(model: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and model["unique_id"] in node["depends_on"]["nodes"]
    ]


def test_every_layer_reads_only_what_it_may(manifest: Mapping[str, Any]) -> None:
    wrong = [
        (model["name"], parent)
        for model in models(manifest)
        for parent in model["depends_on"]["nodes"]
        if layer(parent, manifest) not in LAYER_MAY_READ[model["schema"]]
    ]
    assert wrong == []


def test_intermediate_models_read_facts_only_to_judge_them(manifest: Mapping[str, Any]) -> None:
    wrong = [
        (model["name"], parent)
        for model in models(manifest)
        if model["schema"] == "intermediate" and "quality" not in model["path"]
        for parent in model["depends_on"]["nodes"]
        if layer(parent, manifest) == "marts" and ".dim_" not in parent
    ]
    assert wrong == []


def test_only_system_models_know_the_system(manifest: Mapping[str, Any]) -> None:
    """Only int_<system>__ reads the system's staging; only unions read int_<system>__."""
    reads = [
        (model["name"], parent.rpartition(".")[2])
        for model in models(manifest)
        for parent in model["depends_on"]["nodes"]
    ]
    assert [
        (name, parent)
        for name, parent in reads
        if parent.startswith("stg_bitrix24__") and not name.startswith("int_bitrix24__")
    ] == []
    assert [
        (name, parent)
        for name, parent in reads
        if parent.startswith("int_bitrix24__")
        and not name.startswith("int_bitrix24__")
        and name != "int_reconciliation_by_entity"
        and not _is_union(name)
    ] == []


def _is_union(name: str) -> bool:
    """A union reads one model per system, and beside them at most the company's rules."""
    text = next((PROJECT_DIR / "models/intermediate").glob(f"{name}.sql")).read_text()
    parents = re.findall(r"ref\('(\w+)'\)", text)
    return all(p.startswith(("int_bitrix24__", "stg_company__")) for p in parents)


def test_every_raw_table_has_one_staging_view(manifest: Mapping[str, Any]) -> None:
    client = Bitrix24Client("https://portal.example/rest/1/secret/", "main")
    entities = Bitrix24Connector(client, "main", smart_processes=[128]).entities
    loaded = {entity.table for entity in entities} | {table.versions for table in VERSIONED}
    loaded |= {"detail_reads", "quarantine", "load_log", "deleted_records"}
    staged = [
        parent.rpartition(".")[2]
        for model in models(manifest)
        for parent in model["depends_on"]["nodes"]
        if parent.startswith("source.callfunnel.raw_bitrix24.")
    ]
    assert sorted(staged) == sorted(loaded)
    described = {
        source["name"]
        for source in manifest["sources"].values()
        if source["source_name"] == "raw_bitrix24"
    }
    assert described == loaded


def test_names_tell_the_layer(manifest: Mapping[str, Any]) -> None:
    patterns = {
        "staging": r"stg_[a-z0-9]+__[a-z_]+",
        "intermediate": r"int_[a-z0-9_]+",
        "marts": r"(dim|fct)_[a-z_]+",
        "metrics": r"metric_[a-z_]+__by_[a-z_]+",
    }
    wrong = [
        model["name"]
        for model in models(manifest)
        if not re.fullmatch(patterns[model["schema"]], model["name"])
    ]
    assert wrong == []


def test_yml_files_are_named_after_their_folder() -> None:
    names = [path.name for path in (PROJECT_DIR / "models").rglob("*.yml")]
    assert names
    assert [n for n in names if not re.fullmatch(r"_[a-z0-9_]+__(models|sources)\.yml", n)] == []


def test_every_model_and_raw_table_is_described(manifest: Mapping[str, Any]) -> None:
    nodes = [*models(manifest), *manifest["sources"].values()]
    assert [node["name"] for node in nodes if not node["description"].strip()] == []
    assert [
        model["name"]
        for model in models(manifest)
        if not model["description"].startswith("One row")
    ] == []


def test_every_model_has_a_tested_key(manifest: Mapping[str, Any]) -> None:
    keyed = {"unique", "is_unique_together", "is_key"}
    without = [
        model["name"]
        for model in models(manifest)
        if not any(
            (test.get("test_metadata") or {}).get("name") in keyed
            and test["attached_node"] == model["unique_id"]
            for test in data_tests_of(model, manifest)
        )
    ]
    assert without == []


def test_marts_and_metrics_have_contracts_and_marked_columns(manifest: Mapping[str, Any]) -> None:
    problems = []
    for model in models(manifest):
        if model["schema"] not in ("marts", "metrics"):
            continue
        if not model["config"]["contract"]["enforced"]:
            problems.append((model["name"], "contract"))
        for column in model["columns"].values():
            meta = column["config"]["meta"]
            if not column["description"].strip():
                problems.append((model["name"], column["name"], "description"))
            if meta.get("pii") not in ("none", "name", "phone", "email", "text"):
                problems.append((model["name"], column["name"], "pii"))
            numeric = re.match(r"(bigint|integer|double|decimal)", column["data_type"])
            if numeric and meta.get("additivity") not in ("sum", "none"):
                problems.append((model["name"], column["name"], "additivity"))
    assert problems == []


def test_facts_have_relationships_and_a_fan_out_test(manifest: Mapping[str, Any]) -> None:
    without = []
    for model in models(manifest):
        if not model["name"].startswith("fct_") or "issues" in model["name"]:
            continue
        kinds = {(t.get("test_metadata") or {}).get("name") for t in data_tests_of(model, manifest)}
        if not {"relationships", "has_as_many_rows_as"} <= kinds:
            without.append(model["name"])
    assert without == []


def test_the_same_column_has_the_same_type_everywhere(manifest: Mapping[str, Any]) -> None:
    types: dict[str, set[str]] = {}
    for model in models(manifest):
        for column in model["columns"].values():
            if column.get("data_type"):
                types.setdefault(column["name"], set()).add(column["data_type"])
    loose = {"talk_seconds"}  # a call's is an integer, their sum a bigint
    assert {
        name: kinds for name, kinds in types.items() if len(kinds) > 1 and name not in loose
    } == {}


def test_every_quality_rule_and_suite_guards_an_asset(manifest: Mapping[str, Any]) -> None:
    seed = (PROJECT_DIR / "transform/seeds/data_quality_rules.csv").read_text().splitlines()[1:]
    names = {line.split(",")[1] for line in seed}
    assert names <= GUARDED.keys()
    tables = {(model["schema"], model["name"]) for model in models(manifest)}
    tables |= {(s["schema"], s["name"]) for s in manifest["sources"].values()}
    assert set(GUARDED.values()) <= tables


def test_every_company_folder_but_the_replay_is_a_code_location() -> None:
    workspace = yaml.safe_load((PROJECT_DIR / "workspace.yaml").read_text())
    listed = {entry["python_module"]["attribute"] for entry in workspace["load_from"]}
    folders = {path.parent.name for path in (PROJECT_DIR / "companies").glob("*/company.toml")}
    assert folders - {"replay"} == listed


def test_no_model_is_planned_as_a_nested_loop(demo_run: DemoRun) -> None:
    """A range join without an equality is planned as a nested loop: minutes instead of seconds."""
    compiled = demo_run.settings.dbt_target_dir / "compiled" / "callfunnel" / "models"
    looping = []
    checked = 0
    with warehouse(demo_run.settings) as connection:
        for path in compiled.rglob("*.sql"):
            if path.parent.suffix == ".yml":
                continue
            plan = connection.execute(f"explain {path.read_text()}").fetchall()[0][1]
            checked += 1
            if re.search(r"NL_JOIN|NESTED_LOOP|IE_JOIN", plan):
                looping.append(path.stem)
    assert checked > 40
    assert looping == []


def test_the_project_holds_no_machine_path() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    marks = (str(Path.home()) + "/", "/work" + "/main", "/tmp" + "/try")
    found = [
        name
        for name in tracked
        if (path := PROJECT_DIR / name).is_file()
        and any(mark.encode() in path.read_bytes() for mark in marks)
    ]
    assert found == []
