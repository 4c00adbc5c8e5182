with source as (
    select * from {{ source('raw_bitrix24', 'activities') }}
)

select
    source_key,
    id as activity_id,
    type_id as activity_type,
    nullif(provider_id, '') as provider_id,
    nullif(provider_type_id, '') as provider_type,
    owner_type_id as owner_entity_type,
    nullif(owner_id, 0) as owner_entity_id,
    direction as direction_code,
    subject,
    status as activity_status,
    priority,
    coalesce(completed, false) as is_completed,
    nullif(responsible_id, 0) as responsible_id,
    nullif(author_id, 0) as created_by_id,
    nullif(editor_id, 0) as modified_by_id,
    {{ utc('created') }} as created_at,
    {{ utc('last_updated') }} as modified_at,
    {{ utc('start_time') }} as started_at,
    {{ utc('end_time') }} as ended_at,
    {{ utc('deadline') }} as deadline_at,
    origin_id,
    {{ utc('received_at') }} as received_at
from source
