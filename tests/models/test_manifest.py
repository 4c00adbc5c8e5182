"""The shape of the dbt project: layers, names, descriptions, keys, contracts, marks of privacy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from orchestration.checks.quality import GUARDED
from orchestration.manifest import dbt_executable
from orchestration.publishing.privacy import REGISTERS
from orchestration.publishing.tables import registers
from orchestration.settings import PROJECT_DIR
from orchestration.systems import SYSTEMS, TELEPHONY
from sources.amocrm import AmoClient, AmoConnector, LongLivedToken
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.company.rules import CrmSystem
from tests.conftest import DemoRun
from tests.support.companies import warehouse

LAYER_MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "seeds", "marts"},
    "marts": {"staging", "intermediate", "marts", "seeds"},
    "metrics": {"staging", "intermediate", "marts", "metrics", "seeds"},
}
"""intermediate may read the marts' dimensions and the facts that quality rules judge."""


CONTEXT = {
    "amocrm_call_statuses",
    "bitrix24_call_results",
    "bitrix24_call_types",
    "dim_currency_rates",
    "dim_employees",
    "dim_pipelines",
    "dim_products",
    "dim_sources",
    "dim_stages",
    "int_account_versions",
    "int_bitrix24__stages",
    "int_connections",
    "int_connections_with_leads",
    "int_custom_field_options",
    "int_days_by_utc_date",
    "int_extension_holders",
    "int_journey_places",
    "int_loss_reasons",
    "int_mass_moves",
    "int_owners_of_file",
    "int_stages",
    "stg_amocrm__account",
    "stg_amocrm__catalog_elements",
    "stg_amocrm__catalogs",
    "stg_amocrm__user_versions",
    "stg_amocrm__users",
    "stg_company__quality_rules",
    "stg_company__report_rules",
    "stg_company__rules",
    "stg_company__segments",
    "stg_company__tag_sources",
    "stg_company__talkers",
    "stg_company__telephony_values",
    "telephony_call_results",
}
"""What tables built by affected keys read whole: small, and no table of records."""


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


def test_tables_built_by_affected_keys_say_by_which(manifest: Mapping[str, Any]) -> None:
    wrong = [
        model["name"]
        for model in models(manifest)
        if model["config"]["materialized"] == "affected_keys"
        and bool(model["config"].get("affected_by")) == bool(model["config"].get("affected_nodes"))
    ]
    assert wrong == []


def test_what_tables_built_by_affected_keys_read_whole_is_judged(
    manifest: Mapping[str, Any],
) -> None:
    """A new one: is it small, and which of its columns count (`meta.context`)?

    A table of records belongs into `record_tables()` (transform/macros/affected_keys/records.sql).
    """
    macros = (PROJECT_DIR / "transform/macros/affected_keys/records.sql").read_text()
    records: set[str] = set()
    for schema in ("bitrix24", "amocrm", "telephony", "derived", "company"):
        (listed,) = re.findall(rf"{{% set {schema} = \[(.*?)\] %}}", macros, re.DOTALL)
        records |= {f"raw_{schema}.{table}" for table in re.findall(r"'table': '(\w+)'", listed)}

    def has_twin(unique_id: str) -> bool:
        if unique_id.startswith("source."):
            source = manifest["sources"][unique_id]
            return f"{source['schema']}.{source['identifier']}" in records
        node = manifest["nodes"][unique_id]
        kind = node["config"]["materialized"]
        return kind == "affected_keys" or (
            kind == "view" and any(has_twin(parent) for parent in node["depends_on"]["nodes"])
        )

    def context_of(unique_id: str) -> set[str]:
        found: set[str] = set()
        for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
            if not has_twin(parent):
                found.add(parent.split(".")[-1])
            elif (
                parent.startswith("model.")
                and manifest["nodes"][parent]["config"]["materialized"] == "view"
            ):
                found |= context_of(parent)
        return found

    found = {
        name
        for model in models(manifest)
        if model["config"]["materialized"] == "affected_keys"
        for name in context_of(model["unique_id"])
    }
    assert found == CONTEXT


