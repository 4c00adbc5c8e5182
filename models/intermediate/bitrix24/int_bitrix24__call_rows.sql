-- The portal's call rows up to the cut, with the call each belongs to: one CALL_ID on several rows
-- is one call, represented by its lowest id.
{{ config(materialized='affected_keys', affected_nodes=node('call', 'call_id')) }}

with calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

present as (
    select calls.*
    from calls
    inner join connections
        on calls.source_key = connections.source_key
    where
        calls.started_at <= connections.as_of_at
        and calls.started_at <= calls.received_at
),

grouped as (
    select
        *,
        case
            when system_call_id is null then call_id
            else min(call_id) over (partition by source_key, system_call_id)
        end as representative_id
    from present
)

select
    grouped.*,
    {{ hash_key(['source_key', 'representative_id']) }} as call_key
from grouped
