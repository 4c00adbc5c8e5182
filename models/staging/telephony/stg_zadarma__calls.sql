with source as (
    select * from {{ source('raw_telephony', 'zadarma_calls') }}
)

select
    source_key,
    row_key as leg_id,
    coalesce(nullif(pbx_call_id, ''), nullif(call_id, ''), row_key) as call_id,
    nullif(call_id, '') as recording_id,
    nullif(sip, '') as extension,
    {{ utc('callstart') }} as started_at,
    nullif(clid, '') as caller,
    nullif(destination, '') as destination,
    lower(disposition) as result_code,
    seconds as total_seconds,
    {{ utc('received_at') }} as received_at
from source
