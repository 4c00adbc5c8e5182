with source as (
    select * from {{ source('raw_bitrix24', 'smart_item_versions') }}
)

select
    source_key,
    entity_type_id,
    id as item_id,
    stage_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(moved_by, 0) as moved_by_id,
    {{ utc('moved_time') }} as moved_at,
    nullif(updated_by, 0) as modified_by_id,
    {{ utc('updated_time') }} as modified_at,
    {{ utc('closedate') }} as planned_close_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
