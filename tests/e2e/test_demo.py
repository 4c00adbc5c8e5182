"""The demo company end to end: what was planted is found, what was loaded is counted."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import AssetKey, DagsterInstance

from orchestration.definitions import definitions_for
from orchestration.settings import PROJECT_DIR
from sources.demo.store import PortalStore
from tests.conftest import DemoRun
from tests.reference.calls import call_groups
from tests.reference.missed_calls import PhoneCall, missed_cases
from tests.reference.records import read_store
from tests.reference.rules import Rules
from tests.reference.telephony import (
    PbxCall,
    pairs,
    pbx_calls,
    read_cdr,
    read_holdings,
    talker_of,
)
from tests.support.agreement import differences
from tests.support.companies import warehouse

MOSCOW = ZoneInfo("Europe/Moscow")
ZONE_OF_EXCHANGE = "Asia/Yekaterinburg"
BUILT = ("staging", "intermediate", "marts", "metrics")
RULES = Rules(time_zone="Europe/Moscow", pipeline_roles={2: "setter", 3: "service"})


@pytest.fixture(scope="session")
def exchange(demo_run: DemoRun) -> list[PbxCall]:
    """The calls of the exchange, by the reference."""
    return pbx_calls(read_cdr(demo_run.exchange, ZONE_OF_EXCHANGE))


@pytest.fixture(scope="session")
def talkers(demo_run: DemoRun, exchange: list[PbxCall]) -> dict[str, int | None]:
    """Who had the extension of each of them, by the reference."""
    holdings = read_holdings(PROJECT_DIR / "companies" / "demo" / "extensions.csv")
    of_crm: dict[str, list[int]] = {}
    with PortalStore(demo_run.store, read_only=True) as store:
        for user in store.query("select ID, UF_PHONE_INNER from user where UF_PHONE_INNER <> ''"):
            of_crm.setdefault(user["UF_PHONE_INNER"], []).append(user["ID"])
    return {call.call_id: talker_of(call, holdings, of_crm, ZONE_OF_EXCHANGE) for call in exchange}


def rows(run: DemoRun, sql: str, *bound: Any) -> list[tuple[Any, ...]]:
    with warehouse(run.settings) as connection:
        return connection.execute(sql, list(bound)).fetchall()


def call(run: DemoRun, call_id: int) -> tuple[Any, ...]:
    """match_method, deal_id, pipeline_id, stage_id of a call."""
    found = rows(
        run,
        """
        select calls.match_method, deals.deal_id, pipelines.pipeline_id, stages.stage_id
        from marts.fct_calls as calls
        left join marts.fct_deals as deals on calls.deal_key = deals.deal_key
        left join marts.dim_stages as stages on calls.stage_key = stages.stage_key
        left join marts.dim_pipelines as pipelines on calls.pipeline_key = pipelines.pipeline_key
        where calls.call_id = ?
        """,
        call_id,
    )
    assert len(found) == 1, call_id
    return found[0]


def issues(run: DemoRun, rule: str) -> dict[str, str]:
    return dict(
        rows(
            run,
            "select record_id, sentence from marts.fct_data_quality_issues where rule_id = ?",
            rule,
        )
    )


def test_marts_of_the_demo_equal_the_reference(
    demo_run: DemoRun, exchange: list[PbxCall], talkers: dict[str, int | None]
) -> None:
    portal = read_store(demo_run.store)
    with warehouse(demo_run.settings) as connection:
        differing = differences(connection, "bitrix24:main", portal, RULES, exchange, talkers)
    assert differing == {}


HELD = {
    "users": "user",
    "departments": "department",
    "categories": "category",
    "currencies": "currency",
    "custom_fields": "custom_field",
    "products": "product",
    "companies": "company",
    "contacts": "contact",
    "leads": "lead",
    "deals": "deal",
    "invoices": "invoice",
    "smart_items_177": "smart_item",
    "lead_stage_history": "lead_stage_history",
    "stage_history": "stage_history",
    "invoice_stage_history": "invoice_stage_history",
    "activities": "activity",
    "tasks": "task",
    "calls": "call",
    "product_rows": "product_row",
    "task_history": "task_history",
    "timeline_comments": "timeline_comment",
}
"""Entity of the load log to the portal's own table."""


