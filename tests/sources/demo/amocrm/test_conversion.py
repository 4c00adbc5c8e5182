"""The invented company as amoCRM would hold it: nothing lost, nothing told twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.amocrm.conversion import write_amo_store
from sources.demo.amocrm.conversion_incoming import INCOMING_LEADS
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.generator import CompanySize, write_store
from sources.demo.record_store import RecordStore, to_microseconds
from sources.demo.replay import write_replay
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from tests.reference.random_portal import random_portal, write_portal
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal

TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
WON, LOST = 142, 143
SECOND = 1_000_000


@dataclass
class Both:
    """A company in both systems."""

    source: PortalStore
    account: AmoStore

    def old(self, sql: str, *values: Any) -> Any:
        return self.source.query(sql, values)[0][0]

    def new(self, sql: str, *values: Any) -> Any:
        return self.account.query(sql, values)[0][0]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("conversion")
    write_store(folder / "portal.sqlite", TINY)
    with PortalStore(folder / "portal.sqlite", read_only=True) as source:
        write_amo_store(source, folder / "account.sqlite")
        with AmoStore(folder / "account.sqlite", read_only=True) as account:
            yield Both(source, account)


def converted(source: PortalStore, path: Path) -> AmoStore:
    write_amo_store(source, path)
    return AmoStore(path)


def rows(store: RecordStore, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.query(sql, values)]


def moves(store: AmoStore, lead_id: int) -> list[tuple[int, int, int]]:
    """Minute, stage before and stage after of a lead's moves."""
    found = store.query(
        "select * from event where entity_id = ? and type = 'lead_status_changed' order by id",
        (lead_id,),
    )
    return [
        (
            (event["created_at"] - at(0)) // (60 * SECOND),
            json.loads(event["value_before"])[0]["lead_status"]["id"],
            json.loads(event["value_after"])[0]["lead_status"]["id"],
        )
        for event in found
    ]


# The invented company


def test_the_same_records_are_there(both: Both) -> None:
    for entity, table in (
        ("deal", "lead"),
        ("contact", "contact"),
        ("company", "company"),
        ("user", "user"),
        ("department", "user_group"),
        ("product", "catalog_element"),
    ):
        of_bin = "where is_deleted = 0" if table == "lead" else ""
        assert rows(both.source, f"select ID from {entity} order by ID") == rows(
            both.account, f"select id from {table} {of_bin} order by id"
        ), entity
    for entity in both.account.entities:
        assert both.new(f'select count(*) from "{entity}"') > 0, entity
    assert both.account.clock == both.source.clock
    assert both.account.meta("planted") == both.source.meta("planted")


def test_every_lead_stands_where_its_last_move_led(both: Both) -> None:
    last: dict[int, tuple[int, int]] = {}
    for event in both.account.query(
        "select * from event where type = 'lead_status_changed' order by created_at, id"
    ):
        after = json.loads(event["value_after"])[0]["lead_status"]
        last[event["entity_id"]] = (after["pipeline_id"], after["id"])
    assert last
    for lead in both.account.query("select * from lead"):
        stands = (lead["pipeline_id"], lead["status_id"])
        assert last.get(lead["id"], stands) == stands


def test_no_lead_moves_after_its_last_change(both: Both) -> None:
    assert (
        rows(
            both.account,
            "select lead.id from lead inner join event on entity_id = lead.id "
            "where type = 'lead_status_changed' and event.created_at > lead.updated_at",
        )
        == []
    )


def test_moves_are_a_chain_that_begins_at_the_first_stage(both: Both) -> None:
    present: dict[int, Any] = {}
    for event in both.account.query(
        "select * from event where type = 'lead_status_changed' order by created_at, id"
    ):
        before, after = (json.loads(event[name]) for name in ("value_before", "value_after"))
        assert before != after
        assert present.get(event["entity_id"], before) == before
        present[event["entity_id"]] = after


