with source as (
    select * from {{ source('raw_telephony', 'megafon_calls') }}
)

select
    source_key,
    row_key as leg_id,
    uid as call_id,
    lower(type) as call_type,
    nullif(client, '') as client_phone,
    nullif(account, '') as account_name,
    nullif(via, '') as line,
    {{ utc('start') }} as started_at,
    wait as wait_seconds,
    duration as talk_seconds,
    nullif(record, '') as recording_url,
    {{ utc('received_at') }} as received_at
from source
