with source as (
    select * from {{ source('raw_telephony', 'uis_call_legs') }}
)

select
    source_key,
    id as leg_id,
    call_session_id as call_id,
    {{ utc('start_time') }} as started_at,
    {{ utc('connect_time') }} as connected_at,
    duration as talk_seconds,
    total_duration as total_seconds,
    finish_reason,
    direction,
    nullif(called_phone_number, '') as called_phone_number,
    nullif(employee_phone_number, '') as extension,
    nullif(employee_full_name, '') as talker_name,
    coalesce(is_operator, false) as is_operator,
    coalesce(is_coach, false) as is_coach,
    coalesce(is_talked, false) as is_talked,
    call_records,
    {{ utc('received_at') }} as received_at
from source
