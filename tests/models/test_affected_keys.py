"""Built by affected keys or built whole: the tables are the same, whatever has happened between.

Random companies live through days, the first of them without telephony, by which calls hang
together differently; beside them stand portals with one event each, named by it.
After each day the warehouse is built as every day, and a copy of it with --full-refresh.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.support.companies import WITHOUT_TESTS, dbt_build, warehouse
from tests.support.days import RECORDS, Days, delete_record, move_cut
from tests.support.portals import call_row, deal_row, history_row, make_portal
from tests.support.random_companies import load_random_companies

PORTALS, MIXTURES, DAYS = 25, 30, 3
PORTALS_LONG, MIXTURES_LONG, DAYS_LONG = 120, 120, 10
"""A random company has some 40 records: of 55, some thousand hang together in many groups."""
INCREMENTAL = "Only what hangs together with changed records is built"
WHOLE = "All models are built whole"


@dataclass(frozen=True)
class Event:
    """Something that happens to a portal of its own.

    Attributes:
        rows: what the portal holds before, by table of the demo store.
        happens: changes raw as the next load would.
        query: shows what changes by it.
        before: its rows before, and
        after: its rows after.
        begins: changes raw before the first build.
    """

    rows: Mapping[str, list[dict[str, Any]]]
    happens: Callable[[duckdb.DuckDBPyConnection, str], object]
    query: str
    before: list[tuple[Any, ...]]
    after: list[tuple[Any, ...]]
    begins: Callable[[duckdb.DuckDBPyConnection, str], object] | None = None


_STAGES = """
    select stages.stage_id from marts.fct_stage_visits as visits
    inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
    where visits.source_key = ? order by visits.card_key, visits.visit_number
"""
_METHODS = """
    select calls.match_method, deals.deal_id from marts.fct_calls as calls
    left join marts.fct_deals as deals on calls.deal_key = deals.deal_key
    where calls.source_key = ? order by calls.call_id
"""
_CLIENT = {"ID": 5, "NAME": "Client", "PHONE": [{"VALUE": "+79000000001"}]}
_CLIENTS_OF_CALLS = """
    select clients.client_id from marts.fct_calls as calls
    inner join marts.dim_clients as clients on calls.client_key = clients.client_key
    where calls.source_key = ? order by calls.call_id
