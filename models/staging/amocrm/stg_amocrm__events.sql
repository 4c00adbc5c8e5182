with source as (
    select * from {{ source('raw_amocrm', 'events') }}
)

select
    source_key,
    id as event_id,
    type as event_type,
    entity_type,
    entity_id,
    nullif(created_by, 0) as created_by_id,
    {{ utc('created_at') }} as created_at,
    value_after,
    value_before,
    {{ utc('received_at') }} as received_at
from source
