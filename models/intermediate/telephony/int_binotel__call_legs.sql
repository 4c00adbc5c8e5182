-- Calls in the normal form of legs: each is a call of one leg.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_binotel__calls') }}
)

select
    source_key,
    call_id as leg_id,
    call_id,
    link_id,
    0::bigint as leg_order,
    case call_type when 0 then 'inbound' when 1 then 'outbound' end as direction,
    started_at,
    (greatest(coalesce(wait_seconds, 0), 0) + greatest(coalesce(talk_seconds, 0), 0))::bigint
        as total_seconds,
    greatest(coalesce(talk_seconds, 0), 0)::bigint as talk_seconds,
    'talk' as talk_basis,
    result_code,
    null::varchar as told_result,
    client_phone,
    line,
    extension,
    talker_name,
    null::varchar as recording_url,
    'calls' as entity,
    received_at
from calls
