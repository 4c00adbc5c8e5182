with source as (
    select * from {{ source('raw_telephony', 'ringostat_calls') }}
)

select
    source_key,
    uniqueid as call_id,
    lower(call_type) as call_type,
    {{ utc('calldate') }} as started_at,
    coalesce(nullif(caller_number, ''), nullif(caller, '')) as caller,
    nullif(dst, '') as dst,
    upper(disposition) as result_code,
    billsec as talk_seconds,
    waittime as wait_seconds,
    duration as total_seconds,
    nullif(employee_fio, '') as talker_name,
    nullif(employee_number, '') as extension,
    nullif(additional_number, '') as additional_number,
    nullif(recording, '') as recording_url,
    {{ utc('received_at') }} as received_at
from source