def test_every_stage_entry_but_the_first_is_a_move(both: Both) -> None:
    # Failure to failure within a pipeline is another reason, not another stage.
    expected = both.old(
        """
        with entries as (
            select
                OWNER_ID,
                CATEGORY_ID || ':' || case STAGE_SEMANTIC_ID
                    when 'P' then STAGE_ID else STAGE_SEMANTIC_ID end as stage,
                row_number() over (partition by OWNER_ID order by CREATED_TIME, ID) as place
            from stage_history
        )
        select count(*) from entries as later
        inner join entries as earlier
            on later.OWNER_ID = earlier.OWNER_ID and later.place = earlier.place + 1
        where later.stage <> earlier.stage
        """
    )
    assert both.new("select count(*) from event where type = 'lead_status_changed'") == expected
    deals = both.old("select count(*) from deal")
    assert both.new("select count(*) from event where type = 'lead_added'") == deals


def test_outcomes_and_amounts_are_the_deals(both: Both) -> None:
    for semantics, final in (("S", WON), ("F", LOST)):
        assert rows(
            both.source,
            "select ID, cast(round(OPPORTUNITY) as integer) from deal "
            "where STAGE_SEMANTIC_ID = ? order by ID",
            semantics,
        ) == rows(both.account, "select id, price from lead where status_id = ? order by id", final)
    closed = both.new("select count(*) from lead where closed_at is not null")
    assert closed == both.old("select count(*) from deal where CLOSED = 1")
    named = both.new("select count(*) from lead where loss_reason_id is not null")
    further = "('APOLOGY', 'C1:UC_PRICE', 'C1:APOLOGY', 'C2:APOLOGY', 'C4:APOLOGY')"
    assert named == both.old(f"select count(*) from deal where STAGE_ID in {further}") > 0


def test_every_bound_call_is_told_once_per_card(both: Both) -> None:
    external = both.old(
        "select count(*) from call where CRM_ENTITY_ID is not null and CALL_TYPE <> 5"
    )
    notes = "from note where note_type in ('call_in', 'call_out')"
    assert both.new(f"select count(distinct json_extract(params, '$.uniq')) {notes}") == external
    assert both.new(f"select count(*) {notes}") == both.new(
        "select count(*) from event where type in ('incoming_call', 'outgoing_call')"
    )
    pairs = f"select json_extract(params, '$.uniq'), entity_type, entity_id {notes}"
    told = rows(both.account, pairs)
    assert len(told) == len(set(told))
    expected = rows(
        both.source,
        "select EXTERNAL_CALL_ID, 'leads', OWNER_ID from call inner join activity "
        "on activity.ID = CRM_ACTIVITY_ID where OWNER_TYPE_ID = 2 and CALL_TYPE <> 5 "
        "union select EXTERNAL_CALL_ID, 'leads', ENTITY_ID from call "
        "inner join binding on ACTIVITY_ID = CRM_ACTIVITY_ID where ENTITY_TYPE_ID = 2 "
        "and CALL_TYPE <> 5",
    )
    assert {pair for pair in told if pair[1] == "leads"} == set(expected)


def test_calls_keep_start_duration_direction_result_and_talker(both: Both) -> None:
    sql = "select {} from {} order by 1, 2, 3, 4, 5, 6"
    told = sql.format(
        "distinct json_extract(params, '$.uniq'), created_at, json_extract(params, '$.duration'), "
        "note_type = 'call_in', json_extract(params, '$.call_status') = 4, "
        "json_extract(params, '$.call_responsible')",
        "note where note_type in ('call_in', 'call_out')",
    )
    made = sql.format(
        "EXTERNAL_CALL_ID, CALL_START_DATE, CALL_DURATION, CALL_TYPE in (2, 3), "
        "CALL_FAILED_CODE = '200', PORTAL_USER_ID",
        "call where CRM_ENTITY_ID is not null and CALL_TYPE <> 5",
    )
    assert rows(both.account, told) == rows(both.source, made)


