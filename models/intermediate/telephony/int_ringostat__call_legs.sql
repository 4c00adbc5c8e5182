-- Calls of the log in the normal form of legs: each is a call of one leg. A callback is outbound.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_ringostat__calls') }}
),

directed as (
    select
        *,
        case
            when call_type in ('out', 'outbound', 'callback') then 'outbound'
            when call_type in ('in', 'inbound') then 'inbound'
            when call_type = 'internal' then 'internal'
        end as direction
    from calls
)

select
    source_key,
    call_id as leg_id,
    call_id,
    null::varchar as link_id,
    0::bigint as leg_order,
    direction,
    started_at,
    greatest(
        coalesce(total_seconds, coalesce(wait_seconds, 0) + coalesce(talk_seconds, 0)), 0
    )::bigint as total_seconds,
    greatest(coalesce(talk_seconds, 0), 0)::bigint as talk_seconds,
    'talk' as talk_basis,
    result_code,
    null::varchar as told_result,
    case direction when 'inbound' then caller when 'outbound' then dst end as client_phone,
    case direction when 'inbound' then dst end as line,
    coalesce(extension, additional_number) as extension,
    talker_name,
    recording_url,
    'calls' as entity,
    received_at
from directed
