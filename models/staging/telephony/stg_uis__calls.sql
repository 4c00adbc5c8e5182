with source as (
    select * from {{ source('raw_telephony', 'uis_calls') }}
)

select
    source_key,
    id as call_id,
    {{ utc('start_time') }} as started_at,
    direction,
    is_lost,
    communication_id,
    nullif(contact_phone_number, '') as client_phone,
    nullif(virtual_phone_number, '') as line,
    talk_duration as talk_seconds,
    total_duration as total_seconds,
    finish_reason,
    employees,
    call_records,
    nullif(call_api_external_id, '') as link_id,
    {{ utc('received_at') }} as received_at
from source
