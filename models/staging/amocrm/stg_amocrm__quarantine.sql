with source as (
    select * from {{ source('raw_amocrm', 'quarantine') }}
)

select
    source_key,
    entity,
    payload_hash,
    record_id,
    reason,
    {{ utc('received_at') }} as received_at
from source
