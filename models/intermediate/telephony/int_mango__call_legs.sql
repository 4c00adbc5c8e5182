-- Rows of the statistics in the normal form of legs; rows of one entry are one call. Who has an
-- extension is inside; nobody has answered where there is no time of it.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_mango__calls') }}
),

directed as (
    select
        *,
        case
            when from_extension is null and to_extension is null then null
            when from_extension is null then 'inbound'
            when to_extension is null then 'outbound'
            else 'internal'
        end as direction
    from calls
)

select
    source_key,
    leg_id,
    call_id,
    null::varchar as link_id,
    0::bigint as leg_order,
    direction,
    started_at,
    greatest(
        coalesce({{ seconds_between('started_at', 'finished_at') }}, 0), 0
    )::bigint as total_seconds,
    greatest(
        coalesce({{ seconds_between('answered_at', 'finished_at') }}, 0), 0
    )::bigint as talk_seconds,
    'talk' as talk_basis,
    case when answered_at is null then 'missed' else 'answered' end as result_code,
    null::varchar as told_result,
    case direction when 'outbound' then to_number else from_number end as client_phone,
    line,
    coalesce(case direction when 'inbound' then to_extension end, from_extension, to_extension)
        as extension,
    null::varchar as talker_name,
    null::varchar as recording_url,
    'calls' as entity,
    received_at
from directed
