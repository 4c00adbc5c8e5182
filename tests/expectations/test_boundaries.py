"""Every bound of every boundary suite fires on bad data and is silent on good and on no data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from expectations.outcomes import BOUNDARIES, RAW_BOUNDARIES
from expectations.runner import failed_bounds
from expectations.suites.raw_amocrm import CALL_STATUSES
from expectations.suites.raw_telephony import ASTERISK_RESULTS, BINOTEL_RESULTS, ZADARMA_RESULTS
from orchestration.settings import PROJECT_DIR
from orchestration.systems import RAW_SCHEMAS, SYSTEMS
from sources.bitrix24.history import VERSIONED
from sources.demo.amocrm.conversion import write_amo_store
from sources.demo.amocrm.store import AmoStore
from sources.demo.generator import CompanySize, write_store
from sources.demo.store import PortalStore
from tests.support.amo_accounts import (
    TALKS,
    client_row,
    lead_row,
    make_account,
    note_row,
    task_row,
)
from tests.support.portals import at
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import Pbx, write_raw_telephony

TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
_DATED = "source_key text, id bigint"
_HISTORY = "source_key text, id bigint, owner_id bigint, created_time timestamp, type_id bigint"
_PHONED = "source_key text, id bigint, phone json"

# Per raw table of Bitrix24: its columns, a good row, and per bound (but for a key that stands
# twice) a row that breaks it.
BITRIX24: dict[str, tuple[str, str, dict[str, str]]] = {
    "users": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "departments": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "categories": (
        "source_key text, entity_type_id bigint, id bigint",
        "('k', 31, 1)",
        {"missing_count": "('k', null, 2)", "unknown_type_share": "('k', 7, 2)"},
    ),
    "statuses": (
        "source_key text, entity_id text, status_id text, semantics text",
        "('k', 'SOURCE', 'CALL', null)",
        {
            "missing_count": "('k', 'SOURCE', null, null)",
            "unknown_semantics_share": "('k', 'DEAL_STAGE', 'NEW', 'W')",
        },
    ),
    "currencies": (
        "source_key text, currency text, amount decimal(20, 4), amount_cnt bigint",
        "('k', 'RUB', 1, 1)",
        {"missing_count": "('k', null, 1, 1)", "impossible_rate_count": "('k', 'USD', 0, 1)"},
    ),
    "custom_fields": (
        "source_key text, entity_type text, field text",
        "('k', 'deal', 'UF_A')",
        {"missing_count": "('k', 'deal', null)"},
    ),
    "custom_field_options": (
        "source_key text, entity_type text, field text, option_id text, label text",
        "('k', 'deal', 'UF_A', '1', 'One')",
        {
            "missing_count": "('k', 'deal', 'UF_A', null, 'One')",
            "unlabelled_share": "('k', 'deal', 'UF_A', '2', '')",
        },
    ),
    "products": (_DATED, "('k', 1)", {"missing_count": "('k', null)"}),
    "companies": (
        _PHONED,
        "('k', 1, '[]')",
        {"missing_count": "('k', null, '[]')", "unreadable_phones_share": "('k', 2, '\"7\"')"},
    ),
    "contacts": (
        _PHONED,
        "('k', 1, null)",
        {"missing_count": "('k', null, '[]')", "unreadable_phones_share": "('k', 2, '{}')"},
    ),
    "leads": (
        "source_key text, id bigint, date_create timestamp, status_id text, "
        "status_semantic_id text, phone json",
        "('k', 1, now(), 'NEW', 'P', '[]')",
        {
            "missing_count": "('k', 2, null, 'NEW', 'P', '[]')",
            "unknown_semantics_share": "('k', 2, now(), 'NEW', 'W', '[]')",
            "unreadable_phones_share": "('k', 2, now(), 'NEW', 'P', '{}')",
        },
    ),
    "deals": (
        "source_key text, id bigint, date_create timestamp, stage_id text",
        "('k', 1, now(), 'NEW')",
        {"missing_count": "('k', 2, null, 'NEW')"},
    ),
    "invoices": (
        "source_key text, id bigint, created_time timestamp, stage_id text",
        "('k', 1, now(), 'N')",
        {"missing_count": "('k', null, now(), 'N')", "undated_share": "('k', 2, null, 'N')"},
    ),
    "smart_items": (
        "source_key text, entity_type_id bigint, id bigint, created_time timestamp",
        "('k', 177, 1, now())",
        {
            "missing_count": "('k', null, 2, now())",
            "undated_share": "('k', 177, 2, null)",
            "misplaced_count": "('k', 2, 2, now())",
        },
    ),
    **{
        table: (
            _HISTORY,
            "('k', 1, 1, now(), 2)",
            {
                "missing_count": "('k', 2, null, now(), 2)",
                "unknown_type_share": "('k', 2, 1, now(), 99)",
            },
        )
        for table in ("lead_stage_history", "stage_history", "invoice_stage_history")
    },
    "activities": (
        "source_key text, id bigint, type_id bigint, owner_type_id bigint, owner_id bigint",
        "('k', 1, 2, 2, 7)",
        {
            "missing_count": "('k', null, 2, 2, 7)",
            "unknown_type_share": "('k', 2, 9, 2, 7)",
            "unowned_share": "('k', 2, 2, 2, 0)",
        },
    ),
    "tasks": (
        "source_key text, id bigint, status bigint, created_date timestamp",
        "('k', 1, 5, now())",
        {
            "missing_count": "('k', null, 5, now())",
            "unknown_state_share": "('k', 2, 55, now())",
            "undated_share": "('k', 2, 5, null)",
        },
    ),
    "calls": (
        "source_key text, id bigint, call_start_date timestamp, call_type bigint, "
        "call_duration bigint",
        "('k', 1, now(), 1, 60)",
        {
            "missing_count": "('k', 2, null, 1, 60)",
            "unknown_type_share": "('k', 2, now(), 9, 60)",
            "absurd_length_share": "('k', 2, now(), 1, -5)",
        },
    ),
    "product_rows": (
        "source_key text, id bigint, owner_type text, owner_id bigint, quantity decimal(20, 4), "
        "price decimal(20, 4)",
        "('k', 1, 'D', 7, 1, 10)",
        {
            "missing_count": "('k', 2, 'D', null, 1, 10)",
            "unknown_type_share": "('k', 2, 'Q', 7, 1, 10)",
            "negative_share": "('k', 2, 'D', 7, -1, 10)",
        },
    ),
    "activity_bindings": (
        "source_key text, activity_id bigint, entity_type_id bigint, entity_id bigint",
        "('k', 1, 2, 7)",
        {"missing_count": "('k', 1, 2, null)", "unknown_type_share": "('k', 1, 99, 7)"},
    ),
    "task_history": (
        "source_key text, id bigint, task_id bigint, created_date timestamp, field text",
        "('k', 1, 7, now(), 'DEADLINE')",
        {
            "missing_count": "('k', 2, null, now(), 'DEADLINE')",
            "nameless_share": "('k', 2, 7, now(), '')",
        },
    ),
    "timeline_comments": (
        "source_key text, entity_type text, entity_id bigint, id bigint, created timestamp",
        "('k', 'deal', 7, 1, now())",
        {
            "missing_count": "('k', 'deal', null, 1, now())",
            "unknown_type_share": "('k', 'quote', 7, 1, now())",
            "undated_share": "('k', 'deal', 8, 1, null)",
        },
    ),
    "detail_reads": (
        "source_key text, entity text, owner_type text, owner_id bigint, read_at timestamp",
        "('k', 'product_rows', 'deal', 7, now())",
        {"missing_count": "('k', 'product_rows', 'deal', 8, null)"},
    ),
    "load_log": (
        "source_key text, entity text, cut_at timestamp, rows_reported bigint, "
        "rows_received bigint, rows_quarantined bigint, rows_raw bigint, rows_deleted bigint, "
        "complete_up_to timestamp",
        "('k', 'deals', timestamp '2026-03-02', 2, 1, 0, 3, 1, timestamp '2026-03-02')",
        {
            "missing_count": "('k', 'deals', null, 2, 1, 0, 3, 1, timestamp '2026-03-02')",
            "impossible_count": "('k', 'calls', timestamp '2026-03-02', null, 0, 0, 1, 2, null)",
        },
    ),
    "deleted_records": (
        "source_key text, entity text, id bigint",
        "('k', 'deals', 1)",
        {"missing_count": "('k', 'deals', null)"},
    ),
    "quarantine": (
        "source_key text, entity text, payload_hash text, reason text, payload text",
        "('k', 'deals', 'a1', 'OPPORTUNITY: is missing', '{}')",
        {"missing_count": "('k', 'deals', 'a2', null, '{}')"},
    ),
    **{
        table.versions: (
            f"source_key text, {', '.join(f'{name} text' for name in table.key)}, "
            "first_seen_at timestamp, last_seen_at timestamp",
            f"('k', {key}, timestamp '2026-03-02', now())",
            {
                "missing_count": f"('k', {key}, now(), null)",
                "backward_count": f"('k', {key}, now(), timestamp '2026-03-02')",
            },
        )
        for table in VERSIONED
        for key in [", ".join("1" * len(table.key))]
    },
}
TABLES: dict[str, tuple[str, str]] = {
    **{f"raw_bitrix24.{table}": (columns, good) for table, (columns, good, _) in BITRIX24.items()},
    "marts.fct_calls": (
        "talk_seconds bigint, total_seconds bigint, match_method text, is_successful boolean, "
        "is_answered boolean, reporting_employee_key bigint, started_on date",
        "(60, 60, 'bound_deal', true, true, 1, date '2026-03-02')",
    ),
    "marts.dim_employees": ("employee_key bigint, former_from_on date", "(1, date '2026-03-03')"),
    "marts.fct_stage_visits": ("duration_seconds decimal(18, 3)", "(10)"),
    "marts.fct_deals": (
        "created_at timestamp, closed_at timestamp, deal_state text, amount decimal(18, 2), "
        "company_amount decimal(18, 2), currency_code text, company_currency_code text",
        "(now(), now(), 'won', 5, 5, 'RUB', 'RUB')",
    ),
    "marts.fct_deal_products": (
        "price decimal(18, 4), quantity decimal(18, 4), amount decimal(18, 2), amount_share double",
        "(5, 2, 10, 1)",
    ),
    "metrics.metric_call_load__by_stage": (
        "calls_count bigint, answered_count bigint, talk_seconds_mean double",
        "(2, 1, 30.0)",
    ),
}
# Per raw table of amoCRM, beside a key that stands twice: what makes a good row break the bound.
AMOCRM: dict[str, dict[str, str]] = {
    "account": {"missing_count": "null as id", "currencyless_share": "'' as currency"},
    "users": {"missing_count": "null as id", "stateless_share": "null as is_active"},
    "groups": {"missing_count": "null as id"},
    "pipelines": {"missing_count": "null as id", "endless_count": "300 as id"},
    "statuses": {"missing_count": "null as pipeline_id", "unknown_type_share": "7 as type"},
    "loss_reasons": {"missing_count": "null as id", "nameless_share": "'' as name"},
    "custom_fields": {
        "missing_count": "null as id",
        "nameless_share": "null as name",
        "unknown_type_share": "'segments' as entity_type",
    },
    "custom_field_enums": {
        "missing_count": "null as field_id",
        "unlabelled_share": "'' as value",
        "unknown_type_share": "'lead' as entity_type",
    },
    "tags": {
        "missing_count": "null as id",
        "nameless_share": "'' as name",
        "unknown_type_share": "'lead' as entity_type",
    },
    "catalogs": {"missing_count": "null as id", "nameless_share": "'' as name"},
    "catalog_elements": {
        "missing_count": "null as catalog_id",
        "unreadable_fields_share": """'{"41": 1}' as custom_fields_values""",
    },
    **{
        table: {
            "missing_count": "null as id",
            "unreadable_fields_share": """'{"41": 1}' as custom_fields_values""",
            "unreadable_phones_share": (
                """'[{"field_code": "PHONE", "values": "+7900"}]' as custom_fields_values"""
            ),
        }
        for table in ("companies", "contacts")
    },
    "leads": {
        "missing_count": "null as created_at",
        "unreadable_fields_share": "'\"none\"' as custom_fields_values",
        "negative_share": "-1 as price",
    },
    "deleted_leads": {"missing_count": "null as id", "undated_share": "null as updated_at"},
    "unsorted": {
        "missing_count": "null as uid",
        "unknown_type_share": "'pigeons' as category",
        "undated_share": "null as created_at",
    },
    "events": {
        "missing_count": "null as created_at",
        "unknown_type_share": "'lead_painted' as type",
        "unowned_share": "0 as entity_id",
        "unreadable_moves_share": """
            'lead_status_changed' as type, '{"lead_status": {"id": 142}}' as value_after
        """,
        "unreadable_owners_share": "'entity_responsible_changed' as type, '[]' as value_after",
    },
    "notes": {
        "missing_count": "null as entity_id",
        "unknown_type_share": "'customers' as entity_type",
        "unknown_kind_share": "'service_message' as note_type",
        "undated_share": "null as created_at",
        "unknown_call_status_share": """
            'call_in' as note_type, '{"call_status": 9}' as params
        """,
        "absurd_length_share": "'call_out' as note_type, '{\"duration\": 14401}' as params",
    },
    "tasks": {
        "missing_count": "null as id",
        "unknown_state_share": "null as is_completed",
        "unknown_type_share": "'deals' as entity_type",
        "undated_share": "null as created_at",
    },
    "load_log": {
        "missing_count": "null as cut_at",
        "impossible_count": "complete_up_to + interval 1 second as complete_up_to",
    },
    "deleted_records": {"missing_count": "null as id"},
    "quarantine": {"missing_count": "null as reason"},
    **{
        table.versions: {
            "missing_count": "null as last_seen_at",
            "backward_count": "first_seen_at - interval 1 second as last_seen_at",
        }
        for table in SYSTEMS["amocrm"].versioned
    },
}
TELEPHONY: dict[str, dict[str, str]] = {
    "asterisk_cdr": {
        "missing_count": "null as calldate",
        "unknown_type_share": "'EXPLODED' as disposition",
        "absurd_length_share": "14401 as billsec",
    },
    "mango_calls": {
        "missing_count": "null as start",
        "backward_share": "start - interval 1 second as finish",
    },
    "uis_calls": {
        "missing_count": "null as start_time",
        "unknown_type_share": "'sideways' as direction",
        "absurd_length_share": "-1 as talk_duration",
    },
    "uis_call_legs": {
        "missing_count": "null as call_session_id",
        "absurd_length_share": "-1 as duration",
    },
    "megafon_calls": {
        "missing_count": "null as row_key",
        "unknown_type_share": "'fax' as type",
        "absurd_length_share": "-1 as wait",
    },
    "zadarma_calls": {
        "missing_count": "null as callstart",
        "unknown_type_share": "'gone' as disposition",
        "absurd_length_share": "14401 as seconds",
    },
    "binotel_calls": {
        "missing_count": "null as start_time",
        "unknown_type_share": "'GONE' as disposition",
        "absurd_length_share": "-1 as billsec",
    },
    "ringostat_calls": {
        "missing_count": "null as uniqueid",
        "absurd_length_share": "-1 as billsec",
    },
    "generic_calls": {
        "missing_count": "null as started_at",
        "absurd_length_share": "-1 as talk_seconds",
    },
    "load_log": {"missing_count": "null as cut_at", "impossible_count": "-1 as rows_raw"},
    "deleted_records": {"missing_count": "null as id"},
    "quarantine": {"missing_count": "null as reason"},
}

FAULTS: dict[tuple[str, str], str] = {
    **{
        (f"raw_bitrix24.{table}", bound): f"values {row}"
        for table, (_, good, faults) in BITRIX24.items()
        for bound, row in {"duplicate_keys_count": good, **faults}.items()
    },
    **{
        (f"raw_amocrm.{table}", "duplicate_keys_count"): f"from raw_amocrm.{table} limit 1"
        for table in AMOCRM
    },
    **{
        (name, bound): f"select * replace ({fault}) from {name} limit 1"
        for table, faults in AMOCRM.items()
        for name in [f"raw_amocrm.{table}"]
        for bound, fault in faults.items()
    },
    **{
        (f"raw_telephony.{table}", "duplicate_keys_count"): f"from raw_telephony.{table} limit 1"
        for table in TELEPHONY
    },
    **{
        (name, bound): f"select * replace ({fault}) from {name} limit 1"
        for table, faults in TELEPHONY.items()
        for name in [f"raw_telephony.{table}"]
        for bound, fault in faults.items()
    },
    ("raw_amocrm.account", "exchanged_count"): (
        "select * replace (32 as id) from raw_amocrm.account"
    ),
    ("marts.fct_calls", "impossible_talk_count"): (
        "values (61, 60, 'bound_deal', true, true, 1, date '2026-03-02')"
    ),
    ("marts.fct_calls", "unmatched_count"): (
        "values (1, 60, null, false, true, 1, date '2026-03-02')"
    ),
    ("marts.fct_calls", "impossible_success_count"): (
        "values (0, 60, 'bound_deal', true, false, 1, date '2026-03-02')"
    ),
    ("marts.fct_calls", "dismissed_named_count"): (
        "values (60, 60, 'bound_deal', true, true, 1, date '2026-03-03')"
    ),
    ("marts.fct_stage_visits", "shortest_seconds"): "values (-1)",
    ("marts.fct_deals", "early_close_count"): (
        "values (now(), now() - interval 1 day, 'won', 5, 5, 'RUB', 'RUB')"
    ),
    ("marts.fct_deals", "disagreeing_count"): ("values (now(), null, 'won', 5, 5, 'RUB', 'RUB')"),
    ("marts.fct_deals", "turned_count"): "values (now(), now(), 'won', 5, -450, 'USD', 'RUB')",
    ("marts.fct_deals", "changed_count"): "values (now(), now(), 'won', 5, 6, 'RUB', 'RUB')",
    ("marts.fct_deal_products", "priceless_amount_count"): "values (null, 2, 10, 1)",
    ("marts.fct_deal_products", "share_of_nothing_count"): "values (5, null, null, 0)",
    ("metrics.metric_call_load__by_stage", "fewest_calls"): "values (-1, -1, null)",
    ("metrics.metric_call_load__by_stage", "impossible_answered_count"): "values (1, 2, 30.0)",
    ("metrics.metric_call_load__by_stage", "mean_of_nothing_count"): "values (1, 0, 0.0)",
}


def make_full_account(path: Path) -> AmoStore:
    """An account with rows in every raw table."""
    store = make_account(path)
    phone = [{"field_id": 9, "field_code": "PHONE", "values": [{"value": "+79000000001"}]}]
    store.insert("loss_reason", [{"id": 1, "name": "Dear"}])
    field = {"id": 41, "entity_type": "leads", "name": "Source", "type": "select"}
    store.insert("custom_field", [{**field, "enums": [{"id": 411, "value": "Site", "sort": 1}]}])
    store.insert("tag", [{"id": 51, "entity_type": "leads", "name": "hot"}])
    store.insert("catalog", [{"id": 61, "name": "Goods", "type": "products"}])
    store.insert("catalog_element", [{"id": 611, "catalog_id": 61, "name": "Sofa"}])
    store.insert("company", [client_row(21, custom_fields_values=phone)])
    store.insert("contact", [client_row(11, custom_fields_values=phone), client_row(12)])
    store.insert("lead", [lead_row(1), lead_row(2, is_deleted=1)])
    store.insert("unsorted", [{"uid": "a", "category": "forms", "created_at": at(0)}])
    call = {"uniq": "u", "duration": 60, "call_status": 4, "phone": "+79000000001"}
    store.insert(
        "note",
        [
            note_row(1, "leads", 1),
            note_row(2, "contacts", 11, note_type="call_in", params=call),
            note_row(3, "contacts", 11, note_type="call_out", params={"call_status": ""}),
            note_row(4, "companies", 21, note_type="call_out", params=None),
        ],
    )
    store.insert("task", [task_row(1, 1), task_row(2, 1, entity_id=None, entity_type=None)])
    store.move_lead(1, TALKS)
    store.add_event(
        "entity_responsible_changed",
        entity_id=1,
        value_after=[{"responsible_user": {"id": 2}}],
        value_before=[{"responsible_user": {"id": 1}}],
    )
    return store


def one_of_each_pbx() -> dict[str, Pbx]:
    """A telephony of every provider, with one call."""
    at = dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)
    when, seconds = "2026-03-02 12:00:00", int(at.timestamp()) - 3600
    rows: dict[str, dict[str, object]] = {
        "asterisk_cdr": {"row_key": "a", "calldate": when, "disposition": "ANSWERED"},
        "mango_calls": {"row_key": "a", "entry_id": "a", "start": seconds, "finish": seconds + 9},
        "uis_calls": {"id": 1, "start_time": when, "direction": "in", "talk_duration": 9},
        "uis_call_legs": {"id": 1, "call_session_id": 1, "start_time": when, "duration": 9},
        "megafon_calls": {"row_key": "a", "uid": "a", "start": when, "type": "in", "wait": 0},
        "zadarma_calls": {
            "row_key": "a", "pbx_call_id": "a", "callstart": when, "disposition": "busy",
            "seconds": 0,
        },
        "binotel_calls": {"generalCallID": "a", "startTime": seconds, "disposition": "BUSY"},
        "ringostat_calls": {"uniqueid": "a", "calldate": when, "billsec": 3},
        "generic_calls": {"id": "a", "started_at": when, "talk_seconds": 3},
    }  # fmt: skip
    pbxs: dict[str, Pbx] = {}
    for table, row in rows.items():
        key = f"{table.partition('_')[0]}:main"
        known = pbxs.get(key, Pbx(at)).rows
        pbxs[key] = Pbx(at, {**known, table: [row]})
    return pbxs


def make_tables(
    connection: duckdb.DuckDBPyConnection,
    accounts: dict[str, AmoStore],
    pbxs: dict[str, Pbx],
) -> None:
    for schema in ("raw_bitrix24", "marts", "metrics"):
        connection.execute(f"create schema {schema}")
    for table, (columns, _) in TABLES.items():
        # As dlt makes them: instants with their zone.
        typed = columns.replace(" timestamp", " timestamptz") if "raw_" in table else columns
        connection.execute(f"create table {table} ({typed})")
    write_raw_amocrm(connection, accounts)
    write_raw_telephony(connection, pbxs)
    # What the books themselves refuse, a restored archive may hold.
    for schema in ("raw_amocrm", "raw_telephony"):
        for table, column in (("load_log", "cut_at"), ("deleted_records", "id")):
            connection.execute(f"alter table {schema}.{table} alter column {column} drop not null")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    account = make_full_account(tmp_path_factory.mktemp("boundaries") / "account.sqlite")
    with duckdb.connect() as opened:
        make_tables(opened, {"amocrm:shop": account}, one_of_each_pbx())
        opened.execute(
            "insert into raw_amocrm.deleted_records values ('amocrm:shop', 'leads', 9, now())"
        )
        opened.execute(
            "insert into raw_amocrm.quarantine values "
            "('amocrm:shop', 'leads', 'a1', 9, 'price: is no number', '{}', now())"
        )
        opened.execute(
            "insert into raw_telephony.deleted_records values ('mango:main', 'calls', 9, now())"
        )
        opened.execute(
            "insert into raw_telephony.quarantine values "
            "('mango:main', 'calls', 'a1', 9, 'start: is no date', '{}', now())"
        )
        for table, (_, good) in TABLES.items():
            opened.execute(f"insert into {table} values {good}")
        yield opened


@pytest.fixture
def connection(filled: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Good rows in every table; what a test does to them is undone."""
    filled.begin()
    yield filled
    filled.rollback()