"""
_MOVED_ON = {
    "deal": [deal_row(1, STAGE_ID="WON", STAGE_SEMANTIC_ID="S")],
    "stage_history": [
        history_row(10, 1, 0, "NEW"),
        history_row(12, 1, 60, "WON", STAGE_SEMANTIC_ID="S"),
    ],
}
_WITH_CALL = {
    "contact": [_CLIENT],
    "deal": [deal_row(1, CONTACT_ID=5)],
    "call": [call_row(20, 30, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=5)],
}


def _late_call(number: int, minutes: int, entity: str) -> str:
    """SQL: another call from the same number, of the contact with that id, or of nobody (null)."""
    return (
        "insert into raw_bitrix24.calls by name select source_key, "
        f"{number} as id, 1 as portal_user_id, '+79000000001' as phone_number, "
        f"'c{number}' as call_id, 60 as call_duration, "
        f"date_create + interval {minutes} minutes as call_start_date, 1 as call_type, "
        f"case when {entity} is not null then 'CONTACT' end as crm_entity_type, "
        f"{entity} as crm_entity_id, '{{}}'::json as extra, received_at, "
        "'2.0' as _dlt_load_id from raw_bitrix24.deals where source_key = $key"
    )


def _execute(sql: str) -> Callable[[duckdb.DuckDBPyConnection, str], object]:
    return lambda connection, key: connection.execute(sql, {"key": key})


EVENTS: Mapping[str, Event] = {
    "a_late_history_row": Event(
        _MOVED_ON,
        _execute(
            "insert into raw_bitrix24.stage_history select * replace (11 as id, "
            "'WORK' as stage_id, created_time + interval 30 minutes as created_time, "
            "'2.0' as _dlt_load_id) from raw_bitrix24.stage_history "
            "where source_key = $key and id = 10"
        ),
        _STAGES,
        [("NEW",), ("WON",)],
        [("NEW",), ("WORK",), ("WON",)],
    ),
    "two_visits_where_there_were_three": Event(
        {
            "deal": [deal_row(1, STAGE_ID="WORK")],
            "stage_history": [
                history_row(10, 1, 0, "NEW"),
                history_row(11, 1, 30, "WORK"),
                history_row(12, 1, 60, "NEW"),
            ],
        },
        _execute(
            "update raw_bitrix24.stage_history set stage_id = 'WORK', _dlt_load_id = '2.0' "
            "where source_key = $key and id = 12"
        ),
        _STAGES,
        [("NEW",), ("WORK",), ("NEW",)],
        [("NEW",), ("WORK",)],
    ),
    "a_late_call": Event(
        {**_WITH_CALL, "call": []},
        _execute(_late_call(20, 30, "5")),
        _METHODS,
        [],
        [("only_open_deal", 1)],
    ),
    "a_late_call_that_decides_whose_a_shared_number_is": Event(
        # Nothing but the earlier call of one of its clients changes for the call without a client.
        {
            "contact": [_CLIENT, {**_CLIENT, "ID": 6}],
            "deal": [deal_row(1)],
            "call": [call_row(21, 60)],
        },
        _execute(_late_call(20, 30, "6")),
        _CLIENTS_OF_CALLS,
        [(5,)],
        [(6,), (6,)],
    ),
    "a_late_call_on_a_number_that_an_earlier_call_has_decided": Event(
        {
            "contact": [_CLIENT, {**_CLIENT, "ID": 6}],
            "deal": [deal_row(1)],
            "call": [call_row(20, 30, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=6)],
        },
        _execute(_late_call(21, 60, "null")),
        _CLIENTS_OF_CALLS,
        [(6,)],
        [(6,), (6,)],
    ),
    "a_call_of_a_contact_that_no_list_has": Event(
        {"deal": [deal_row(1)]},
        _execute(_late_call(20, 30, "77")),
        "select client_id from marts.dim_clients where source_key = ?",
        [],
        [(77,)],
    ),
    "the_only_call_of_a_contact_names_another": Event(
        {
            "deal": [deal_row(1)],
            "call": [call_row(20, 30, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=77)],
        },
        _execute(
            "update raw_bitrix24.calls set crm_entity_id = 78, _dlt_load_id = '2.0' "
            "where source_key = $key"
        ),
        "select client_id from marts.dim_clients where source_key = ?",
        [(77,)],
        [(78,)],
    ),
    "an_activity_of_another_deal": Event(
        {
            "deal": [deal_row(1), deal_row(2)],
            "activity": [{"ID": 30, "TYPE_ID": 2, "OWNER_TYPE_ID": 2, "OWNER_ID": 1}],
            "call": [call_row(20, 30, CRM_ACTIVITY_ID=30)],
        },
        _execute(
            "update raw_bitrix24.activities set owner_id = 2, _dlt_load_id = '2.0' "
            "where source_key = $key"
        ),
        _METHODS,
        [("bound_deal", 1)],
        [("bound_deal", 2)],
    ),
    "a_changed_owner": Event(
        {"deal": [deal_row(1)]},
        _execute(
            "update raw_bitrix24.deals set assigned_by_id = 7, _dlt_load_id = '2.0' "
            "where source_key = $key"
        ),
        "select employees.employee_id from marts.fct_deals as deals "
        "inner join marts.dim_employees as employees "
        "on deals.owner_employee_key = employees.employee_key where deals.source_key = ?",
        [(1,)],
        [(7,)],
    ),
    "a_changed_client": Event(
        {**_WITH_CALL, "contact": [_CLIENT, {"ID": 6, "NAME": "Other", "PHONE": []}]},
        _execute(
            "update raw_bitrix24.deals set contact_id = 6, _dlt_load_id = '2.0' "
            "where source_key = $key"
        ),
        _METHODS,
        [("only_open_deal", 1)],
        [("no_open_card", None)],
    ),
    "a_merge": Event(
        # Merging deletes an id, and the number then finds the one that took over.
        {
            "contact": [_CLIENT, {**_CLIENT, "ID": 6}],
            "deal": [deal_row(1, CONTACT_ID=6)],
            "call": [call_row(20, 30, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=5)],
        },
        lambda connection, key: delete_record(connection, "raw_bitrix24", key, "contacts", 5),
        _METHODS,
        [("no_open_card", None)],
        [("only_open_deal", 1)],
    ),
    "a_deletion": Event(
        {**_WITH_CALL, "deal": [deal_row(1, CONTACT_ID=5), deal_row(2, CONTACT_ID=5)]},
        lambda connection, key: delete_record(connection, "raw_bitrix24", key, "deals", 1),
        _METHODS,
        [("chosen_open_deal", 1)],
        [("only_open_deal", 2)],
    ),
    "a_new_custom_field": Event(
        {"deal": [deal_row(1)]},
        _execute(
            'update raw_bitrix24.deals set extra = \'{"UF_CRM_GRADE": "A"}\', '
            "_dlt_load_id = '2.0' where source_key = $key"
        ),
        "select client_grade from marts.fct_deals where source_key = ?",
        [("(not set)",)],
        [("A",)],
    ),
    "as_of_crosses_a_move": Event(
        {
            "deal": [deal_row(1)],
            "stage_history": [history_row(10, 1, 0, "NEW"), history_row(11, 1, 1500, "WORK")],
        },
        lambda connection, key: move_cut(connection, "raw_bitrix24", 24, f"source_key = '{key}'"),
        _STAGES,
        [("NEW",)],
        [("NEW",), ("WORK",)],
        # Received after the cut, as everything that a load reads behind it.
        begins=_execute(
            "update raw_bitrix24.stage_history set received_at = received_at + interval 2 hours "
            "where source_key = $key"
        ),
    ),
    "a_new_number": Event(
        {**_WITH_CALL, "call": [call_row(20, 30)], "contact": [{"ID": 5, "NAME": "Client"}]},
        _execute(
            'update raw_bitrix24.contacts set phone = \'[{"VALUE": "+79000000001"}]\', '
            "_dlt_load_id = '2.0' where source_key = $key"
        ),
        _METHODS,
        [("unknown_number", None)],
        [("only_open_deal", 1)],
    ),
    "a_stage_that_now_means_won": Event(
        {"deal": [deal_row(1, STAGE_ID="WORK")], "stage_history": [history_row(10, 1, 0, "WORK")]},
        _execute(
            "update raw_bitrix24.statuses set semantics = 'S' "
            "where source_key = $key and status_id = 'WORK'"
        ),
        "select deal_state from marts.fct_deals where source_key = ?",
        [("open",)],
        [("won",)],
    ),
    "nothing": Event({"deal": [deal_row(1)]}, lambda _, __: None, _STAGES, [("NEW",)], [("NEW",)]),
}

CHANGES: Mapping[str, tuple[str, str]] = {
    "a threshold": (
        "update raw_company.rules set successful_call_seconds = 41",
        "select bool_and(talk_seconds >= 41) and count(*) > 0 from marts.fct_calls "
        "where is_successful",
    ),
    "a role": (
        "update raw_company.pipeline_roles set role = 'service' where pipeline_id = 1",
        "select count(*) > 0 and not bool_or(pipeline_role = 'setter') from marts.dim_pipelines",
    ),
    "a pipeline that is left out, and one that no longer is": (
        "update raw_company.pipeline_roles set role = case pipeline_id when 2 then 'ignore' "
        "else 'service' end where pipeline_id in (2, 3)",
        "select count(*) filter (where pipeline_id = 3) > 0 "
        "and count(*) filter (where pipeline_id = 2) = 0 from metrics.metric_cards__by_metric "
        "inner join marts.dim_pipelines using (pipeline_key) where metric_name = 'stage_entries'",
    ),
    "a stage's role": (
        "insert into raw_company.stage_roles select distinct stages.source_key, pipeline_id, "
        "stage_id, 'key', 1, '2' from marts.dim_stages as stages "
        "inner join marts.dim_pipelines using (pipeline_key) where pipeline_id = 0 "
        "and stage_semantics = 'open' and stages.source_key like '%:p%'",
        "select count(*) > 0 from metrics.metric_cards__by_metric "
        "where metric_name = 'key_stage_entries'",
    ),
    "dismissals": (
        "insert into raw_company.dismissals select source_key, max(id), date '2024-01-20', 1, '2' "
        "from raw_bitrix24.users as users where source_key not like '%:case%' "
        "and not exists (from raw_company.dismissals as lines where "
        "lines.source_key = users.source_key and lines.employee_id = users.id) "
        "group by source_key",
        "select count(*) > 0 from marts.fct_calls where reporting_employee_key = -1",
    ),
}
"""What happens to the company on the second day, and a query that is true from then on."""

KEYS: Mapping[str, str] = {
    "marts.dim_employees": "employee_key",
    "marts.dim_clients": "client_key",
    "marts.fct_deals": "deal_key",
    "marts.fct_stage_visits": "stage_visit_key",
    "marts.fct_calls": "call_key",
    "marts.fct_data_quality_issues": "issue_key",
}
"""Data tests do not run here: what happens to a company must not be what no loader lets in."""


def parts_built(output: str) -> dict[str, tuple[int, int]]:
    """Rows that a build has replaced, and all, by table built by touched parts."""
    told = r"touched_parts model metrics\.(\w+) .*?([\d,]+) of ([\d,]+) rows"
    return {
        name: (int(built.replace(",", "")), int(held.replace(",", "")))
        for name, built, held in re.findall(told, output)
    }


@dataclass
class Lived:
    """A warehouse after some days.

    Attributes:
        settings: of the company.
        outputs: what dbt has printed, by day; day 0 is the first build.
        differing: tables that differ from a build with --full-refresh, by day that was compared.
        seen: rows of the events' queries after the first build and after the first day.
    """

    settings: Settings
    outputs: list[str] = field(default_factory=list)
    differing: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)
    seen: list[dict[str, list[tuple[Any, ...]]]] = field(default_factory=list)


def live(
    root: Path,
    portals: int,
    mixtures: int,
    days: int,
    seed: int,
    compared: Collection[int],
    memory_limit: str = "1GB",
) -> Lived:
    """Random companies and the events' portals through so many days; events happen on the first.

    Args:
        root: where everything is written.
        portals: random portals of Bitrix24.
        mixtures: random companies with telephony.
        days: how many.
        seed: of everything.
        compared: days after which the tables are compared with those of a whole build.
        memory_limit: DuckDB's.
    """
    stores = _stores(root)
    random_companies = load_random_companies(root, portals, mixtures, seed, stores)
    settings = random_companies.settings.model_copy(update={"memory_limit": memory_limit})
    late = next(
        pbx
        for company in random_companies.companies
        for pbx in company.pbxs
        if pbx.system == "asterisk" and pbx.crm
    )
    lived = Lived(settings)
    life = Days(random.Random(seed))
    with warehouse(settings, read_only=False) as connection:
        life.begin(connection)
        _take_out(connection, late.source_key)
        _silence(connection)
        for name, event in EVENTS.items():
            if event.begins:
                event.begins(connection, _key(name))
    lived.outputs.append(dbt_build(settings, *WITHOUT_TESTS))
    lived.seen.append(_events(settings))
    for day in range(1, days + 1):
        with warehouse(settings, read_only=False) as connection:
            life.live(connection)
            if day == 1:
                for name, event in EVENTS.items():
                    event.happens(connection, _key(name))
            if day == 2:
                for change, _ in CHANGES.values():
                    connection.execute(change)
                _put_back(connection, life.load_id)
                _end_silence(connection, life.load_id)
            if day == 3:
                # Its CRM's calls are built anew, and must find the exchange's.
                for table in ("raw_bitrix24.calls", "raw_amocrm.notes"):
                    connection.execute(
                        f"update {table} set _dlt_load_id = '{life.load_id}' where source_key = ?",
                        [late.crm],
                    )
        lived.outputs.append(dbt_build(settings, *WITHOUT_TESTS))
        if day == 1:
            lived.seen.append(_events(settings))
        if day in compared:
            lived.differing[day] = differences_from_whole(settings, root / f"whole-{day}")
    return lived


def differences_from_whole(settings: Settings, root: Path) -> dict[str, tuple[int, int]]:
    """Build a copy with --full-refresh: rows that only one of them has, by table that differs."""
    whole = settings.model_copy(update={"data_root": root})
    whole.make_folders()
    shutil.copy(settings.warehouse, whole.warehouse)
    assert WHOLE in dbt_build(whole, "--full-refresh", *WITHOUT_TESTS)
    found: dict[str, tuple[int, int]] = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.warehouse}' as daily (read_only)")
        connection.execute(f"attach '{whole.warehouse}' as whole (read_only)")
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where database_name = 'whole' "
            "and schema_name in ('intermediate', 'marts', 'metrics')"
        ).fetchall()
        assert len(tables) > 100
        for table, key in KEYS.items():
            repeated = f"select {key} from whole.{table} group by 1 having count(*) > 1"
            assert connection.execute(repeated).fetchall() == [], table
        for (table,) in tables:
            missing, odd = (
                connection.execute(
                    f"select count(*) from (from {one}.{table} except all from {other}.{table})"
                ).fetchall()[0][0]
                for one, other in (("whole", "daily"), ("daily", "whole"))
            )
            if missing or odd:
                found[table] = (missing, odd)
    shutil.rmtree(root)
    return found


_OF_AN_EXCHANGE = (
    "raw_telephony.asterisk_cdr",
    "raw_telephony.load_log",
    "raw_company.connections",
)


def _take_out(connection: duckdb.DuckDBPyConnection, source_key: str) -> None:
    """The company does not have this exchange yet."""
    for number, table in enumerate(_OF_AN_EXCHANGE):
        chosen = f"{table} where source_key = '{source_key}'"
        connection.execute(f"create table later.exchange_{number} as select * from {chosen}")
        connection.execute(f"delete from {chosen}")


def _put_back(connection: duckdb.DuckDBPyConnection, load_id: str) -> None:
    for number, table in enumerate(_OF_AN_EXCHANGE):
        values = f"* replace ('{load_id}' as _dlt_load_id)" if table.endswith("cdr") else "*"
        connection.execute(
            f"insert into {table} by name select {values} from later.exchange_{number}"
        )


_TELEPHONY = tuple(table for table in RECORDS if table.startswith("raw_telephony."))


def _silence(connection: duckdb.DuckDBPyConnection) -> None:
    """No telephony has brought a row yet, nor does before the silence ends."""
    for number, table in enumerate(_TELEPHONY):
        held = f"later.{table.replace('.', '__')}"
        connection.execute(
            f"create table later.silent_{number} as from {table} union all by name from {held}"
        )
        connection.execute(f"delete from {table}")
        connection.execute(f"delete from {held}")


def _end_silence(connection: duckdb.DuckDBPyConnection, load_id: str) -> None:
    for number, table in enumerate(_TELEPHONY):
        connection.execute(
            f"insert into {table} by name select * replace ('{load_id}' as _dlt_load_id) "
            f"from later.silent_{number}"
        )


def _key(event: str) -> str:
    return f"bitrix24:case_{event}"


def _stores(root: Path) -> dict[str, PortalStore]:
    stores: dict[str, PortalStore] = {}
    for name, event in EVENTS.items():
        store = make_portal(root / f"{name}.sqlite")
        for table, rows in event.rows.items():
            store.insert(table, rows)
        stores[_key(name)] = store
    return stores


def _events(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with warehouse(settings) as connection:
        return {
            name: connection.execute(event.query, [_key(name)]).fetchall()
            for name, event in EVENTS.items()
        }


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    # What the second day does wrong is still wrong on the third.
    return live(tmp_path_factory.mktemp("lived"), PORTALS, MIXTURES, DAYS, 11, (1, DAYS))


def test_every_table_equals_that_of_a_whole_build(lived: Lived) -> None:
    assert lived.differing == {1: {}, DAYS: {}}


def test_days_are_built_by_affected_keys(lived: Lived) -> None:
    first, *days = lived.outputs
    assert WHOLE in first
    assert all(INCREMENTAL in output and WHOLE not in output for output in days)


def test_metric_tables_replace_only_what_a_day_has_touched(lived: Lived) -> None:
    first, day, *_ = lived.outputs
    assert parts_built(first) == {}
    replaced = parts_built(day)
    # Another seller is compared with all others: then scorecards are built whole.
    replaced.pop("metric_scorecard__by_employee", None)
    assert set(replaced) == {
        "metric_call_load__by_stage", "metric_call_proportions__by_segment",
        "metric_cards__by_metric", "metric_daily_sums__by_slice",
        "metric_employee_activity__by_day", "metric_sales_kpi__by_period",
        "metric_segment_sums__by_day",
    }  # fmt: skip
    assert [name for name, (built, held) in replaced.items() if not 0 < built < held] == []


def test_a_change_that_any_row_may_be_concerned_by_builds_its_readers_whole(lived: Lived) -> None:
    said = re.compile("is built whole: (stg_company__rules|int_connections) has changed")
    assert not said.search(lived.outputs[1])
    assert said.search(lived.outputs[2])
    with warehouse(lived.settings) as connection:
        for name, (_, query) in CHANGES.items():
            assert connection.execute(query).fetchall() == [(True,)], name


@pytest.mark.parametrize("name", EVENTS)
def test_the_event_shows_in_the_marts(lived: Lived, name: str) -> None:
    before, after = lived.seen
    assert (before[name], after[name]) == (EVENTS[name].before, EVENTS[name].after)


def test_a_changed_model_and_what_reads_it_are_built_whole_and_that_is_said(lived: Lived) -> None:
    with warehouse(lived.settings, read_only=False) as connection:
        connection.execute(
            "update affected.runs set fingerprint = 'of the SQL before' "
            "where model_name = 'int_deal_closes'"
        )
    output = dbt_build(lived.settings, *WITHOUT_TESTS)
    assert WHOLE not in output
    assert set(re.findall(r"(\w+) is built whole", output)) == {
        "int_deal_closes", "fct_deal_closes", "fct_deals", "fct_deal_products", "dim_cards",
        "fct_deal_creations", "fct_losses",
    }  # fmt: skip
    assert "int_deal_closes is built whole: its SQL, or a macro in it, has changed." in output
    assert "int_deal_closes, which it reads, was built whole." in output
    # What the metric tables read has been built anew, and says the same.
    assert {built for built, _ in parts_built(output).values()} == {0}


def test_after_a_build_that_was_not_complete_everything_is_built_whole(lived: Lived) -> None:
    alone = dbt_build(lived.settings, "--select", "int_cards", *WITHOUT_TESTS)
    assert f"{WHOLE}: only some models are selected." in alone
    assert f"{WHOLE}: no build before it was complete." in dbt_build(lived.settings, *WITHOUT_TESTS)


@pytest.mark.long
def test_many_more_days(tmp_path: Path) -> None:
    days = range(1, DAYS_LONG + 1)
    # The numbers of hundreds of connections in one company need what the product has by default.
    long = live(tmp_path, PORTALS_LONG, MIXTURES_LONG, DAYS_LONG, 500_000, days, "3GB")
    assert long.differing == {day: {} for day in days}
