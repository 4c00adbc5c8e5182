with source as (
    select * from {{ source('raw_amocrm', 'notes') }}
)

select
    source_key,
    entity_type,
    id as note_id,
    entity_id,
    note_type,
    nullif(responsible_user_id, 0) as owner_id,
    nullif(group_id, 0) as group_id,
    nullif(created_by, 0) as created_by_id,
    nullif(updated_by, 0) as modified_by_id,
    {{ utc('created_at') }} as created_at,
    {{ utc('updated_at') }} as modified_at,
    params,
    {{ utc('received_at') }} as received_at
from source