def test_every_row_of_the_portal_is_in_raw_and_in_the_marts(demo_run: DemoRun) -> None:
    with PortalStore(demo_run.store, read_only=True) as store:
        held = {
            name: store.query(f'select count(*) from "{table}"')[0][0]
            for name, table in HELD.items()
        }
        of_deals = "select count(*) from category where coalesce(ENTITY_TYPE_ID, 2) = 2"
        pipelines = store.query(of_deals)[0][0]
    raw = dict(rows(demo_run, "select entity, rows_raw from staging.stg_bitrix24__load_log"))
    assert {name: raw[name] for name in HELD} == held
    assert rows(demo_run, "select count(*) from marts.fct_deals") == [(held["deals"],)]
    of_portal = "select count(*) from marts.fct_calls where call_id is not null"
    assert rows(demo_run, of_portal) == [(held["calls"],)]
    assert rows(demo_run, "select count(*) from marts.fct_leads") == [(held["leads"],)]
    of_deals = "select count(*) from marts.dim_pipelines where card_type = 'deal'"
    assert rows(demo_run, of_deals) == [(pipelines,)]


def test_nothing_of_the_demo_company_waits_or_is_missing(demo_run: DemoRun) -> None:
    waiting = rows(
        demo_run,
        "select entity from staging.stg_bitrix24__load_log "
        "where problem is not null or owners_pending > 0 or complete_up_to_at is null",
    )
    assert waiting == []


def test_every_table_shows_what_it_is_and_holds(demo_run: DemoRun) -> None:
    """Every asset has an owner, a description, a group, columns and a row count."""
    views = {
        name
        for (name,) in rows(
            demo_run, "select table_name from information_schema.tables where table_type = 'VIEW'"
        )
    }
    columns: dict[tuple[str, str], list[str]] = defaultdict(list)
    for schema, table, column in rows(
        demo_run,
        "select schema_name, table_name, column_name from duckdb_columns() where not internal "
        "and (schema_name in ('staging', 'intermediate', 'marts', 'metrics', 'seeds') "
        "or starts_with(schema_name, 'raw_')) order by schema_name, table_name, column_index",
    ):
        columns[schema, table].append(column)
    company = definitions_for(demo_run.settings)
    missing = []
    with DagsterInstance.from_config(str(demo_run.dagster_home)) as instance:
        for spec in company.resolve_all_asset_specs():
            event = instance.get_latest_materialization_event(spec.key)
            if event is None or event.asset_materialization is None:
                continue
            materialised = event.asset_materialization.metadata
            schema, table = spec.key.path[-2:]
            shown = {
                "owner": spec.owners,
                "description": spec.description,
                "group": spec.group_name not in (None, "default"),
            }
            if (schema, table) in columns:
                # Where the Columns section of Dagster's pages looks, the latter first.
                told = {**spec.metadata, **materialised}.get("dagster/column_schema")
                schema_told = getattr(told, "value", told)
                shown["columns"] = schema_told is not None and columns[schema, table] == [
                    column.name for column in schema_told.columns if column.type != "?"
                ]
                shown["rows"] = table in views or "dagster/row_count" in materialised
            missing += [(spec.key.to_user_string(), what) for what, has in shown.items() if not has]
    assert missing == []


def test_the_reconciliation_of_every_entity_is_in_the_metadata(demo_run: DemoRun) -> None:
    """R23, as the UI shows it: all entities at load_log, each at its own table."""
    reported = "coalesce(rows_reported::text, 'cannot be checked')"
    logged = f"select entity, {reported}, rows_received, rows_raw "
    expected = rows(demo_run, logged + "from staging.stg_bitrix24__load_log order by entity")
    with DagsterInstance.from_config(str(demo_run.dagster_home)) as instance:

        def shown(table: str, name: str) -> Any:
            event = instance.get_latest_materialization_event(
                AssetKey(["demo", "raw_bitrix24", table])
            )
            assert event is not None
            assert event.asset_materialization is not None
            return event.asset_materialization.metadata[name]

        records = [record.data for record in shown("load_log", "loads").records]
        assert shown("load_log", "missing").value == "nothing"
        (deals,) = [record.data for record in shown("deals", "loads").records]
        assert shown("deals", "dagster/row_count").value == deals["raw"]
    columns = ("entity", "reported", "received", "raw")
    assert sorted(tuple(row[name] for name in columns) for row in records) == expected
    assert {row["complete_up_to"] for row in records} == {deals["as_of"]}


def test_open_deals_of_dismissed_employees_are_named(demo_run: DemoRun) -> None:
    planted = {
        str(deal_id)
        for trouble in ("dismissed_before_first_load", "dismissed_inside_period")
        for entry in demo_run.planted[trouble]
        for deal_id in entry["open_deal_ids"]
    }
    assert planted <= issues(demo_run, "Q2").keys()


