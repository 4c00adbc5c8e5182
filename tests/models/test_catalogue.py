"""The metric catalogue: everything that reports show is explained in three languages."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from orchestration.catalogue import LANGUAGES, Entry, page_path, read_catalogue, render_page
from orchestration.settings import PROJECT_DIR

WORDS = {
    "connection", "lead", "deal", "card", "request", "qualified", "pipeline", "pipeline_role",
    "stage", "stage_role", "key_stage", "semantics", "in_work", "cycle", "stage_visit", "client",
    "shared_number", "employee", "seller", "system_account", "talker", "owner", "credit", "team",
    "client_grade", "source", "product", "sales_call", "callback_order", "answered",
    "successful_call", "missed_call", "missed_case", "callback_hours", "contact", "lost_client",
    "anonymous_caller", "touch", "mass_move", "won", "lost", "close", "reopening",
    "conversion_cohort", "conversion_closed", "equal_age", "cohort", "segment", "segment_value",
    "working_day", "as_of", "cut", "now", "complete_from", "dense", "growth", "finished_period",
    "break", "null", "ratio", "additivity", "former_employees", "not_set", "no_card", "no_talk",
    "shared_line", "company_currency", "repeat_client", "origin", "norm", "goal", "pace",
    "forgotten", "weight", "expected_close", "median", "p90", "deleted_card", "payment",
    "data_quality_issue", "reconciliation", "gate",
}  # fmt: skip
"""SPEC §1 and the words that its reports are told with."""

ILLNESSES = {"turbulence", "accumulation", "insufficiency", "graveyard"}
SIGNALS = {
    "short_calls", "record_months", "few_calls_many_wins", "calls_without_trace",
    "cards_changed_without_call", "canned_comments",
}  # fmt: skip
CLIENT_CATEGORIES = {
    "never_contacted", "active", "buyer_asleep", "prospect_asleep", "ownerless",
}  # fmt: skip

REPORTS_IN_MARTS = {"fct_open_pipeline", "fct_data_quality_issues"}
"""R20 and R22, which need no metric table."""

COLUMNS_WITH_VALUES = {
    ("fct_data_quality_issues", "severity"),
    ("fct_calls", "match_method"), ("fct_calls", "talk_basis"), ("fct_calls", "talker_basis"),
    ("fct_owner_intervals", "owner_basis"), ("dim_pipelines", "pipeline_role"),
    ("dim_stages", "stage_semantics"),
}  # fmt: skip
"""Outside of the reports; inside every column with listed values is one."""

SHARED_COLUMNS = {
    "activity_points", "answered_count", "call_view", "calls_count", "calls_per_won_deal",
    "card_type",
    "card_url", "client_url", "complete_days_count", "confidence", "correlation", "cost_amount",
    "current_card_url", "cycle_days_mean", "cycle_days_median", "department_name",
    "drop_share", "employee_name", "ends_on", "entry_step_number", "expected_amount",
    "expected_count", "expected_deals_count", "fact_value", "first_missed_on", "forecast_amount",
    "forecast_count", "funnel_name", "growth_note", "growth_share", "happened_on", "inbound_count",
    "is_alarm", "is_complete", "is_current", "is_finished", "is_in_totals", "is_reconstructed",
    "lost_requests_count", "made_at", "made_on", "match_method", "metric_name", "missed_count",
    "month_start_on",
    "open_deals_count", "open_requests_count", "other_requests_count",
    "outbound_count", "period_type", "pipeline_name", "plan_value", "product_name",
    "qualified_count", "request_state", "requested_on", "requests_count", "seconds_from_previous",
    "seconds_to_contact", "segment_type", "segment_value", "slice_type", "slice_value",
    "source_name", "stage_name", "stage_position", "starts_on", "step_name", "step_number",
    "stock_on", "successful_count", "talk_minutes_per_won_deal", "talk_seconds",
    "unconverted_costs_count", "unrequested_deals_count", "unrequested_won_amount",
    "unrequested_won_deals_count", "usual_value", "utm_campaign", "utm_medium", "utm_source",
    "weeks_before_count", "weeks_before_value", "won_12_months_amount", "won_amount",
    "won_count", "won_deals_count", "won_share_closed", "working_days_count",
}  # fmt: skip
"""Columns that a table does not explain itself, because another one does."""

VALUES_OF_ANOTHER = {
    "year_growth_note": "growth_note",
    "request_card_type": "card_type",
    "entry_card_type": "card_type",
    "current_card_type": "card_type",
}

TEXTS = ("name", "definition", "grain", "question", "trap", "action", "example")
NEEDED_BY_NUMBERS = ("formula", "unit", "additivity", "question", "trap", "action", "example")
LONGEST_NAME = 40


@pytest.fixture(scope="session")
def catalogue() -> list[Entry]:
    return read_catalogue()


def nodes(manifest: Mapping[str, Any]) -> list[Any]:
    return [one for one in manifest["nodes"].values() if one["resource_type"] == "model"]


def terms(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Any]]:
    for node in nodes(manifest):
        for term in node["config"]["meta"].get("catalogue_terms", []):
            yield node["name"], None, term
        for column in node["columns"].values():
            for term in column["config"]["meta"].get("catalogue_terms", []):
                yield node["name"], column["name"], term


def semantic_metrics(manifest: Mapping[str, Any]) -> list[Any]:
    return list(manifest["metrics"].values())


def reports(manifest: Mapping[str, Any]) -> list[Any]:
    return [
        node
        for node in nodes(manifest)
        if node["schema"] == "metrics" or node["name"] in REPORTS_IN_MARTS
    ]


def report_columns(manifest: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Columns of reports that are read: keys and ids are joined on."""
    for node in reports(manifest):
        for column in node["columns"].values():
            if not column["name"].endswith(("_key", "_id")):
                yield node, column


