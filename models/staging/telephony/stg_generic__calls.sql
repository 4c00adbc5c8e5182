with source as (
    select * from {{ source('raw_telephony', 'generic_calls') }}
)

select
    source_key,
    id as call_id,
    nullif(link_id, '') as link_id,
    {{ utc('started_at') }} as started_at,
    nullif(direction, '') as direction,
    nullif(result, '') as result_code,
    nullif(client_phone, '') as client_phone,
    nullif(line, '') as line,
    nullif(extension, '') as extension,
    nullif(talker_name, '') as talker_name,
    wait_seconds,
    talk_seconds,
    total_seconds,
    nullif(recording_url, '') as recording_url,
    {{ utc('received_at') }} as received_at
from source
