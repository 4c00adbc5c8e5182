-- Rows of the statistics in the normal form of legs; a `pbx_call_id` is one call, and begins with
-- its direction. Where it does not, a short destination is an extension.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_zadarma__calls') }}
),

directed as (
    select
        *,
        case
            when call_id like 'in\_%' escape '\' then 'inbound'
            when call_id like 'out\_%' escape '\' then 'outbound'
            when length(destination) > 5 then 'outbound'
            when length(caller) > 5 then 'inbound'
            else 'internal'
        end as direction
    from calls
)

select
    source_key,
    leg_id,
    call_id,
    recording_id as link_id,
    0::bigint as leg_order,
    direction,
    started_at,
    greatest(coalesce(total_seconds, 0), 0)::bigint as total_seconds,
    greatest(coalesce(total_seconds, 0), 0)::bigint as talk_seconds,
    'total' as talk_basis,
    result_code,
    null::varchar as told_result,
    case direction when 'inbound' then caller when 'outbound' then destination end as client_phone,
    null::varchar as line,
    coalesce(
        extension,
        case when direction <> 'outbound' and length(destination) <= 5 then destination end
    ) as extension,
    null::varchar as talker_name,
    null::varchar as recording_url,
    'calls' as entity,
    received_at
from directed
