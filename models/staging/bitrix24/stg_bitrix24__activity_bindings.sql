with source as (
    select * from {{ source('raw_bitrix24', 'activity_bindings') }}
)

select
    source_key,
    activity_id,
    entity_type_id,
    entity_id,
    {{ utc('received_at') }} as received_at
from source