def test_tables_built_by_touched_parts_compare_all_that_they_read(
    manifest: Mapping[str, Any],
) -> None:
    """What is not compared would change without the table (decision 0021)."""

    def sql_of(macro: str) -> str:
        found = manifest["macros"][macro]
        called = (
            one for one in found["depends_on"]["macros"] if one.startswith("macro.callfunnel")
        )
        return "\n".join([found["macro_sql"], *map(sql_of, called)])

    tables = [one for one in models(manifest) if one["config"]["materialized"] == "touched_parts"]
    assert tables
    missing = [
        (model["name"], name)
        for model in tables
        for name in (parent.split(".")[-1] for parent in model["depends_on"]["nodes"])
        if not re.search(rf"\b{name}\b", sql_of(f"macro.callfunnel.parts_of_{model['name']}"))
    ]
    assert missing == []


def test_tables_of_cores_read_no_leaves(manifest: Mapping[str, Any]) -> None:
    """A changed call builds no card anew: only clients may read calls (decision 0015)."""
    # What shared_node, node and text_node write for a leaf: leaf_bit() in records.sql.
    leaf_bit = "| 1"
    leaf_columns = {
        "call_key", "pbx_call_key", "row_key", "task_key", "message_key", "crm_action_key",
        "touch_key", "talk_day_key", "card_key as touched_card", "deal_key as touched_card",
        "call_line_key",
    }  # fmt: skip

    def is_leaf(model: Mapping[str, Any]) -> bool:
        config = model["config"]
        if config.get("affected_by"):
            return bool(leaf_columns & set(config["affected_by"]))
        return leaf_bit in config["affected_nodes"]

    def tables_of(model: Mapping[str, Any]) -> set[str]:
        found: set[str] = set()
        for unique_id in model["depends_on"]["nodes"]:
            parent = manifest["nodes"].get(unique_id)
            if parent and parent["config"]["materialized"] == "affected_keys":
                found.add(unique_id)
            elif parent and parent["config"]["materialized"] == "view":
                found |= tables_of(parent)
        return found

    tables = [one for one in models(manifest) if one["config"]["materialized"] == "affected_keys"]
    assert {
        (model["name"], manifest["nodes"][parent]["name"])
        for model in tables
        if not is_leaf(model)
        for parent in tables_of(model)
        if is_leaf(manifest["nodes"][parent])
    } == {
        ("int_bitrix24__clients", "int_bitrix24__call_rows"),
        ("int_amocrm__clients", "int_amocrm__call_rows"),
    }


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
    """Above staging and int_<system>__ a model reads what every system has, or nothing of it."""
    of_system = re.compile(rf"(stg|int)_({'|'.join(SYSTEMS)})__(\w+)")
    known = {model["name"] for model in models(manifest)}
    wrong = []
    for model in models(manifest):
        own = of_system.fullmatch(model["name"])
        for parent in (p.rpartition(".")[2] for p in model["depends_on"]["nodes"]):
            read = of_system.fullmatch(parent)
            if read is None:
                continue
            layer_name, system, what = read.groups()
            if own is not None:
                if own.group(2) != system:
                    wrong.append((model["name"], parent))
                continue
            twins = {f"{layer_name}_{other}__{what}" for other in SYSTEMS} & known
            parents = {p.rpartition(".")[2] for p in model["depends_on"]["nodes"]}
            if layer_name == "stg" and len(twins) < len(SYSTEMS):
                wrong.append((model["name"], parent))
            if not twins <= parents:
                wrong.append((model["name"], parent))
    assert wrong == []