def failures(
    connection: duckdb.DuckDBPyConnection, schema: str = "", table: str = ""
) -> set[tuple[str, str]]:
    """What the suites of all tables, of a schema's or of one find."""
    return {
        (f"{boundary.schema}.{boundary.table}", column)
        for boundary in BOUNDARIES
        if (not schema or boundary.schema == schema) and (not table or boundary.table == table)
        for column in failed_bounds(connection, boundary)
    }


def test_an_empty_company_passes() -> None:
    with duckdb.connect() as connection:
        make_tables(connection, {}, {})
        assert failures(connection) == set()


def test_good_rows_pass(connection: duckdb.DuckDBPyConnection) -> None:
    for schema, raw in RAW_SCHEMAS.items():
        for table in raw.tables:
            assert connection.execute(f"select 1 from {schema}.{table}").fetchone(), table
    assert failures(connection) == set()


def test_the_invented_company_passes_in_amocrm(tmp_path: Path) -> None:
    write_store(tmp_path / "portal.sqlite", TINY)
    with PortalStore(tmp_path / "portal.sqlite", read_only=True) as source:
        write_amo_store(source, tmp_path / "account.sqlite")
    with AmoStore(tmp_path / "account.sqlite") as store, duckdb.connect() as connection:
        write_raw_amocrm(connection, {"amocrm:shop": store})
        assert failures(connection, "raw_amocrm") == set()


