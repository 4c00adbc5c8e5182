with source as (
    select * from {{ source('raw_bitrix24', 'activities') }}
)

select
    source_key,
    id as activity_id,
    type_id as activity_type,
    owner_type_id as owner_entity_type,
    nullif(owner_id, 0) as owner_entity_id,
    {{ utc('start_time') }} as started_at,
    nullif(responsible_id, 0) as responsible_id,
    coalesce(completed, false) as is_completed,
    {{ utc('received_at') }} as received_at
from source