def test_models_that_are_unioned_have_the_same_columns(demo_run: DemoRun) -> None:
    """`union all` goes by position."""
    different = []
    pairs = 0
    with warehouse(demo_run.settings) as connection:
        columns: dict[str, list[tuple[str, str]]] = {}
        for table, column, kind in connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name in ('intermediate', 'staging') order by table_name, column_index"
        ).fetchall():
            columns.setdefault(table, []).append((column, kind))
    for path in (PROJECT_DIR / "models/intermediate").rglob("int_*.sql"):
        names = re.findall(r"ref\('((?:int|stg)_bitrix24__\w+)'\)", path.read_text())
        if path.parent.name in SYSTEMS:
            continue
        for name in names:
            twin = columns.get(name.replace("bitrix24", "amocrm"))
            if twin is None:
                continue
            pairs += 1
            if twin != columns[name]:
                odd = [p for p in zip(columns[name], twin, strict=False) if p[0] != p[1]]
                different.append((name, odd))
    assert pairs > 15
    assert different == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_raw_table_has_one_staging_view(manifest: Mapping[str, Any], system: str) -> None:
    loaded = set(SYSTEMS[cast(CrmSystem, system)].tables)
    staged = [
        parent.rpartition(".")[2]
        for model in models(manifest)
        for parent in model["depends_on"]["nodes"]
        if parent.startswith(f"source.callfunnel.raw_{system}.")
    ]
    assert sorted(staged) == sorted(loaded)
    described = {
        source["name"]
        for source in manifest["sources"].values()
        if source["source_name"] == f"raw_{system}"
    }
    assert described == loaded


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_raw_tables_are_those_that_the_connector_loads(system: str) -> None:
    connector: Bitrix24Connector | AmoConnector = (
        Bitrix24Connector(Bitrix24Client("https://portal.example/rest/1/s/", "main"), "main", [128])
        if system == "bitrix24"
        else AmoConnector(AmoClient(LongLivedToken("https://acme.amocrm.ru", "s"), "main"), "main")
    )
    raw = SYSTEMS[cast(CrmSystem, system)]
    assert {entity.table for entity in connector.entities} == set(raw.received)
    assert connector.versioned == raw.versioned


@pytest.mark.parametrize("system", [*SYSTEMS, "telephony"])
def test_every_raw_table_of_records_is_counted(
    manifest: Mapping[str, Any], demo_run: DemoRun, system: str
) -> None:
    """Named where its rows are counted, and asked by the test that compares both."""
    raw = TELEPHONY if system == "telephony" else SYSTEMS[cast(CrmSystem, system)]
    counting = f"model.callfunnel.int_{system}__row_counts"
    parents = [p for p in manifest["parent_map"][counting] if f".int_{system}__" in p]
    code = "".join(manifest["nodes"][node]["raw_code"] for node in (counting, *parents))
    several = {"smart_items": "smart_items_", "notes": "lead_notes"}
    assert [name for name in raw.received if f"'{several.get(name, name)}" not in code] == []
    compiled = demo_run.settings.dbt_target_dir / "compiled/callfunnel/expectations/sql"
    asked = re.findall(
        rf"'raw_{system}\.(\w+)' as raw_table",
        (compiled / "assert_every_raw_row_is_counted.sql").read_text(),
    )
    assert sorted(asked) == sorted(raw.received)


def test_names_tell_the_layer(manifest: Mapping[str, Any]) -> None:
    patterns = {
        "staging": r"stg_[a-z0-9]+__[a-z_]+",
        "intermediate": r"int_[a-z0-9_]+",
        "marts": r"(dim|fct)_[a-z_]+|metric_catalogue",
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
    assert [
        name
        for name in names
        if not re.fullmatch(r"_[a-z0-9_]+__(models|sources|exposures|semantic)\.yml", name)
    ] == []


def test_every_report_has_readers(manifest: Mapping[str, Any]) -> None:
    """Lineage ends with people: an exposure reads each metric table, or what is built on it."""
    read = {
        parent
        for exposure in manifest["exposures"].values()
        for parent in exposure["depends_on"]["nodes"]
    }
    unread = [
        model["name"]
        for model in models(manifest)
        if model["schema"] == "metrics"
        and model["unique_id"] not in read
        and not {
            child
            for child in manifest["child_map"][model["unique_id"]]
            if child.startswith("model.")
        }
    ]
    assert unread == []


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
            if numeric and meta.get("additivity") not in ("sum", "semi", "none"):
                problems.append((model["name"], column["name"], "additivity"))
    assert problems == []


# Facts of more than one model, whose fan-out a test of their own excludes.
OWN_FAN_OUT_TESTS = {
    "fct_touches": "assert_touches_are_calls_and_actions_once",
    "fct_open_pipeline": "assert_the_open_pipeline_ends_with_the_open_deals",
    "fct_requests": "assert_cards_behind_the_numbers_are_those_of_the_facts",
    "fct_losses": "assert_reports_add_up_to_their_facts",
}


def test_facts_have_relationships_and_a_fan_out_test(manifest: Mapping[str, Any]) -> None:
    without = []
    for model in models(manifest):
        if not model["name"].startswith("fct_") or "issues" in model["name"]:
            continue
        tests = data_tests_of(model, manifest)
        kinds = {(test.get("test_metadata") or {}).get("name") for test in tests}
        if OWN_FAN_OUT_TESTS.get(model["name"]) in {test["name"] for test in tests}:
            kinds.add("has_as_many_rows_as")
        if not {"relationships", "has_as_many_rows_as"} <= kinds:
            without.append(model["name"])
    assert without == []


def test_no_column_is_called_as_those_that_publishing_adds(manifest: Mapping[str, Any]) -> None:
    assert [
        (node["name"], column)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] in ("marts", "metrics")
        for column in node["columns"]
        if column in ("generation", "as_of_at")
    ] == []