@pytest.mark.parametrize(
    "trouble",
    ["dismissed_before_first_load", "dismissed_inside_period", "works_after_dismissal"],
)
def test_employees_count_as_dismissed_from_the_day_after_their_last_action(
    demo_run: DemoRun, trouble: str
) -> None:
    assert demo_run.planted[trouble]
    for entry in demo_run.planted[trouble]:
        last = dt.datetime.fromisoformat(entry["last_own_action_at"]).astimezone(MOSCOW).date()
        found = rows(
            demo_run,
            "select dismissed_on, dismissed_on_basis, current_reporting_key "
            "from marts.dim_employees where employee_id = ?",
            entry["user_id"],
        )
        assert found == [(last + dt.timedelta(days=1), "last_own_action", -1)]


def test_calls_under_a_dismissed_account_are_named_and_folded(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["works_after_dismissal"]:
        named = issues(demo_run, "Q3")
        for call_id in entry["call_ids"]:
            assert str(call_id) in named
            assert rows(
                demo_run,
                "select reporting_employee_key from marts.fct_calls where call_id = ?",
                call_id,
            ) == [(-1,)]


def test_no_report_row_names_a_dismissed_employee_after_dismissal(demo_run: DemoRun) -> None:
    offenders = rows(
        demo_run,
        """
        select load.called_on, load.segment_value
        from metrics.metric_call_load__by_stage as load
        inner join marts.dim_employees as employees
            on load.segment_value = employees.employee_name || ' [' || employees.employee_id || ']'
        where load.segment_type = 'talker' and load.called_on >= employees.former_from_on
        """,
    )
    assert offenders == []
    before = rows(
        demo_run,
        "select count(*) from metrics.metric_call_load__by_stage "
        "where segment_type = 'talker' and segment_value like 'Former employees%'",
    )
    assert before[0][0] > 0


def test_the_shared_line_is_named_with_its_users(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["shared_line"]:
        sentence = issues(demo_run, "Q8")[str(entry["extension"])]
        for user_id in entry["user_ids"]:
            name = rows(
                demo_run,
                "select employee_name from marts.dim_employees where employee_id = ?",
                user_id,
            )[0][0]
            assert name in sentence


def test_calls_that_overlap_on_a_shared_line_are_named(demo_run: DemoRun) -> None:
    named = issues(demo_run, "Q8").keys()
    for entry in demo_run.planted["shared_line"]:
        assert named & {str(call_id) for call_id in entry["call_ids"]}


def test_of_two_open_deals_the_planted_one_is_chosen(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["contacts_with_two_open_deals"]:
        for planted_call in entry["calls"]:
            method, deal_id, *_ = call(demo_run, planted_call["call_id"])
            assert (method, deal_id) == ("chosen_open_deal", planted_call["chosen_deal_id"])


def test_a_call_in_the_second_of_a_move_belongs_to_the_new_stage(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["calls_in_the_second_of_a_move"]:
        _, *place = call(demo_run, entry["call_id"])
        assert place == [entry["deal_id"], entry["category_id"], entry["stage_id"]]


def test_stage_revisits_are_visits_of_their_own(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["stage_revisits"]:
        found = rows(
            demo_run,
            """
            select count(*), max(visits.stage_visit_number)
            from marts.fct_stage_visits as visits
            inner join marts.fct_deals as deals on visits.deal_key = deals.deal_key
            inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
            inner join marts.dim_pipelines as pipelines
                on visits.pipeline_key = pipelines.pipeline_key
            where deals.deal_id = ? and stages.stage_id = ? and pipelines.pipeline_id = ?
            """,
            entry["deal_id"],
            entry["stage_id"],
            entry["category_id"],
        )
        assert found == [(entry["visits"], entry["visits"])]


def test_a_deal_moved_between_pipelines_ends_in_the_new_one(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["moved_between_pipelines"]:
        found = rows(
            demo_run,
            """
            select distinct pipelines.pipeline_id
            from marts.fct_stage_visits as visits
            inner join marts.fct_deals as deals on visits.deal_key = deals.deal_key
            inner join marts.dim_pipelines as pipelines
                on visits.pipeline_key = pipelines.pipeline_key
            where deals.deal_id = ?
            """,
            entry["deal_id"],
        )
        assert {pipeline for (pipeline,) in found} >= {
            entry["from_category_id"],
            entry["to_category_id"],
        }


def test_a_move_to_another_lost_stage_does_not_redate_the_loss(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["lost_to_other_lost"]:
        found = rows(
            demo_run,
            "select deal_state, closed_at from marts.fct_deals where deal_id = ?",
            entry["deal_id"],
        )
        first = dt.datetime.fromisoformat(entry["first_lost_at"]).astimezone(dt.UTC)
        assert found == [("lost", first.replace(tzinfo=None))]


def test_wins_without_an_amount_are_named(demo_run: DemoRun) -> None:
    planted = {str(entry["deal_id"]) for entry in demo_run.planted["zero_amount_wins"]}
    assert issues(demo_run, "Q10").keys() == planted


def test_calls_after_the_close_take_the_planted_method(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["calls_after_close"]:
        method, deal_id, *_ = call(demo_run, entry["call_id"])
        assert method == entry["expected_method"]
        assert deal_id == (entry["deal_id"] if method == "after_close" else None)


def test_calls_bound_to_a_later_deal_take_the_planted_method(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["calls_bound_to_a_later_deal"]:
        method, deal_id, *_ = call(demo_run, entry["call_id"])
        assert (method, deal_id) == (entry["expected_method"], entry["deal_id"])


def test_missed_calls_are_not_answered(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["missed_never_called_back"]:
        found = rows(
            demo_run,
            "select direction, is_answered, talk_seconds from marts.fct_calls where call_id = ?",
            entry["call_id"],
        )
        assert found == [("inbound", False, 0)]


def test_a_contact_with_thousands_of_calls_keeps_every_one(demo_run: DemoRun) -> None:
    for entry in demo_run.planted["contact_with_thousands_of_calls"]:
        with PortalStore(demo_run.store, read_only=True) as store:
            ids = [
                row[0]
                for row in store.query(
                    "select ID from call where CRM_ENTITY_TYPE = 'CONTACT' and CRM_ENTITY_ID = ?",
                    (entry["contact_id"],),
                )
            ]
        assert len(ids) == entry["calls"]
        marked = ", ".join(map(str, ids))
        assert rows(
            demo_run,
            f"select count(*) from marts.fct_calls where call_id in ({marked}) and is_external",
        ) == [(len(ids),)]


def of_exchange(run: DemoRun, call_id: str, *columns: str) -> tuple[Any, ...]:
    """The call that the exchange knows by an id."""
    (found,) = rows(
        run, f"select {', '.join(columns)} from marts.fct_calls where pbx_call_id = ?", call_id
    )
    return found


def test_every_record_of_the_exchange_is_in_raw_and_in_a_call(
    demo_run: DemoRun, exchange: list[PbxCall]
) -> None:
    records = sum(call.record_count for call in exchange)
    assert rows(demo_run, "select count(*) from raw_telephony.asterisk_cdr") == [(records,)]
    assert rows(
        demo_run,
        "select count(*), sum(leg_count) from marts.fct_calls where pbx_call_id is not null",
    ) == [(len(exchange), records)]


def test_calls_of_crm_and_exchange_are_one_where_they_were_planted_as_one(
    demo_run: DemoRun, exchange: list[PbxCall]
) -> None:
    """Three counts of the same: what was planted, the reference, the mart."""
    (planted,) = demo_run.planted_in_exchange["counts"]
    groups = call_groups(read_store(demo_run.store), RULES)
    found = pairs(groups, exchange)
    internal = sum(call.direction == "internal" for call in exchange)
    by_reference = {
        "paired_by_id": sum(pair.basis == "id" for pair in found),
        "paired_by_phone": sum(pair.basis == "phone" for pair in found),
        "crm_only": len(groups) - len(found),
        "pbx_only": len(exchange) - len(found) - internal,
        "internal": internal,
    }
    assert by_reference == planted
    mart = rows(
        demo_run,
        """
        select
            case
                when pair_basis is not null then 'paired_by_' || pair_basis
                when direction = 'internal' then 'internal'
                else call_sources || '_only'
            end as kind,
            count(*)
        from marts.fct_calls
        group by kind
        """,
    )
    assert dict(mart) == planted
    assert min(planted.values()) > 500
    paired = rows(
        demo_run, "select call_id, pbx_call_id from marts.fct_calls where pair_basis is not null"
    )
    assert set(paired) == {(pair.crm_id, pair.pbx_id) for pair in found}


def test_who_calls_by_mobile_has_calls_that_the_exchange_lacks(demo_run: DemoRun) -> None:
    entries = demo_run.planted_in_exchange["calls_by_mobile"]
    assert len(entries) == 2
    for entry in entries:
        assert rows(
            demo_run,
            """
            select count(*), count(*) filter (where calls.call_sources = 'crm')
            from marts.fct_calls as calls
            inner join marts.dim_employees as employees
                on calls.talker_employee_key = employees.employee_key
            where employees.employee_id = ? and calls.call_id is not null and calls.is_external
            """,
            entry["user_id"],
        ) == [(entry["calls"], entry["calls_without_pbx"])]
        assert entry["calls_without_pbx"] > 0.4 * entry["calls"]


def test_talkers_of_the_exchange_had_the_extension_on_the_day(
    demo_run: DemoRun, exchange: list[PbxCall], talkers: dict[str, int | None]
) -> None:
    found = rows(
        demo_run,
        """
        select calls.pbx_call_id, employees.employee_id, calls.talker_basis
        from marts.fct_calls as calls
        left join marts.dim_employees as employees
            on calls.talker_employee_key = employees.employee_key
        where calls.call_sources = 'pbx'
        """,
    )
    assert {(call, talker) for call, talker, _ in found} == {
        (call, talkers[call]) for call, *_ in found
    }
    assert {basis for _, talker, basis in found if talker is not None} == {"extension"}
    of_whom = {call: talker for call, talker, _ in found}
    for entry in demo_run.planted_in_exchange["moved_extension"]:
        planted = {call["pbx_call_id"]: call["user_id"] for call in entry["calls"]}
        assert {call: of_whom[call] for call in planted} == planted
        assert set(planted.values()) == {entry["from_user_id"], entry["to_user_id"]}


def test_an_extension_of_several_names_nobody(demo_run: DemoRun) -> None:
    for entry in demo_run.planted_in_exchange["shared_extension"]:
        for call_id in entry["pbx_call_ids"]:
            found = of_exchange(
                demo_run, call_id, "extension", "talker_employee_key", "talker_basis"
            )
            assert found == (entry["extension"], -2, "unknown")


def test_overlapping_calls_of_an_extension_are_named_and_no_others(demo_run: DemoRun) -> None:
    named = {
        record_id
        for (record_id,) in rows(
            demo_run,
            "select record_id from marts.fct_data_quality_issues "
            "where rule_id = 'Q8' and entity = 'call'",
        )
    }
    on_shared_line = {
        str(call_id) for entry in demo_run.planted["shared_line"] for call_id in entry["call_ids"]
    }
    assert named - on_shared_line == {
        f"{entry['pbx_call_ids'][1]} (asterisk:office)"
        for entry in demo_run.planted_in_exchange["overlapping_calls"]
    }


def test_calls_under_the_extension_of_a_dismissed_employee_are_named(demo_run: DemoRun) -> None:
    entries = demo_run.planted_in_exchange["extension_of_dismissed"]
    assert entries
    for entry in entries:
        for call_id in entry["pbx_call_ids"]:
            assert f"{call_id} (asterisk:office)" in issues(demo_run, "Q3")
            assert of_exchange(demo_run, call_id, "reporting_employee_key") == (-1,)


def test_a_word_that_nobody_knows_is_named_and_leaves_the_crms(demo_run: DemoRun) -> None:
    entries = demo_run.planted_in_exchange["unknown_disposition"]
    (word,) = {entry["disposition"] for entry in entries}
    (sentence,) = issues(demo_run, "CODES").values()
    # The company's language is Russian.
    assert f"«{word}»" in sentence
    assert f"записей: {sum(len(entry['pbx_call_ids']) for entry in entries)}" in sentence
    for entry in entries:
        for call_id in entry["pbx_call_ids"]:
            of_crm = entry["is_known_to_crm"]
            expected = ("answered", True) if of_crm else ("unknown", False)
            assert of_exchange(demo_run, call_id, "call_result", "is_answered") == expected


def test_missed_callers_and_what_became_of_them_are_calls_of_their_number(
    demo_run: DemoRun,
) -> None:
    for entry in demo_run.planted_in_exchange["missed_cases"]:
        found = rows(
            demo_run,
            "select pbx_call_id, direction, is_answered, talk_seconds >= 10 from marts.fct_calls "
            "where phone_e164 = ?",
            entry["phone"],
        )
        expected = {(call, "inbound", False, False) for call in entry["pbx_call_ids"]}
        contacts = {row for row in found if row[0] == entry["contact_call_id"]}
        tries = {row for row in found if row[0] in entry["attempt_call_ids"]}
        assert set(found) == expected | contacts | tries
        assert len(contacts) == (entry["state"] in ("in_time", "late"))
        assert {row[2:] for row in contacts} <= {(True, True)}
        assert not any(row[3] for row in tries)


def test_missed_cases_have_their_state_in_the_register(demo_run: DemoRun) -> None:
    for entry in demo_run.planted_in_exchange["missed_cases"]:
        found = rows(
            demo_run,
            "select case_state, missed_count, attempts_count, strftime(first_missed_at, "
            "'%Y-%m-%dT%H:%M:%S+00:00') from metrics.metric_missed_calls__by_case "
            "where phone_e164 = ?",
            entry["phone"],
        )
        missed, tries = len(entry["pbx_call_ids"]), len(entry["attempt_call_ids"])
        assert found == [(entry["state"], missed, tries, entry["first_missed_at"])]


def test_cases_of_the_demo_equal_the_reference(demo_run: DemoRun) -> None:
    known_until = rows(demo_run, "select known_until_at from intermediate.int_call_coverage")
    given = rows(
        demo_run,
        "select call_key, source_key, started_at, direction = 'inbound', is_answered, "
        "talk_seconds, client_key, phone_e164 from marts.fct_calls "
        "where is_external and direction in ('inbound', 'outbound')",
    )
    expected = missed_cases([PhoneCall(*row) for row in given], known_until[0][0])
    found = rows(
        demo_run,
        "select first_call_key, missed_count, attempts_count, contact_call_key, case_state "
        "from metrics.metric_missed_calls__by_case",
    )
    told = {(c.first_call, c.missed, c.attempts, c.contact, c.state) for c in expected}
    assert len(found) == len(expected) > 1_000
    assert set(found) == told


def test_who_calls_by_mobile_calls_past_the_telephony(demo_run: DemoRun) -> None:
    for entry in demo_run.planted_in_exchange["calls_by_mobile"]:
        ((past, crm),) = rows(
            demo_run,
            "select sum(crm_only_count), sum(crm_count) "
            "from metrics.metric_call_sources__by_employee as sources "
            "inner join marts.dim_employees as employees "
            "on sources.reporting_employee_key = employees.employee_key "
            "where employees.employee_id = ?",
            entry["user_id"],
        )
        # The writer counts from the CRM's first call on, the metric from the exchange's.
        assert entry["calls_without_pbx"] * 0.9 < past <= entry["calls_without_pbx"]
        assert past / crm > 0.4


def test_a_pipeline_without_new_deals_is_shown_with_zeros(demo_run: DemoRun) -> None:
    """Dense: every stage of every pipeline has a row on the last day."""
    missing = rows(
        demo_run,
        """
        select stages.stage_id
        from marts.dim_stages as stages
        left join metrics.metric_call_load__by_stage as load
            on stages.stage_key = load.stage_key
            and load.segment_type = 'all'
            and load.called_on = date '2026-06-30'
        where load.stage_key is null
        """,
    )
    assert missing == []


def test_the_summary_is_short_and_names_the_culprits(demo_run: DemoRun) -> None:
    out = demo_run.stdout
    for heading in ("Rows per layer", "Calls by stage", "Checks", "Published files"):
        assert heading in out
    (planted,) = demo_run.planted_in_exchange["counts"]
    both = planted["paired_by_id"] + planted["paired_by_phone"]
    with PortalStore(demo_run.store, read_only=True) as store:
        (informational,) = store.query("select count(*) from call where CALL_TYPE = 5")[0]
    only = planted["crm_only"] - informational
    assert (
        f"{both:,} in the CRM and the telephony, {only:,} only in the CRM, "
        f"{planted['pbx_only']:,} only in the telephony" in " ".join(out.split())
    )
    assert "no_open_card_belongs_to_a_dismissed_employee" in out
    assert re.search(r"Открытая сделка \d+: ответственный \(\w+ \w+\)", " ".join(out.split()))
    assert len(out.splitlines()) < 120


def test_a_first_build_says_that_it_is_whole_and_keeps_its_manifest(demo_run: DemoRun) -> None:
    assert "All models are built whole: no build before it was complete." in demo_run.stderr
    kept = demo_run.settings.state_dir / "manifest.json"
    assert "model.callfunnel.fct_calls" in json.loads(kept.read_text())["nodes"]


def test_long_work_shows_progress(demo_run: DemoRun) -> None:
    assert re.search(r"calls: [\d,]+ of [\d,]+ received", demo_run.stderr)
    assert re.search(r"models and tests: \d+ of \d+", demo_run.stderr)