def entry_of(column: Any, manifest: Mapping[str, Any]) -> Any:
    """Its own entry, that of the one other table where the column is at home, or the metric's."""
    own = column["config"]["meta"].get("catalogue")
    if own:
        return own
    name = column["name"]
    homes = [
        other["config"]["meta"]["catalogue"]
        for _, other in report_columns(manifest)
        if other["name"] == name and other["config"]["meta"].get("catalogue")
    ]
    homes = homes or [
        t for _, _, t in terms(manifest) if (t["kind"], t["term"]) == ("metric", name)
    ]
    return homes[0] if len(homes) == 1 else None


def metric_home(metric: Any, manifest: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The table that a metric of the semantic layer stands with, and the text that it has there."""
    own = metric["config"]["meta"].get("catalogue")
    if own:
        return own["table"], own
    name = metric["name"]
    homes = [
        (table, term)
        for table, _, term in terms(manifest)
        if (term["kind"], term["term"]) == ("metric", name)
    ]
    homes = homes or [
        (node["name"], column["config"]["meta"]["catalogue"])
        for node, column in report_columns(manifest)
        if column["name"] == name and column["config"]["meta"].get("catalogue")
    ]
    return homes[0] if len(homes) == 1 else None


def listed_values(node: Any, column: Any, manifest: Mapping[str, Any]) -> set[str]:
    """What the tests say that a column may hold."""
    for test in manifest["nodes"].values():
        about = test.get("test_metadata") or {}
        if (
            about.get("name") == "accepted_values"
            and test.get("attached_node") == node["unique_id"]
            and test.get("column_name") == column["name"]
        ):
            return set(about["kwargs"].get("values") or about["kwargs"]["arguments"]["values"])
    return set()


def seed_names(seed: str) -> set[str]:
    with (PROJECT_DIR / f"transform/seeds/{seed}.csv").open() as file:
        return {row["metric_name"] for row in csv.DictReader(file)}


def missing(manifest: Mapping[str, Any]) -> list[str]:
    """What has no entry, by name."""
    found = [
        f"report {node['name']}"
        for node in reports(manifest)
        if not node["config"]["meta"].get("catalogue")
    ]
    for node, column in report_columns(manifest):
        if entry_of(column, manifest) is None:
            found.append(f"column {node['name']}.{column['name']}")
    explained = {
        node["name"] for node in reports(manifest) if node["config"]["meta"].get("catalogue")
    }
    for metric in semantic_metrics(manifest):
        home = metric_home(metric, manifest)
        if home is None or home[0] not in explained:
            found.append(f"metric {metric['name']} of the semantic layer")
    told = {(term["kind"], term["term"]) for _, _, term in terms(manifest)}
    metrics = seed_names("kpi_definitions") | seed_names("metric_names")
    needed = {"metric": metrics, "word": WORDS, "illness": ILLNESSES, "signal": SIGNALS}
    found += [
        f"{kind} {name}"
        for kind, names in needed.items()
        for name in sorted(names)
        if (kind, name) not in told
    ]
    with (PROJECT_DIR / "transform/seeds/data_quality_rules.csv").open() as file:
        rules = {row["rule_id"] for row in csv.DictReader(file)}
    found += [
        f"value {name}" for name in sorted(CLIENT_CATEGORIES | rules) if ("value", name) not in told
    ]
    values = {(column, term["term"]) for _, column, term in terms(manifest)}
    for node in nodes(manifest):
        for column in node["columns"].values():
            if node["schema"] == "metrics" or (node["name"], column["name"]) in COLUMNS_WITH_VALUES:
                name = VALUES_OF_ANOTHER.get(column["name"], column["name"])
                found += [
                    f"value {node['name']}.{column['name']}: {value}"
                    for value in sorted(listed_values(node, column, manifest))
                    if (name, value) not in values
                ]
    return found


def entries(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every entry as it is written, with a label that says where."""
    for node in nodes(manifest):
        own = node["config"]["meta"].get("catalogue")
        if own:
            yield node["name"], own
        for column in node["columns"].values():
            own = column["config"]["meta"].get("catalogue")
            if own:
                yield f"{node['name']}.{column['name']}", own
    for table, column, term in terms(manifest):
        yield f"{table}.{column}: {term['kind']} {term['term']}", term
    for metric in semantic_metrics(manifest):
        own = metric["config"]["meta"].get("catalogue")
        if own:
            yield f"metric {metric['name']}", own


def badly_written(manifest: Mapping[str, Any]) -> list[str]:
    """Texts that are empty, or in another language than they say."""
    found = []
    for label, entry in entries(manifest):
        for field in TEXTS:
            texts = entry.get(field)
            if texts is None:
                if field in ("name", "definition"):
                    found.append(f"{label}: no {field}")
                continue
            # A report's grain in English is the first sentence of its description.
            languages = LANGUAGES[1:] if field == "grain" else LANGUAGES
            if set(texts) != set(languages) or not all(str(t).strip() for t in texts.values()):
                found.append(f"{label}: {field} is not in all languages")
                continue
            plain = {code: re.sub(r"`[^`]*`", "", text) for code, text in texts.items()}
            if re.search("[А-Яа-яІіЇїЄєҐґ]", plain.get("en", "")):
                found.append(f"{label}: {field}.en is Cyrillic")
            for code, foreign in (("ru", "[ІіЇїЄєҐґ]"), ("uk", "[ЫыЭэЪъЁё]")):
                if not re.search("[А-Яа-яІіЇїЄє]", plain[code]) or re.search(foreign, plain[code]):
                    found.append(f"{label}: {field}.{code} is in another language")
            # One word may be the same in both: воронка, сегмент.
            if field != "name" and texts["ru"] == texts["uk"]:
                found.append(f"{label}: {field}.ru is {field}.uk")
            if field == "name" and max(map(len, texts.values())) > LONGEST_NAME:
                found.append(f"{label}: the name is too long")
    return found


def incomplete_numbers(catalogue: list[Entry], manifest: Mapping[str, Any]) -> list[str]:
    numbers = {
        (node["name"], column["name"])
        for node, column in report_columns(manifest)
        if re.match(r"(bigint|integer|double|decimal)", column["data_type"])
    }
    return [
        f"{entry.table_name}.{entry.entry_name} ({entry.language}): no {field}"
        for entry in catalogue
        if entry.entry_kind in ("metric", "illness", "signal")
        or (entry.table_name, entry.column_name) in numbers
        for field in NEEDED_BY_NUMBERS
        if not getattr(entry, field)
        and not (entry.entry_kind in ("illness", "signal") and field in ("additivity", "unit"))
        and entry.entry_kind != "value"
    ]


def test_everything_that_reports_show_has_an_entry(manifest: Mapping[str, Any]) -> None:
    assert missing(manifest) == []


def test_entries_are_written_in_three_languages(manifest: Mapping[str, Any]) -> None:
    assert badly_written(manifest) == []


def test_numbers_have_formula_unit_question_trap_action_and_example(
    catalogue: list[Entry], manifest: Mapping[str, Any]
) -> None:
    assert incomplete_numbers(catalogue, manifest) == []


def unknown_names(manifest: Mapping[str, Any]) -> list[str]:
    """Names in formulas that no table, column, metric or rule of the company has."""
    known = {node["name"] for node in manifest["nodes"].values()}
    known |= {name for node in nodes(manifest) for name in node["columns"]}
    known |= {term["term"] for _, _, term in terms(manifest)}
    known |= {metric["name"] for metric in semantic_metrics(manifest)}
    for node in nodes(manifest):
        for column in node["columns"].values():
            known |= {str(value) for value in listed_values(node, column, manifest)}
    known |= set(re.findall(r"\w+", (PROJECT_DIR / "docs/company-rules.md").read_text()))
    # A column that every published table gets, and values of fct_crm_actions.action_type.
    known |= {"as_of_at", "stage_move", "task_completed"}
    return [
        f"{label}: {name}"
        for label, entry in entries(manifest)
        for name in re.findall(r"[a-z0-9]+(?:_+[a-z0-9]+)+", str(entry.get("formula", "")))
        if name not in known
    ]


def test_formulas_name_what_there_is(manifest: Mapping[str, Any]) -> None:
    assert unknown_names(manifest) == []
    spoiled = deepcopy(manifest)
    entry = column_of(spoiled, "metric_calls__by_hour", "hour_number")["catalogue"]
    entry["formula"] = "hour(begun_at)"
    assert unknown_names(spoiled) == ["metric_calls__by_hour.hour_number: begun_at"]


def test_nothing_is_told_twice(manifest: Mapping[str, Any]) -> None:
    """A column's own entry stands in one table, or in each table that has the column.

    A metric of the semantic layer has one of its own where nothing else explains its name.
    """
    told = Counter((term["kind"], column, term["term"]) for _, column, term in terms(manifest))
    assert [entry for entry, count in told.items() if count > 1] == []
    elsewhere = {term["term"] for _, _, term in terms(manifest) if term["kind"] == "metric"}
    elsewhere |= {column["name"] for _, column in report_columns(manifest)}
    assert [
        metric["name"]
        for metric in semantic_metrics(manifest)
        if metric["config"]["meta"].get("catalogue") and metric["name"] in elsewhere
    ] == []
    owning: dict[str, set[str]] = {}
    having: dict[str, set[str]] = {}
    for node, column in report_columns(manifest):
        having.setdefault(column["name"], set()).add(node["name"])
        if column["config"]["meta"].get("catalogue"):
            owning.setdefault(column["name"], set()).add(node["name"])
    assert {
        name: sorted(having[name] - tables)
        for name, tables in owning.items()
        if len(tables) > 1 and tables != having[name]
    } == {}


def test_what_tables_take_from_one_another_is_judged(manifest: Mapping[str, Any]) -> None:
    """A new one: does the text of the other table hold for this one, word by word?"""
    assert {
        column["name"]
        for _, column in report_columns(manifest)
        if not column["config"]["meta"].get("catalogue")
    } == SHARED_COLUMNS


def test_names_are_unique_where_they_stand_together(catalogue: list[Entry]) -> None:
    """The columns of a table, the values of a column, the words: BI tools show them in one list.

    So do tools that ask the semantic layer, with all metrics.
    """
    places: dict[tuple[str, ...], Counter[str]] = {}
    for entry in catalogue:
        group = entry.column_name if entry.entry_kind == "value" else None
        table = None if entry.entry_kind in ("report", "metric") else entry.table_name
        place = (entry.language, entry.entry_kind, str(table), str(group))
        places.setdefault(place, Counter())[entry.name] += 1
    assert {
        place: [name for name, count in names.items() if count > 1]
        for place, names in places.items()
        if max(names.values()) > 1
    } == {}


def test_the_table_holds_what_the_yml_files_say(
    catalogue: list[Entry], manifest: Mapping[str, Any]
) -> None:
    expected = {
        ("report", node["name"], None, node["name"]): node["config"]["meta"]["catalogue"]
        for node in nodes(manifest)
        if node["config"]["meta"].get("catalogue")
    }
    for node, column in report_columns(manifest):
        entry = entry_of(column, manifest)
        if entry:
            expected["column", node["name"], column["name"], column["name"]] = entry
    for table, column, term in terms(manifest):
        place = table if column else None
        expected[term["kind"], place, column, term["term"]] = term
    in_tables = {name for kind, _, _, name in expected if kind == "metric"}
    for metric in semantic_metrics(manifest):
        home = metric_home(metric, manifest)
        if home and metric["name"] not in in_tables:
            expected["metric", home[0], None, metric["name"]] = home[1]
    rows = {
        (e.entry_kind, e.table_name, e.column_name, e.entry_name, e.language): e for e in catalogue
    }
    assert len(rows) == len(catalogue)
    assert rows.keys() == {(*key, code) for key in expected for code in LANGUAGES}
    for key, entry in expected.items():
        for code in LANGUAGES:
            row = rows[(*key, code)]
            assert (row.name, row.definition) == (
                entry["name"][code].strip(),
                entry["definition"][code].strip(),
            )
            for field in ("question", "trap", "action", "example"):
                if entry.get(field):
                    assert getattr(row, field) == entry[field][code].strip()


def test_a_column_takes_what_it_does_not_say_from_its_report(catalogue: list[Entry]) -> None:
    rows = {(e.table_name, e.entry_name): e for e in catalogue if e.language == "uk"}
    report = rows["metric_calls__by_hour", "metric_calls__by_hour"]
    column = rows["metric_calls__by_hour", "calls_count"]
    other = rows["metric_call_load__by_stage", "calls_count"]
    assert (column.report, column.grain) == ("R8", report.grain)
    assert column.meaning == other.meaning
    assert other.report == "R5"
    assert column.unit == "кількість"
    english = next(
        e for e in catalogue if e.entry_name == "metric_calls__by_hour" and e.language == "en"
    )
    assert english.grain == (
        "One row per month, weekday, hour, connection and talker: external calls by the company's "
        "clock (R8)"
    )


def test_every_metric_of_the_semantic_layer_is_a_row(
    catalogue: list[Entry], manifest: Mapping[str, Any]
) -> None:
    """Its own text, that of the number of the sales KPIs, or that of the column of its name."""
    rows = {e.entry_name: e for e in catalogue if e.entry_kind == "metric" and e.language == "en"}
    assert {metric["name"] for metric in semantic_metrics(manifest)} <= rows.keys()
    own, number, column = rows["touched_cards"], rows["won"], rows["stay_days_median"]
    assert (own.table_name, own.column_name, own.report, own.unit, own.additivity) == (
        "metric_employee_activity__by_day", None, "R14", "count", "none",
    )  # fmt: skip
    assert own.grain is not None
    assert own.action == rows["touches"].action
    assert (number.table_name, number.column_name) == ("metric_sales_kpi__by_period", "metric_name")
    (same,) = (
        e
        for e in catalogue
        if (e.entry_kind, e.entry_name, e.language) == ("column", "stay_days_median", "en")
    )
    assert (column.table_name, column.column_name) == ("metric_stage_durations__by_stage", None)
    assert (column.meaning, column.unit, column.additivity) == (same.meaning, "days", "none")


def test_metricflow_shows_the_english_name(manifest: Mapping[str, Any]) -> None:
    assert {
        metric["name"]: metric["label"]
        for metric in semantic_metrics(manifest)
        if (own := metric["config"]["meta"].get("catalogue"))
        and own["name"]["en"] != metric["label"]
    } == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_are_those_of_the_texts(catalogue: list[Entry], language: str) -> None:
    """Write them with `make docs-metrics`."""
    page = page_path(language).read_text(encoding="utf-8")
    assert page == render_page(catalogue, language)
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links <= set(re.findall(r'<a id="([^"]+)"></a>', page))


def column_of(manifest: Any, table: str, column: str) -> Any:
    return manifest["nodes"][f"model.callfunnel.{table}"]["columns"][column]["config"]["meta"]


def terms_of(manifest: Any, table: str, column: str) -> Any:
    return column_of(manifest, table, column)["catalogue_terms"]


def without_a_column(manifest: Any) -> None:
    del column_of(manifest, "metric_call_load__by_stage", "stage_name")["catalogue"]


def without_a_report(manifest: Any) -> None:
    del manifest["nodes"]["model.callfunnel.metric_calls__by_hour"]["config"]["meta"]["catalogue"]


def without_a_metric(manifest: Any) -> None:
    kept = terms_of(manifest, "metric_sales_kpi__by_period", "metric_name")
    kept[:] = [term for term in kept if term["term"] != "average_check"]


def without_a_semantic_metric(manifest: Any) -> None:
    del manifest["metrics"]["metric.callfunnel.touched_cards"]["config"]["meta"]["catalogue"]


def without_the_column_of_a_metric(manifest: Any) -> None:
    del column_of(manifest, "metric_stage_durations__by_stage", "stay_days_median")["catalogue"]


def with_a_metric_of_an_unknown_report(manifest: Any) -> None:
    own = manifest["metrics"]["metric.callfunnel.chats"]["config"]["meta"]["catalogue"]
    own["table"] = "fct_messages"


def without_a_word(manifest: Any) -> None:
    kept = manifest["nodes"]["model.callfunnel.metric_catalogue"]["config"]["meta"]
    kept["catalogue_terms"] = [t for t in kept["catalogue_terms"] if t["term"] != "dense"]


def without_a_value(manifest: Any) -> None:
    kept = terms_of(manifest, "fct_calls", "match_method")
    kept[:] = [term for term in kept if term["term"] != "after_close"]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (without_a_column, "column metric_funnel__by_stage.stage_name"),
        (without_a_report, "report metric_calls__by_hour"),
        (without_a_metric, "metric average_check"),
        (without_a_metric, "metric average_check of the semantic layer"),
        (without_a_semantic_metric, "metric touched_cards of the semantic layer"),
        (without_the_column_of_a_metric, "metric stay_days_median of the semantic layer"),
        (with_a_metric_of_an_unknown_report, "metric chats of the semantic layer"),
        (without_a_word, "word dense"),
        (without_a_value, "value fct_calls.match_method: after_close"),
    ],
)
def test_a_missing_entry_is_named(
    manifest: Mapping[str, Any], spoil: Callable[[Any], None], named: str
) -> None:
    spoiled = deepcopy(manifest)
    spoil(spoiled)
    assert named in missing(spoiled)


