with source as (
    select * from {{ source('raw_amocrm', 'tasks') }}
)

select
    source_key,
    id as task_id,
    nullif(entity_id, 0) as entity_id,
    entity_type,
    task_type_id,
    text as title,
    nullif(responsible_user_id, 0) as owner_id,
    nullif(group_id, 0) as group_id,
    nullif(created_by, 0) as created_by_id,
    nullif(updated_by, 0) as modified_by_id,
    {{ utc('created_at') }} as created_at,
    {{ utc('updated_at') }} as modified_at,
    coalesce(is_completed, false) as is_completed,
    {{ utc('complete_till') }} as deadline_at,
    {{ utc('received_at') }} as received_at
from source