def test_tasks_comments_and_messages_are_of_the_deals(both: Both) -> None:
    tasks = both.old("select count(*) from task where UF_CRM_TASK like '[\"D_%'")
    plans = "from activity where PROVIDER_ID in ('CRM_TODO', 'CRM_MEETING') and OWNER_TYPE_ID = 2"
    assert both.new("select count(*) from task") == tasks + both.old(f"select count(*) {plans}")
    moved = both.old(
        "select count(*) from task_history where FIELD = 'DEADLINE' and TASK_ID in "
        "(select ID from task where UF_CRM_TASK like '[\"D_%')"
    )
    deadlines = "select count(*) from event where type = 'task_deadline_changed'"
    assert both.new(deadlines) == moved > 0
    done = both.new("select count(*) from task where is_completed = 1")
    assert both.new("select count(*) from event where type = 'task_completed'") == done
    for kind, source in (
        ("note where note_type = 'common'", "timeline_comment where ENTITY_TYPE = 'deal'"),
        (
            "note where note_type = 'amomail_message'",
            "activity where PROVIDER_ID = 'CRM_EMAIL' and OWNER_TYPE_ID = 2",
        ),
        (
            "event where type like '%_chat_message'",
            "activity where PROVIDER_ID = 'IMOPENLINES_SESSION' and OWNER_TYPE_ID = 2",
        ),
    ):
        assert both.new(f"select count(*) from {kind}") == both.old(
            f"select count(*) from {source}"
        )


def test_products_keep_their_quantities(both: Both) -> None:
    quantities = (
        "select lead.id, json_extract(value, '$.id'), json_extract(value, '$.metadata.quantity') "
        "from lead, json_each(catalog_elements) order by 1, 2"
    )
    assert rows(both.account, quantities) == rows(
        both.source,
        "select OWNER_ID, PRODUCT_ID, sum(QUANTITY) from product_row "
        "where OWNER_TYPE = 'D' group by 1, 2 order by 1, 2",
    )


def test_fields_keep_their_texts(both: Both) -> None:
    fields = {
        row["code"]: row["id"]
        for row in both.account.query("select * from custom_field where entity_type = 'leads'")
    }
    own = {"PRODUCT", "GRADE", "REGION", "INTEREST", "SOURCE", "UTM_SOURCE", "UTM_TERM"}
    assert own <= fields.keys()
    values = (
        "select json_extract(item.value, '$.value'), count(*) from lead, "
        "json_each(custom_fields_values) as entry, json_each(entry.value, '$.values') as item "
        "where json_extract(entry.value, '$.field_code') = ? group by 1 order by 1"
    )
    assert rows(both.account, values, "PRODUCT") == rows(
        both.source,
        "select json_extract(CUSTOM, '$.UF_CRM_PRODUCT') as product, count(*) from deal "
        "where product is not null group by 1 order by 1",
    )
    assert rows(both.account, values, "SOURCE") == rows(
        both.source,
        "select NAME, count(*) from deal inner join status "
        "on ENTITY_ID = 'SOURCE' and status.STATUS_ID = SOURCE_ID group by 1 order by 1",
    )
    assert both.new(
        "select count(*) from lead, json_each(custom_fields_values) as entry "
        "where json_extract(entry.value, '$.field_code') = 'INTEREST'"
    ) == both.old(
        "select count(*) from deal where json_array_length(CUSTOM, '$.UF_CRM_INTEREST') > 0"
    )


def test_every_enum_value_is_in_its_fields_definition(both: Both) -> None:
    enums = {
        (row["entity_type"], row["id"]): {
            enum["id"]: enum["value"] for enum in json.loads(row["enums"] or "[]")
        }
        for row in both.account.query("select * from custom_field")
    }
    for entity, entity_type in (("lead", "leads"), ("contact", "contacts")):
        for row in both.account.query(f"select custom_fields_values from {entity}"):
            for entry in json.loads(row[0] or "[]"):
                known = enums[entity_type, entry["field_id"]]
                for value in entry["values"]:
                    if "enum_id" in value:
                        said = value["enum_code"] or value["value"]
                        assert known[value["enum_id"]] == said


def test_phones_are_kept_as_they_are_written(both: Both) -> None:
    for entity in ("contact", "company"):
        assert rows(
            both.source,
            f"select {entity}.ID, json_extract(value, '$.VALUE') from {entity}, json_each(PHONE) "
            "order by 1, 2",
        ) == rows(
            both.account,
            f"select {entity}.id, json_extract(item.value, '$.value') from {entity}, "
            "json_each(custom_fields_values) as entry, json_each(entry.value, '$.values') as item "
            "where json_extract(entry.value, '$.field_code') = 'PHONE' order by 1, 2",
        )


def test_dismissed_users_are_inactive(both: Both) -> None:
    assert rows(both.source, "select ID, ACTIVE from user order by ID") == rows(
        both.account, "select id, is_active from user order by id"
    )
    assert both.new("select count(*) from user where is_active = 0") > 0
    assert both.new("select count(*) from user where is_admin = 1") == 1
    assert (
        both.new("select count(*) from lead where group_id not in (select id from user_group)") == 0
    )