def test_users_that_may_not_be_listed_pass(tmp_path: Path) -> None:
    account = {"amocrm:shop": make_full_account(tmp_path / "account.sqlite")}
    with duckdb.connect() as connection:
        write_raw_amocrm(connection, account, without_users=account)
        assert connection.execute("select count(*) from raw_amocrm.users").fetchone() == (0,)
        assert failures(connection, "raw_amocrm") == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]}-{fault[1]}")
def test_the_bound_fires(connection: duckdb.DuckDBPyConnection, fault: tuple[str, str]) -> None:
    connection.execute(f"insert into {fault[0]} {FAULTS[fault]}")
    assert fault in failures(connection, *fault[0].split("."))


TYPED = {f"{schema}.{table}" for schema, raw in RAW_SCHEMAS.items() for table in raw.received}
LOADS = {
    # Loads of one entity, a day apart: rows held in raw, rows received, complete so many days ago.
    "shrunk_count": [(5, 1, 0), (4, 1, 0)],
    "silent_count": [(5 + number, 1, 0) for number in range(7)] + [(12, 0, 0)],
    "stale_count": [(5, 1, 0), (5, 1, 4)],
}
SOUND_LOADS = {
    "growing": [(5, 1, 0), (6, 1, 3)],
    "silent before": [(5, 1, 0), (5, 0, 0)] + [(5, 1, 0)] * 5 + [(5, 0, 0)],
    "few loads": [(5, 1, 0)] * 6 + [(5, 0, 0)],
    "mended": [(5, 1, 0), (4, 1, 9), (4, 1, 0)],
}