@pytest.mark.parametrize(
    ("field", "code", "text", "told"),
    [
        ("definition", "ru", " ", "definition is not in all languages"),
        ("definition", "uk", "Час, в который начался звонок", "definition.uk is in another"),
        ("definition", "ru", "Hour of the clock", "definition.ru is in another"),
        ("name", "en", "Час", "name.en is Cyrillic"),
        ("name", "en", "x" * 41, "the name is too long"),
    ],
)
def test_a_text_in_the_wrong_language_is_named(
    manifest: Mapping[str, Any], field: str, code: str, text: str, told: str
) -> None:
    spoiled = deepcopy(manifest)
    column_of(spoiled, "metric_calls__by_hour", "hour_number")["catalogue"][field][code] = text
    (problem,) = badly_written(spoiled)
    assert problem.startswith(f"metric_calls__by_hour.hour_number: {told}")


def test_a_text_of_the_semantic_layer_in_the_wrong_language_is_named(
    manifest: Mapping[str, Any],
) -> None:
    spoiled = deepcopy(manifest)
    own = spoiled["metrics"]["metric.callfunnel.chats"]["config"]["meta"]["catalogue"]
    own["trap"]["uk"] = own["trap"]["ru"]
    assert badly_written(spoiled) == [
        "metric chats: trap.uk is in another language",
        "metric chats: trap.ru is trap.uk",
    ]
