-- Calls of all systems, one row each, with talker, client's number and thresholds applied.
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
),

rules as (
    select * from {{ ref('stg_company__rules') }}
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
    case when calls.is_answered then calls.total_seconds else 0 end as talk_seconds,
    calls.total_seconds,
    connections.talk_basis,
    calls.is_answered and calls.total_seconds >= rules.successful_call_seconds as is_successful,
    case
        when calls.talker_id is not null
            then {{ hash_key(['calls.source_key', 'calls.talker_id']) }}
    end as talker_employee_key,
    calls.talker_basis,
    calls.line,
    phone_numbers.phone_e164,
    calls.recording_url,
    calls.entity
from calls
cross join rules
inner join connections
    on calls.source_key = connections.source_key
left join phone_numbers
    on calls.phone = phone_numbers.phone
    and connections.phone_region = phone_numbers.phone_region