def add_loads(
    connection: duckdb.DuckDBPyConnection, schema: str, loads: list[tuple[int, int, int]]
) -> None:
    for day, (raw, received, days_ago) in enumerate(loads):
        cut = f"timestamptz '2030-01-01 00:00:00+00' + interval {day} day"
        connection.execute(
            f"insert into {schema}.load_log select * replace ('other:one' as source_key, "
            f"{cut} as cut_at, {raw} as rows_raw, {received} as rows_received, "
            f"0 as rows_deleted, {cut} - interval {days_ago} day as complete_up_to) "
            f"from {schema}.load_log limit 1"
        )


@pytest.mark.parametrize("schema", RAW_SCHEMAS)
@pytest.mark.parametrize("bound", LOADS)
def test_the_last_load_is_compared_with_those_before(
    connection: duckdb.DuckDBPyConnection, schema: str, bound: str
) -> None:
    add_loads(connection, schema, LOADS[bound])
    assert failures(connection, schema, "load_log") == {(f"{schema}.load_log", bound)}


@pytest.mark.parametrize("loads", SOUND_LOADS)
def test_usual_loads_pass(connection: duckdb.DuckDBPyConnection, loads: str) -> None:
    add_loads(connection, "raw_bitrix24", SOUND_LOADS[loads])
    assert failures(connection, "raw_bitrix24", "load_log") == set()


