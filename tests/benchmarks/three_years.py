"""Three years of a company that works in Bitrix24 alone, of any size, as raw tables.

Written by SQL straight into the warehouse, as finished loads leave it; the same for every run. Ten
deals have four contacts (of one to four deals), some 60 rows of history and 100 calls. Nobody talks
to two at once, but for one call in a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb

from orchestration.settings import Settings
from sources.demo.store import PortalStore, to_microseconds
from tests.benchmarks.building import MEMORY_LIMIT, write_users
from tests.support.companies import load_company_rules, make_company
from tests.support.portals import NOON, make_portal
from tests.support.raw import write_raw

DAYS = 1095
USERS = 80
OPEN_STAGES = ("NEW", "WORK", "OFFER", "TALKS", "AGREED", "PAPERS")
STAGES = (*OPEN_STAGES, "WON", "LOST")
"""Of both pipelines; rows are made with the place in this list, from 1 on."""
WON, LOST = 7, 8
CALLS_OF_A_DEAL = 10
FIRST_TODO = 1_000_000_000
"""Activities below it are those of calls."""
DEALS_OF_A_COMPANY = 25
LONGEST_LIFE_DAYS = 90
NEAR_DAYS = 60
"""A call lies at most so far before or after a deal of its client."""
BEGIN = to_microseconds(NOON) // 1_000_000
DAY = 86_400
CUT = BEGIN + DAYS * DAY
NEW_SHARE = 1000
"""One row of so many is new after a day, one deal of so many has changed."""
LATE_SHARE = 500
"""One deal of so many gets a late row of history."""
SOURCE_KEY = "bitrix24:main"
FIRST_LOAD, SECOND_LOAD, THIRD_LOAD = "1700000000.1", "1800000000.1", "1900000000.1"


def write_company(settings: Settings, deals: int) -> None:
    """A company as its first load leaves it; not built."""
    make_company(settings.data_root.parent, connections=(SOURCE_KEY,))
    settings.make_folders()
    with make_portal(settings.data_root / "portal.sqlite", clock_minutes=DAYS * 24 * 60) as store:
        _write_dictionaries(store)
        with duckdb.connect(str(settings.warehouse)) as connection:
            write_raw(connection, {SOURCE_KEY: store})
    load_company_rules(settings)
    with _opened(settings) as connection:
        # What the load itself writes by SQL has none.
        for (table,) in connection.execute(
            """
            select table_name from duckdb_tables()
            where schema_name = 'raw_bitrix24' and not ends_with(table_name, '_versions')
                and table_name not in ('load_log', 'deleted_records')
            """
        ).fetchall():
            connection.execute(
                f"alter table raw_bitrix24.{table} "
                f"add column _dlt_load_id varchar default '{FIRST_LOAD}'"
            )
        _write_rows(connection, FIRST_LOAD, (0, deals), CUT)


def write_day(settings: Settings, deals: int) -> None:
    """What the load of the next day brings: new records, changed deals, dictionaries read again."""
    cut = CUT + DAY
    new = max(deals // NEW_SHARE, 1)
    with _opened(settings) as connection:
        _write_rows(connection, SECOND_LOAD, (deals, deals + new), cut)
        for statement in (*_changed_deals(new, cut), *_read_again(cut)):
            connection.execute(statement.replace("$load_id", f"'{SECOND_LOAD}'"))
        connection.execute("checkpoint")


def write_late_history(settings: Settings) -> None:
    """Rows of history that a load brings years after; nothing else, and as-of stays."""
    with _opened(settings) as connection:
        connection.execute(
            f"""
            insert into raw_bitrix24.stage_history by name
            select
                source_key, id * 16 + 15 as id, 2 as type_id, id as owner_id,
                date_create + interval 20 hours as created_time, category_id,
                'P' as stage_semantic_id, stage_of(category_id, 3) as stage_id,
                '{{}}'::json as extra, {_instant(CUT + DAY)} as received_at,
                '{THIRD_LOAD}' as _dlt_load_id
            from raw_bitrix24.deals
            -- Half of the deals are that old.
            where
                dice(id, 'late', {LATE_SHARE // 2}) = 0
                and date_create < {_instant(BEGIN + DAYS * DAY // 2)}
            """
        )
        connection.execute("checkpoint")


def _opened(settings: Settings) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(settings.warehouse))
    connection.execute(f"set TimeZone = 'UTC'; set memory_limit = '{MEMORY_LIMIT}'")
    connection.execute(f"set temp_directory = '{settings.temp_dir}'")
    connection.execute("set preserve_insertion_order = false; set threads = 2")
    for macro in _MACROS:
        connection.execute(f"create temp macro {macro}")
    return connection


_MACROS = (
    # A throw of a die with so many sides, the same for the same number and purpose.
    "dice(number, purpose, sides) as (hash(number, purpose) % sides)::bigint",
    # One number in a hundred is that of two contacts.
    "phone_of(contact) as '+79' || lpad("
    "(contact - (dice(contact, 'shared number', 100) = 0)::bigint)::varchar, 9, '0')",
    "stage_of(category, place) as "
    f"case category when 1 then 'C1:' else '' end || {list(STAGES)}[place]",
    f"semantics_of(place) as case place when {WON} then 'S' when {LOST} then 'F' else 'P' end",
)


def _instant(second: int | str) -> str:
    return f"make_timestamptz(({second})::bigint * 1000000)"


def _received(second: str, number: str, cut: int) -> str:
    """SQL: some hours after the row's own instant, not after the cut."""
    return _instant(f"least({second} + 3600 + dice({number}, 'received', {20 * 3600}), {cut})")


def _write_dictionaries(store: PortalStore) -> None:
    """People, and two pipelines of which the portal comes with a few stages."""
    statuses: list[dict[str, Any]] = [
        {
            "ID": 100 * (pipeline + 1) + place,
            "ENTITY_ID": dictionary,
            "STATUS_ID": prefix + stage,
            "NAME": stage.title(),
            "SORT": place * 10,
            "SEMANTICS": {WON: "S", LOST: "F"}.get(place),
        }
        for pipeline, (dictionary, prefix) in enumerate(
            {"DEAL_STAGE": "", "DEAL_STAGE_1": "C1:"}.items()
        )
        for place, stage in enumerate(STAGES, start=1)
        if pipeline or stage not in ("NEW", "WORK", "WON", "LOST")
    ]
    store.insert("status", statuses)
    store.insert("category", [{"ID": 1, "NAME": "Renewals", "SORT": 20, "IS_DEFAULT": 0}])
    write_users(store, USERS)


def _write_rows(
    connection: duckdb.DuckDBPyConnection, load_id: str, deals: tuple[int, int], cut: int
) -> None:
    """Write deals with these numbers (from, until), and as many calls of whomever.

    Those of the first load come in the three years, later ones on the day before the cut.
    """
    made = (*_made_deals(deals, cut), *_made_calls(deals, cut))
    for statement in (*made, *_rows(deals, cut)):
        connection.execute(statement.replace("$load_id", f"'{load_id}'"))
    connection.execute("checkpoint")


def _made_deals(deals: tuple[int, int], cut: int) -> Iterator[str]:
    """SQL: deals with their course, without what comes after the cut."""
    begin = BEGIN if cut == CUT else CUT
    first, until = deals
    open_stages = len(OPEN_STAGES)
    yield f"""
        create temp table made_deals as
        select
            i + 1 as id,
            i // 10 * 4 + [1, 2, 2, 3, 3, 3, 4, 4, 4, 4][i % 10 + 1] as contact_id,
            case when dice(contact_id, 'has company', 20) = 0
                then dice(contact_id, 'company', {until // DEALS_OF_A_COMPANY}) + 1
            end as company_id,
            (dice(i, 'pipeline', 10) < 3)::bigint as category_id,
            dice(i, 'owner', {USERS}) + 1 as owner_id,
            {begin} + dice(i, 'created', {cut - begin - 3600}) as created_second,
            {DAY} + dice(i, 'life', {LONGEST_LIFE_DAYS * DAY}) as life_seconds,
            3 + dice(i, 'rows', 7) as rows_count
        from range({first}, {until}) as numbers(i)
    """
    # Most deals advance, with steps back and jumps; some come back from a lost stage, some move
    # over to the other pipeline, and one in ten stays open.
    yield f"""
        create temp table made_history as
        with steps as (
            select *, unnest(range(rows_count)) as step from made_deals
        ),
        placed as (
            select
                id as deal_id, id * 16 + step as id, step,
                case
                    when dice(id, 'moves over', 30) = 0 and step >= rows_count // 2
                        then 1 - category_id
                    else category_id
                end as category_id,
                created_second + case
                    when step = 0 then 0
                    when step = rows_count - 1 then life_seconds
                    else life_seconds * step // (rows_count - 1)
                        + dice(id * 16 + step, 'moved', life_seconds // (2 * rows_count))
                end as second,
                case
                    when step = 0 then 1
                    when step = rows_count - 1 and dice(id, 'closes', 10) < 9
                        then case when dice(id, 'won', 10) < 3 then {WON} else {LOST} end
                    when step = rows_count - 3 and dice(id, 'comes back', 50) = 0
                        then {LOST}
                    else least({open_stages}, greatest(1,
                        {open_stages} * step // rows_count + dice(id * 16 + step, 'place', 4) - 1
                    ))
                end as place
            from steps
        )
        select * from placed where second <= {cut}
    """


def _made_calls(deals: tuple[int, int], cut: int) -> Iterator[str]:
    """SQL: calls with the deal that they are about."""
    first, until = (number * CALLS_OF_A_DEAL for number in deals)
    if cut == CUT:
        yield "create temp view near_deals as select *, id - 1 as place from made_deals"
        # What would come after the cut came in the days before it.
        second = f"""
            case
                when dice(j, 'starts a deal', 30) = 0
                    then created_second - dice(j, 'before', 1800)
                else created_second - {NEAR_DAYS * DAY}
                    + dice(j, 'called', {2 * NEAR_DAYS * DAY} + life_seconds)
            end as wanted_second,
            case
                when wanted_second > {cut}
                    then {cut} - (wanted_second - {cut}) % {NEAR_DAYS * DAY}
                else wanted_second
            end as second
        """
    else:
        yield f"""
            create temp table near_deals as
            select
                id, contact_id, assigned_by_id as owner_id,
                row_number() over (order by id) - 1 as place
            from raw_bitrix24.deals
            where
                date_create > {_instant(cut - NEAR_DAYS * DAY)}
                or moved_time > {_instant(cut - NEAR_DAYS * DAY)}
                or stage_semantic_id = 'P'
        """
        second = f"{CUT} + dice(j, 'called', {cut - CUT}) as second"
    yield f"""
        create temp table made_calls as
        with numbers as (
            select j, dice(j, 'deal', deals_count) as place
            from range({first}, {until}) as numbers(j)
            cross join (select count(*) as deals_count from near_deals)
        ),
        near as (
            select j, near_deals.*, {second}
            from numbers inner join near_deals on numbers.place = near_deals.place
        ),
        drafted as (
            select
                j + 1 as id, second, id as deal_id, contact_id,
                dice(j, 'kind', 10) as kind,
                case when dice(j, 'own', 10) < 7 then owner_id
                    else dice(j, 'talker', {USERS}) + 1 end as talker_id,
                case when kind = 9
                    then '+78' || lpad(dice(j, 'unknown', {until // 50 + 1})::varchar, 9, '0')
                    else phone_of(contact_id) end as phone_number,
                dice(j, 'direction', 5) < 2 as is_inbound,
                dice(j, 'answered', 10) < 7 as is_answered,
                dice(j, 'talk', 300) + 1 as talk
            from near
        )
        -- Nobody talks to two at once: a talk ends where the talker's next call begins. Of what
        -- begins in the same second (one call in a thousand) both go on.
        select
            * replace (
                least(
                    talk,
                    greatest(
                        coalesce(
                            lead(second) over (partition by talker_id order by second, id) - second,
                            talk
                        ),
                        1
                    )
                ) as talk
            )
        from drafted
    """


def _rows(deals: tuple[int, int], cut: int) -> Iterator[str]:
    """SQL: the rows that deals and calls leave."""
    first, until = (number // DEALS_OF_A_COMPANY + 1 for number in deals)
    source = f"'{SOURCE_KEY}' as source_key"
    written = "'{}'::json as extra, $load_id as _dlt_load_id"
    yield f"""
        insert into raw_bitrix24.deals by name
        with final as (
            select
                deal_id, max(second) as moved_second, arg_max(category_id, step) as category_id,
                arg_max(place, step) as place,
                least(moved_second + dice(deal_id, 'modified', {DAY}), {cut}) as modified_second
            from made_history group by deal_id
        )
        select
            {source}, id, 'Deal ' || id as title, final.category_id,
            stage_of(final.category_id, place) as stage_id,
            semantics_of(place) as stage_semantic_id, false as is_recurring,
            'RUB' as currency_id,
            (1000 + dice(id, 'amount', 900000))::decimal(20, 4) as opportunity,
            case when dice(id, 'names company', 2) = 0 then company_id end as company_id,
            contact_id, owner_id as assigned_by_id,
            case when dice(id, 'form', 4) = 0 then 'WEBFORM' else 'CALL' end as source_id,
            {_instant("created_second")} as begindate,
            {_instant("created_second + life_seconds")} as closedate,
            dice(id, 'creator', {USERS}) + 1 as created_by_id, owner_id as modify_by_id,
            case when dice(id, 'mover', 5) = 0 then dice(id, 'moved by', {USERS}) + 1
                else owner_id end as moved_by_id,
            {_instant("created_second")} as date_create,
            {_instant("modified_second")} as date_modify,
            {_instant("moved_second")} as moved_time,
            {_received("modified_second", "id", cut)} as received_at, {written}
        from made_deals inner join final on made_deals.id = final.deal_id
    """
    yield f"""
        insert into raw_bitrix24.deal_versions by name
        select
            source_key, id, assigned_by_id, moved_by_id, moved_time, modify_by_id, date_modify,
            stage_id, category_id, closedate, opportunity, currency_id,
            {_instant(cut)} as first_seen_at, first_seen_at as last_seen_at
        from raw_bitrix24.deals where _dlt_load_id = $load_id
    """
    yield f"""
        insert into raw_bitrix24.stage_history by name
        select
            {source}, id, case step when 0 then 1 else 2 end as type_id, deal_id as owner_id,
            {_instant("second")} as created_time, category_id,
            semantics_of(place) as stage_semantic_id, stage_of(category_id, place) as stage_id,
            {_received("second", "id", cut)} as received_at, {written}
        from made_history
    """
    yield f"""
        insert into raw_bitrix24.contacts by name
        select
            {source}, contact_id as id, 'Client' as name, contact_id::varchar as last_name,
            min(company_id) as company_id, min(owner_id) as assigned_by_id,
            json_array(json_object('VALUE', phone_of(contact_id))) as phone,
            '[]'::json as email, {_instant("min(created_second)")} as date_create,
            {_instant("min(created_second)")} as date_modify,
            {_received("min(created_second)", "contact_id", cut)} as received_at, {written}
        from made_deals group by contact_id
    """
    begin = BEGIN if cut == CUT else CUT
    yield f"""
        insert into raw_bitrix24.companies by name
        select
            {source}, i as id, 'Company ' || i as title,
            dice(i, 'owner', {USERS}) + 1 as assigned_by_id, '[]'::json as phone,
            '[]'::json as email, {_instant(begin)} as date_create, date_create as date_modify,
            date_create as received_at, {written}
        from range({first}, {until}) as numbers(i)
    """
    yield f"""
        insert into raw_bitrix24.calls by name
        select
            {source}, id, talker_id as portal_user_id, phone_number, 'call-' || id as call_id,
            'external' as call_category,
            case when is_answered then talk else 0 end as call_duration,
            {_instant("second")} as call_start_date,
            case when is_answered then '200' else '304' end as call_failed_code,
            case when is_inbound then 2 else 1 end as call_type,
            case when kind between 3 and 6 then 'CONTACT' end as crm_entity_type,
            case when kind between 3 and 6 then contact_id end as crm_entity_id,
            case when kind < 3 then id end as crm_activity_id,
            {_received("second", "id", cut)} as received_at, {written}
        from made_calls
    """
    yield f"""
        insert into raw_bitrix24.activities by name
        select
            {source}, id, deal_id as owner_id, 2 as owner_type_id, 2 as type_id,
            'VOXIMPLANT_CALL' as provider_id, 'CALL' as provider_type_id, 'Call' as subject,
            {_instant("second")} as created, {_instant("second + talk")} as last_updated,
            {_instant("second")} as start_time, {_instant("second + talk")} as end_time,
            true as completed, talker_id as responsible_id, talker_id as author_id,
            case when is_inbound then 1 else 2 end as direction, 'VI_call-' || id as origin_id,
            {_received("second", "id", cut)} as received_at, {written}
        from made_calls where kind < 3
    """
    yield f"""
        insert into raw_bitrix24.activities by name
        with planned as (
            select
                id, owner_id, created_second + dice(id, 'planned', {DAY}) as second,
                second + {DAY} + dice(id, 'deadline', {10 * DAY}) as deadline_second,
                deadline_second + dice(id, 'done', {2 * DAY}) - {DAY} as done_second,
                done_second <= {cut} as is_done,
                case when is_done then done_second else second end as changed_second
            from made_deals where dice(id, 'has to-do', 5) = 0
        )
        select
            {source}, {FIRST_TODO} + id as id, id as owner_id, 2 as owner_type_id, 6 as type_id,
            'CRM_TODO' as provider_id, 'TODO' as provider_type_id, 'Call back' as subject,
            {_instant("second")} as created, {_instant("changed_second")} as last_updated,
            {_instant("deadline_second")} as deadline, is_done as completed,
            owner_id as responsible_id, owner_id as author_id,
            {_received("changed_second", "id", cut)} as received_at, {written}
        from planned where second <= {cut}
    """
    yield f"""
        insert into raw_bitrix24.activity_versions by name
        select
            source_key, id, deadline, completed, responsible_id,
            {_instant(cut)} as first_seen_at, first_seen_at as last_seen_at
        from raw_bitrix24.activities where not completed and _dlt_load_id = $load_id
    """
    yield f"""
        insert into raw_bitrix24.timeline_comments by name
        select
            {source}, id, 'deal' as entity_type, id as entity_id, owner_id as author_id,
            {_instant("created_second + 3000")} as created, 'Wants an offer by Friday.' as comment,
            {_received("created_second + 3000", "id", cut)} as received_at, {written}
        from made_deals where dice(id, 'has comment', 10) = 0
    """
    yield """
        insert into raw_bitrix24.detail_reads by name
        select
            source_key, 'timeline_comments' as entity, 'deal' as owner_type,
            entity_id as owner_id, received_at as read_at, 1 as rows_received, _dlt_load_id
        from raw_bitrix24.timeline_comments where _dlt_load_id = $load_id
    """
    yield """
        insert into raw_derived.phone_numbers by name
        select
            phone_number as raw_text, 'RU' as region, 'bench' as library_version,
            raw_text as phone_e164
        from (
            select phone_number from made_calls
            union
            select phone_of(contact_id) from made_deals
        )
        where phone_number not in (select raw_text from raw_derived.phone_numbers)
    """


def _changed_deals(deals: int, cut: int) -> Iterator[str]:
    """SQL: open deals, so many, that moved on the day and were lost, in three steps."""
    yield f"""
        create temp table moved_deals as
        select id, category_id, {CUT} + dice(id, 'moves', {DAY - 7200}) as second
        from raw_bitrix24.deals
        where stage_semantic_id = 'P' and _dlt_load_id = '{FIRST_LOAD}'
        order by hash(id) limit {deals}
    """
    yield f"""
        insert into raw_bitrix24.stage_history by name
        select
            '{SOURCE_KEY}' as source_key, id * 16 + 10 + step as id, 2 as type_id, id as owner_id,
            {_instant("second + 1800 * step")} as created_time, category_id,
            semantics_of(place) as stage_semantic_id, stage_of(category_id, place) as stage_id,
            '{{}}'::json as extra, {_instant(cut)} as received_at, $load_id as _dlt_load_id
        from moved_deals
        cross join (values (0, 2), (1, 5), (2, {LOST})) as steps(step, place)
    """
    yield f"""
        update raw_bitrix24.deals as deals
        set stage_id = stage_of(deals.category_id, {LOST}), stage_semantic_id = 'F',
            moved_time = {_instant("moved_deals.second + 3600")},
            date_modify = {_instant("moved_deals.second + 3600")},
            received_at = {_instant(cut)}, _dlt_load_id = $load_id
        from moved_deals where deals.id = moved_deals.id
    """
    yield f"""
        insert into raw_bitrix24.deal_versions by name
        select
            source_key, id, assigned_by_id, moved_by_id, moved_time, modify_by_id, date_modify,
            stage_id, category_id, closedate, opportunity, currency_id,
            {_instant(cut)} as first_seen_at, first_seen_at as last_seen_at
        from raw_bitrix24.deals where id in (select id from moved_deals)
    """


def _read_again(cut: int) -> Iterator[str]:
    """SQL: dictionaries as every load reads them, and the log of the load."""
    for table in ("users", "departments", "categories", "statuses", "currencies"):
        yield (
            f"update raw_bitrix24.{table} set received_at = {_instant(cut)}, "
            "_dlt_load_id = $load_id"
        )
    for table in ("user", "department", "category", "status"):
        yield f"update raw_bitrix24.{table}_versions set last_seen_at = {_instant(cut)}"
    yield f"""
        insert into raw_bitrix24.load_log
        select * replace ({_instant(cut)} as cut_at, {_instant(cut)} as complete_up_to)
        from raw_bitrix24.load_log where cut_at = {_instant(CUT)}
    """