def test_a_second_conversion_gives_the_same_ids(both: Both, tmp_path: Path) -> None:
    with converted(both.source, tmp_path / "again.sqlite") as again:
        for entity in again.entities:
            sql = f'select * from "{entity}" order by 1, 2'
            assert rows(again, sql) == rows(both.account, sql), entity
    with pytest.raises(FileExistsError, match="remove it"):
        write_amo_store(both.source, tmp_path / "again.sqlite")


def test_the_account_is_served(both: Both) -> None:
    with serve_in_thread(AmoPortal(both.account)) as address, requests.Session() as session:
        session.headers["Authorization"] = "Bearer demo"
        for path, entity in (
            (
                "leads?limit=250&with=contacts,loss_reason,catalog_elements,source_id",
                "lead where is_deleted = 0",
            ),
            ("leads?limit=250&with=only_deleted", "lead where is_deleted = 1"),
            ("leads/unsorted?limit=250", "unsorted"),
            ("contacts?limit=250&with=leads", "contact"),
            ("events?limit=100", "event"),
            ("tasks?limit=250", "task"),
        ):
            seen: list[Any] = []
            link = f"{address}api/v4/{path}"
            while link:
                body = session.get(link, timeout=10).json()
                (page,) = body["_embedded"].values()
                seen += [row["uid" if entity == "unsorted" else "id"] for row in page]
                link = body["_links"].get("next", {}).get("href")
            assert len(seen) == len(set(seen)) == both.new(f"select count(*) from {entity}")


# What only an account has


def test_every_request_in_work_is_unsorted_and_no_lead(both: Both) -> None:
    waiting = "select ID from lead where STATUS_SEMANTIC_ID = 'P' order by ID"
    still = "from unsorted where lead_id not in (select id from lead)"
    expected = [(INCOMING_LEADS + number,) for (number,) in rows(both.source, waiting)]
    assert rows(both.account, f"select lead_id {still} order by 1") == expected != []
    unknown = "not in (select id from pipeline)"
    assert both.new(f"select count(*) from unsorted where pipeline_id {unknown}") == 0
    assert both.new("select count(*) from unsorted where source_name is null") == 0
    named = f"select count(*) {still} and contact_id in (select id from contact)"
    known = "STATUS_SEMANTIC_ID = 'P' and CONTACT_ID in (select ID from contact)"
    assert both.new(named) == both.old(f"select count(*) from lead where {known}")


def test_lately_accepted_requests_name_the_lead_of_their_deal(both: Both) -> None:
    month = to_microseconds(both.source.clock) - 30 * 86_400 * SECOND
    accepted = (
        "select lead_id, contact_id, pipeline_id - 3000000 from unsorted "
        "where lead_id in (select id from lead where is_deleted = 0) order by 1"
    )
    made = (
        "select deal.ID, CONTACT_ID, stage_history.CATEGORY_ID from deal "
        "inner join stage_history on OWNER_ID = deal.ID and stage_history.TYPE_ID = 1 "
        "where LEAD_ID > 0 and DATE_CREATE >= ? order by 1"
    )
    assert rows(both.account, accepted) == rows(both.source, made, month) != []


def test_declined_requests_are_deleted_leads(both: Both) -> None:
    declined = rows(both.source, "select ID, DATE_CLOSED from lead where STATUS_SEMANTIC_ID = 'F'")
    assert sorted(
        rows(
            both.account,
            "select entity_id - ?, created_at from event where type = 'lead_deleted'",
            INCOMING_LEADS,
        )
    ) == sorted(declined)
    month = to_microseconds(both.source.clock) - 30 * 86_400 * SECOND
    late = sorted(request for request in declined if request[1] >= month)
    binned = "select id - ?, updated_at from lead where is_deleted = 1 order by 1"
    assert rows(both.account, binned, INCOMING_LEADS) == late != []


