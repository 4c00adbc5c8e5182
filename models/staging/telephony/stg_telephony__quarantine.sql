with source as (
    select * from {{ source('raw_telephony', 'quarantine') }}
)

select
    source_key,
    entity,
    payload_hash,
    record_id,
    reason,
    {{ utc('received_at') }} as received_at
from source
