-- Rows of calls that no id pairs: what is left of both sides where the other side has the same
-- connection, number and direction at all. A callback order counts as outbound.
{{ config(materialized='affected_keys', affected_by=['row_key']) }}

with crm_calls as (
    select * from {{ ref('int_crm_calls') }}
    where is_external and phone_e164 is not null and direction is not null
),

pbx_calls as (
    select * from {{ ref('int_pbx_calls') }}
    where is_external and phone_e164 is not null and crm_source_key is not null
),

by_id as (
    select * from {{ ref('int_calls_paired_by_id') }}
),

rows_of_both as (
    select
        'crm' as side,
        crm_calls.call_key as row_key,
        {{ hash_key([
            'crm_calls.source_key', 'crm_calls.phone_e164', 'crm_calls.direction'
        ]) }} as pair_group,
        {{ epoch_second('crm_calls.started_at') }} as started_second,
        '' as pbx_source_key,
        crm_calls.id_order,
        '' as text_order
    from crm_calls
    left join by_id
        on crm_calls.call_key = by_id.call_key
    where by_id.call_key is null
    union all
    select
        'pbx' as side,
        pbx_calls.pbx_call_key as row_key,
        {{ hash_key([
            'pbx_calls.crm_source_key', 'pbx_calls.phone_e164', 'pbx_calls.direction'
        ]) }} as pair_group,
        {{ epoch_second('pbx_calls.started_at') }} as started_second,
        pbx_calls.source_key as pbx_source_key,
        -- Ids of telephony are texts; the shorter first, so that 999 comes before 1000.
        length(pbx_calls.pbx_call_id) as id_order,
        pbx_calls.pbx_call_id as text_order
    from pbx_calls
    left join by_id
        on pbx_calls.pbx_call_key = by_id.pbx_call_key
    where by_id.pbx_call_key is null
),

-- Numbers that only one side knows have no twin.
shared_groups as (
    select pair_group
    from rows_of_both
    group by pair_group
    having min(side) <> max(side)
),

shared_rows as (
    select rows_of_both.*
    from rows_of_both
    inner join shared_groups
        on rows_of_both.pair_group = shared_groups.pair_group
),

-- Ids decide between rows of one second only. Those are few: sorting all rows by ids, most of them
-- texts, took 37 s of 18 million rows, by whole numbers alone 8 s.
crowded_seconds as (
    select
        side,
        pair_group,
        started_second
    from shared_rows
    group by side, pair_group, started_second
    having count(*) > 1
),

ordered_rows as (
    select
        shared_rows.side,
        shared_rows.row_key,
        row_number() over (
            partition by shared_rows.side, shared_rows.pair_group, shared_rows.started_second
            order by
                shared_rows.pbx_source_key, shared_rows.id_order, shared_rows.text_order
        ) as row_order
    from shared_rows
    inner join crowded_seconds
        on shared_rows.side = crowded_seconds.side
        and shared_rows.pair_group = crowded_seconds.pair_group
        and shared_rows.started_second = crowded_seconds.started_second
)

select
    shared_rows.side,
    shared_rows.row_key,
    shared_rows.pair_group,
    shared_rows.started_second,
    coalesce(ordered_rows.row_order, 1) as row_order
from shared_rows
left join ordered_rows
    on shared_rows.side = ordered_rows.side
    and shared_rows.row_key = ordered_rows.row_key