def test_links_tell_the_clients_of_leads(both: Both) -> None:
    for entity, column in (("contact", "CONTACT_ID"), ("company", "COMPANY_ID")):
        linked = (
            "select entity_id, json_extract(value_after, '$[0].link.entity.id') from event "
            "where type = 'entity_linked' "
            "and json_extract(value_after, '$[0].link.entity.type') = ? order by 1"
        )
        held = f"select ID, {column} from deal where {column} > 0 order by 1"
        assert rows(both.account, linked, entity) == rows(both.source, held) != []
    early = (
        "select count(*) from event inner join contact "
        "on contact.id = json_extract(value_after, '$[0].link.entity.id') "
        "where type = 'entity_linked' and event.created_at < contact.created_at "
        "and json_extract(value_after, '$[0].link.entity.type') = 'contact'"
    )
    assert both.new(early) == 0


def test_merges_are_changes_by_people_who_work_here(both: Both) -> None:
    strangers = (
        "select event.id from event left join contact on contact.id = entity_id "
        "and contact.updated_at = event.created_at and contact.updated_by = event.created_by "
        "left join user on user.id = event.created_by and is_active = 1 "
        "where event.type = 'entity_merged' and (contact.id is null or user.id is null)"
    )
    assert rows(both.account, strangers) == []
    assert both.new("select count(*) from event where type = 'entity_merged'") > 0


# Small companies by hand


def test_a_stage_that_only_the_history_names_is_in_no_dictionary(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(1)])
        source.insert(
            "stage_history",
            [
                history_row(1, 1, 0, "NEW"),
                history_row(2, 1, 3, "GONE"),
                history_row(3, 1, 5, "GONE_LOST", STAGE_SEMANTIC_ID="F"),
                history_row(4, 1, 9, "NEW"),
            ],
        )
        with converted(source, tmp_path / "account.sqlite") as account:
            (first, into, back) = moves(account, 1)
            assert [minute for minute, _, _ in (first, into, back)] == [3, 5, 9]
            gone = first[2]
            assert into == (5, gone, LOST)
            known = rows(account, "select id from status where pipeline_id = 3000000")
            assert (gone,) not in known
            assert {(first[1],), (LOST,)} <= set(known)


def test_a_pipeline_that_only_the_history_names_is_archived(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(1)])
        source.insert(
            "stage_history",
            [
                history_row(1, 1, 0, "C7:NEW", CATEGORY_ID=7),
                history_row(2, 1, 3, "C7:WON", CATEGORY_ID=7, STAGE_SEMANTIC_ID="S"),
                history_row(3, 1, 5, "NEW"),
            ],
        )
        with converted(source, tmp_path / "account.sqlite") as account:
            archived = "select id, name from pipeline where is_archive = 1"
            assert rows(account, archived) == [(3_000_007, "Pipeline 7")]
            ids = rows(account, "select id from status where pipeline_id = 3000007 order by sort")
            assert ids == [(39_000_007,), (WON,), (LOST,)]
            assert [minute for minute, _, _ in moves(account, 1)] == [3, 5]


def test_requests_tell_how_they_came_in(tmp_path: Path) -> None:
    anna = {
        "NAME": "Anna",
        "DATE_CREATE": at(1),
        "PHONE": [{"VALUE": "+7 912 000-00-01"}],
        "EMAIL": [{"VALUE": "anna@example.com"}],
        "HAS_EMAIL": 1,
        "STATUS_SEMANTIC_ID": "P",
    }
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert(
            "lead",
            [
                {"ID": 1, **anna, "SOURCE_ID": "CALL"},
                {"ID": 2, **anna, "SOURCE_ID": "WEB"},
                {"ID": 3, **anna, "SOURCE_ID": "PARTNER"},
                {"ID": 4, **anna, "SOURCE_ID": "CALL", "HAS_IMOL": 1, "CONTACT_ID": 7},
                {"ID": 5, "DATE_CREATE": at(1)},
            ],
        )
        with (
            converted(source, tmp_path / "account.sqlite") as account,
            serve_in_thread(AmoPortal(account)) as address,
        ):
            assert rows(account, "select count(*) from lead") == [(0,)]
            body = requests.get(
                f"{address}api/v4/leads/unsorted",
                headers={"Authorization": "Bearer demo"},
                timeout=10,
            ).json()
    items = {row["_embedded"]["leads"][0]["id"]: row for row in body["_embedded"]["unsorted"]}
    by_lead = {lead_id - INCOMING_LEADS: row for lead_id, row in items.items()}
    assert {number: row["category"] for number, row in by_lead.items()} == {
        1: "sip",
        2: "forms",
        3: "mail",
        4: "chats",
        5: "forms",
    }
    second = at(1) // SECOND
    assert by_lead[1]["created_at"] == second
    assert by_lead[1]["metadata"]["from"] == "+7 912 000-00-01"
    assert by_lead[2]["metadata"]["form_sent_at"] == second
    assert by_lead[3]["metadata"]["from"] == {"email": "anna@example.com", "name": "Anna"}
    assert by_lead[4]["metadata"]["client"]["name"] == "Anna"
    contacts = [row["_embedded"]["contacts"][0]["id"] for row in by_lead.values()]
    assert sorted(contacts) == [7, *(INCOMING_LEADS + number for number in (1, 2, 3, 5))]


