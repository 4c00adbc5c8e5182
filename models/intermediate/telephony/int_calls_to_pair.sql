-- Rows of calls that no id pairs: what is left of both sides where the other side has the same
-- connection, number and direction at all. A callback order counts as outbound.
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
        crm_calls.source_key as crm_source_key,
        crm_calls.phone_e164,
        crm_calls.direction,
        crm_calls.started_at,
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
        pbx_calls.crm_source_key,
        pbx_calls.phone_e164,
        pbx_calls.direction,
        pbx_calls.started_at,
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
    select
        crm_source_key,
        phone_e164,
        direction
    from rows_of_both
    group by crm_source_key, phone_e164, direction
    having count(distinct side) = 2
)

select
    rows_of_both.side,
    rows_of_both.row_key,
    {{ hash_key([
        'rows_of_both.crm_source_key', 'rows_of_both.phone_e164', 'rows_of_both.direction'
    ]) }} as pair_group,
    {{ epoch_second('rows_of_both.started_at') }} as started_second,
    row_number() over (
        partition by rows_of_both.side
        order by
            rows_of_both.crm_source_key, rows_of_both.pbx_source_key, rows_of_both.id_order,
            rows_of_both.text_order
    ) as row_order
from rows_of_both
inner join shared_groups
    on rows_of_both.crm_source_key = shared_groups.crm_source_key
    and rows_of_both.phone_e164 = shared_groups.phone_e164
    and rows_of_both.direction = shared_groups.direction