def test_a_column_of_another_type_is_found_in_every_received_table(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for table in TYPED:
        connection.execute(
            f"create or replace table {table} as select * replace (1 as source_key) from {table}"
        )
    found = {table for table, bound in failures(connection) if bound == "wrong_types_count"}
    assert found == TYPED


def test_every_bound_has_a_fault() -> None:
    bounds = {
        (f"{boundary.schema}.{boundary.table}", bound.column)
        for boundary in BOUNDARIES
        for bound in boundary.bounds
    }
    loads = {(f"{schema}.load_log", bound) for schema in RAW_SCHEMAS for bound in LOADS}
    types = {(table, "wrong_types_count") for table in TYPED}
    assert bounds == FAULTS.keys() | loads | types


def test_every_raw_table_of_every_system_has_a_boundary() -> None:
    judged = {(boundary.schema, boundary.table) for boundary in RAW_BOUNDARIES}
    assert judged == {
        (schema, table) for schema, raw in RAW_SCHEMAS.items() for table in raw.tables
    }


def test_no_two_checks_have_the_same_name() -> None:
    names = [boundary.name for boundary in BOUNDARIES]
    assert len(names) == len(set(names))


def test_users_do_not_block_in_amocrm() -> None:
    blocking = {
        f"{boundary.schema}.{boundary.table}" for boundary in RAW_BOUNDARIES if boundary.is_blocking
    }
    assert blocking == {
        "raw_bitrix24.users",
        "raw_bitrix24.deals",
        "raw_amocrm.pipelines",
        "raw_amocrm.statuses",
        "raw_amocrm.leads",
    }


@pytest.mark.parametrize("length", ["0", "14400", '"60"', "null", '""'])
def test_possible_lengths_of_calls_pass(connection: duckdb.DuckDBPyConnection, length: str) -> None:
    add_call(connection, f'{{"duration": {length}}}')
    assert failures(connection, "raw_amocrm", "notes") == set()


@pytest.mark.parametrize("length", ["-1", "14401", '"long"'])
def test_impossible_lengths_of_calls_do_not(
    connection: duckdb.DuckDBPyConnection, length: str
) -> None:
    add_call(connection, f'{{"duration": {length}}}')
    assert failures(connection, "raw_amocrm", "notes") == {
        ("raw_amocrm.notes", "absurd_length_share")
    }


def add_call(connection: duckdb.DuckDBPyConnection, params: str) -> None:
    connection.execute(
        "insert into raw_amocrm.notes select * replace "
        "(1000 as id, 'call_in' as note_type, ? as params) from raw_amocrm.notes limit 1",
        [params],
    )


def test_known_call_statuses_are_those_of_the_seed() -> None:
    seed = (PROJECT_DIR / "transform/seeds/amocrm_call_statuses.csv").read_text().splitlines()[1:]
    assert tuple(line.split(",")[0] for line in seed) == CALL_STATUSES


@pytest.mark.parametrize(
    ("system", "known"),
    [
        ("asterisk", {*ASTERISK_RESULTS, "VOICEMAIL"}),
        ("zadarma", set(ZADARMA_RESULTS)),
        ("binotel", set(BINOTEL_RESULTS)),
    ],
)
def test_known_results_of_telephony_are_those_of_the_seed(system: str, known: set[str]) -> None:
    seed = (PROJECT_DIR / "transform/seeds/telephony_call_results.csv").read_text().splitlines()
    rows = (line.split(",") for line in seed[1:])
    assert {code for provider, code, _ in rows if provider == system} == known