def test_a_portal_without_requests_gives_nothing_but_its_deals(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(n, CONTACT_ID=4 + n, CREATED_BY_ID=3) for n in (1, 2)])
        of_contact = {"DATE_CREATE": at(4), "DATE_MODIFY": at(9)}
        source.insert("contact", [{"ID": 5, "NAME": "Anna", "CREATED_BY_ID": 2, **of_contact}])
        with converted(source, tmp_path / "account.sqlite") as account:
            assert rows(account, "select id, is_deleted from lead") == [(1, 0), (2, 0)]
            assert rows(account, "select count(*) from unsorted") == [(0,)]
            told = "select entity_id, created_at, created_by from event where type = ? order by 1"
            # The contact of the second deal is gone: since when it was linked nobody knows.
            assert rows(account, told, "entity_linked") == [(1, at(4), 2), (2, at(0), 3)]
            assert rows(account, told, "entity_merged") == []


def test_a_first_stage_is_told_by_the_first_move_only(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(1), deal_row(2, MOVED_BY_ID=2, ASSIGNED_BY_ID=1)])
        source.insert("stage_history", [history_row(1, 1, 0, "NEW"), history_row(2, 2, 0, "NEW")])
        stages = [row["STATUS_ID"] for row in source.query("select STATUS_ID from status")]
        target = next(stage for stage in stages if stage not in ("NEW", "WON", "LOSE"))
        source.insert(
            "stage_history",
            [
                history_row(3, 2, 1, "WON", STAGE_SEMANTIC_ID="S"),
                history_row(4, 2, 2, target),
                history_row(5, 2, 2, target),
            ],
        )
        source.insert("deal", [deal_row(2, STAGE_ID=target, MOVED_BY_ID=2)])
        with converted(source, tmp_path / "account.sqlite") as account:
            ids = dict(rows(account, "select name, id from status where pipeline_id = 3000000"))
            names = dict(rows(source, "select STATUS_ID, NAME from status"))
            new, next_stage = ids[names["NEW"]], ids[names[target]]
            assert moves(account, 1) == []
            assert moves(account, 2) == [(1, new, WON), (2, WON, next_stage)]
            authors = "select created_by from event where type = 'lead_status_changed' order by id"
            assert rows(account, authors) == [(1,), (2,)]


def test_further_failures_are_reasons_and_no_moves(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert(
            "status",
            [
                {
                    "ID": 900 + place,
                    "ENTITY_ID": "DEAL_STAGE",
                    "STATUS_ID": f"UC_{place}",
                    "NAME": f"Reason {place}",
                    "SORT": 900 + place,
                    "SEMANTICS": "F",
                }
                for place in (1, 2)
            ],
        )
        lost = {"STAGE_SEMANTIC_ID": "F"}
        source.insert("deal", [deal_row(1, STAGE_ID="UC_2", MOVED_TIME=at(9), **lost)])
        source.insert(
            "stage_history",
            [
                history_row(1, 1, 0, "NEW"),
                history_row(2, 1, 5, "UC_1", **lost),
                history_row(3, 1, 9, "UC_2", **lost),
            ],
        )
        with converted(source, tmp_path / "account.sqlite") as account:
            assert [move[0] for move in moves(account, 1)] == [5]
            (lead,) = account.query("select * from lead")
            assert (lead["status_id"], lead["closed_at"]) == (LOST, at(5))
            reason = "select name from loss_reason where id = ?"
            assert rows(account, reason, lead["loss_reason_id"]) == [("Reason 2",)]


def test_a_history_that_ends_too_early_gets_its_last_move(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(1, STAGE_ID="GONE", MOVED_TIME=at(7))])
        source.insert("stage_history", [history_row(1, 1, 0, "NEW")])
        with converted(source, tmp_path / "account.sqlite") as account:
            ((minute, _, after),) = moves(account, 1)
            assert minute == 7
            assert rows(account, "select status_id from lead") == [(after,)]
            known = rows(account, "select count(*) from status where id = ?", after)
            assert known == [(0,)], "a deleted stage is in no dictionary"


