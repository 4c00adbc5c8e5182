with source as (
    select * from {{ source('raw_telephony', 'mango_calls') }}
)

select
    source_key,
    row_key as leg_id,
    entry_id as call_id,
    {{ utc('start') }} as started_at,
    {{ utc('answer') }} as answered_at,
    {{ utc('finish') }} as finished_at,
    nullif(from_extension, '') as from_extension,
    nullif(from_number, '') as from_number,
    nullif(to_extension, '') as to_extension,
    nullif(to_number, '') as to_number,
    nullif(line_number, '') as line,
    nullif(disconnect_reason, '') as disconnect_reason,
    records,
    {{ utc('received_at') }} as received_at
from source
