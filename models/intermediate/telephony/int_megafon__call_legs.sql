-- Rows of the history in the normal form of legs. A type may be `missed`, or a call without talk.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_megafon__calls') }}
)

select
    source_key,
    leg_id,
    call_id,
    null::varchar as link_id,
    0::bigint as leg_order,
    case call_type when 'in' then 'inbound' when 'missed' then 'inbound' when 'out' then 'outbound'
    end as direction,
    started_at,
    (greatest(coalesce(wait_seconds, 0), 0) + greatest(coalesce(talk_seconds, 0), 0))::bigint
        as total_seconds,
    greatest(coalesce(talk_seconds, 0), 0)::bigint as talk_seconds,
    'talk' as talk_basis,
    case
        when call_type in ('in', 'out', 'missed') and coalesce(talk_seconds, 0) <= 0 then 'missed'
        else call_type
    end as result_code,
    null::varchar as told_result,
    client_phone,
    line,
    account_name as extension,
    account_name as talker_name,
    recording_url,
    'calls' as entity,
    received_at
from calls