def test_calls_of_leads_and_of_nobody_leave_no_note(tmp_path: Path) -> None:
    with make_portal(tmp_path / "portal.sqlite") as source:
        source.insert("deal", [deal_row(1), deal_row(2)])
        source.insert("contact", [{"ID": 5, "NAME": "Anna", "DATE_CREATE": at(0)}])
        of_contact = {"CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": 5}
        source.insert(
            "call",
            [
                call_row(1, 1, **of_contact),
                call_row(2, 2, CRM_ENTITY_TYPE="LEAD", CRM_ENTITY_ID=1),
                call_row(3, 3),
                call_row(4, 4, CALL_TYPE=5, **of_contact),
                call_row(5, 5, CRM_ACTIVITY_ID=50, **of_contact),
                call_row(6, 6, CALL_TYPE=3, CALL_FAILED_CODE="304", **of_contact),
                call_row(7, 7, CRM_ENTITY_TYPE="CONTACT", CRM_ENTITY_ID=77),
            ],
        )
        source.insert("activity", [{"ID": 50, "OWNER_ID": 1, "OWNER_TYPE_ID": 2}])
        source.insert(
            "binding",
            [{"ID": 8, "ACTIVITY_ID": 50, "ENTITY_TYPE_ID": 2, "ENTITY_ID": n} for n in (2,)],
        )
        with converted(source, tmp_path / "account.sqlite") as account:
            assert rows(
                account,
                "select (created_at - ?) / 60000000, entity_type, entity_id, note_type, "
                "json_extract(params, '$.call_status') from note order by 1, 3",
                at(0),
            ) == [
                (1, "contacts", 5, "call_out", 4),
                (5, "leads", 1, "call_out", 4),
                (5, "leads", 2, "call_out", 4),
                (6, "contacts", 5, "call_in", 6),
            ]


def test_a_replay_becomes_an_account_too(tmp_path: Path) -> None:
    folder = tmp_path / "replay"
    folder.mkdir()
    (folder / "stage_history.csv").write_text(
        "history_id,deal_id,stage,entered_at\n"
        f"1,7,New,{NOON.isoformat()}\n"
        f"2,7,Talks,{NOON.replace(hour=13).isoformat()}\n"
    )
    write_replay(folder, tmp_path / "portal.sqlite")
    with (
        PortalStore(tmp_path / "portal.sqlite", read_only=True) as source,
        converted(source, tmp_path / "account.sqlite") as account,
    ):
        assert [minute for minute, _, _ in moves(account, 7)] == [60]
        assert rows(account, "select name, is_main from pipeline") == [("Replay", 1)]
        assert account.clock == source.clock


def test_moves_of_random_portals_lead_to_where_the_leads_stand(tmp_path: Path) -> None:
    moved = 0
    for seed in range(20):
        path = write_portal(random_portal(random.Random(seed)), tmp_path / f"{seed}.sqlite")
        with (
            PortalStore(path, read_only=True) as source,
            converted(source, tmp_path / f"account{seed}.sqlite") as account,
        ):
            present: dict[int, Any] = {}
            for event in account.query(
                "select * from event where type = 'lead_status_changed' order by created_at, id"
            ):
                (before,) = json.loads(event["value_before"])
                (after,) = json.loads(event["value_after"])
                assert before != after, seed
                assert present.get(event["entity_id"], before) == before, seed
                present[event["entity_id"]] = after
            for lead in account.query("select * from lead"):
                stands = {"id": lead["status_id"], "pipeline_id": lead["pipeline_id"]}
                assert present.get(lead["id"], {"lead_status": stands})["lead_status"] == stands
                assert (lead["closed_at"] is not None) == (lead["status_id"] in (WON, LOST)), seed
            moved += len(present)
    assert moved > 20