def test_registers_to_dial_are_tables_with_numbers(manifest: Mapping[str, Any]) -> None:
    found = {table.name: table.columns for table in registers(manifest)}
    assert found.keys() == REGISTERS
    assert all("phone_e164" in columns for columns in found.values())


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


def test_what_a_customer_has_typed_stops_no_build(manifest: Mapping[str, Any]) -> None:
    """On raw, only its keys are tested with severity error: those are made by the load.

    What the company's files name is tested with severity warn: the rules RULES and Q18 tell it.
    """
    stops = {
        (layer(node["attached_node"], manifest), node["test_metadata"]["name"], node["name"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("test_metadata")
        and node["config"]["severity"] == "error"
    }
    of_raw = {
        test
        for where, test, name in stops
        # What builds have written themselves is ours.
        if where in ("source", "staging") and "stg_derived__" not in name
    }
    assert of_raw == {"is_key", "is_unique_together", "not_null", "unique"}
    named = ("fct_goals", "fct_norms")
    assert not {
        name
        for _, test, name in stops
        if test == "relationships"
        and name.startswith(tuple(f"relationships_{table}_" for table in named))
        and ("stage_key" in name or "employee_key" in name)
    }


def test_every_quality_rule_and_suite_guards_an_asset(manifest: Mapping[str, Any]) -> None:
    seed = (PROJECT_DIR / "transform/seeds/data_quality_rules.csv").read_text().splitlines()[1:]
    names = {line.split(",")[1] for line in seed}
    assert names <= GUARDED.keys()
    tables = {(model["schema"], model["name"]) for model in models(manifest)}
    tables |= {(s["schema"], s["name"]) for s in manifest["sources"].values()}
    assert set(GUARDED.values()) <= tables


def test_every_company_folder_but_replays_and_the_other_demo_is_a_code_location() -> None:
    workspace = yaml.safe_load((PROJECT_DIR / "workspace.yaml").read_text())
    listed = {entry["python_module"]["attribute"] for entry in workspace["load_from"]}
    folders = {path.parent.name for path in (PROJECT_DIR / "companies").glob("*/company.toml")}
    assert folders - {"replay", "demo_amocrm", "replay_amocrm"} == listed


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


def test_the_models_unit_tests_pass(demo_run: DemoRun, tmp_path: Path) -> None:
    shutil.copy(demo_run.settings.warehouse, tmp_path / "warehouse.duckdb")
    finished = subprocess.run(
        [str(dbt_executable()), "test", "--select", "test_type:unit"],
        cwd=PROJECT_DIR,
        env={
            **os.environ,
            **demo_run.settings.dbt_environment(),
            "CALLFUNNEL_WAREHOUSE": str(tmp_path / "warehouse.duckdb"),
            "DBT_TARGET_PATH": str(tmp_path / "target"),
            "DBT_LOG_PATH": str(tmp_path / "logs"),
            "DBT_EXCLUDE_RESOURCE_TYPES": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:]
    assert re.search(r"Finished running .* [1-9]\d* unit tests?", finished.stdout)


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
