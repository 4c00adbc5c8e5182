-- Calls of all CRM systems, one row each.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_bitrix24__calls') }}
    union all
    select * from {{ ref('int_amocrm__calls') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

phone_numbers as (
    select * from {{ ref('stg_derived__phone_numbers') }}
)

select
    calls.call_key,
    calls.source_key,
    calls.call_id,
    calls.id_order,
    calls.system_call_id,
    calls.started_at,
    calls.direction,
    calls.is_external,
    calls.call_result,
    calls.is_answered,
    calls.total_seconds,
    connections.talk_basis,
    calls.talker_id,
    calls.talker_basis,
    calls.line,
    phone_numbers.phone_e164,
    calls.recording_url,
    calls.entity
from calls
inner join connections
    on calls.source_key = connections.source_key
left join phone_numbers
    on calls.phone = phone_numbers.phone
    and connections.phone_region = phone_numbers.phone_region
