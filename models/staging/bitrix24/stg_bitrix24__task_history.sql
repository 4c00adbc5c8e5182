with source as (
    select * from {{ source('raw_bitrix24', 'task_history') }}
)

select
    source_key,
    id as history_id,
    task_id,
    {{ utc('created_date') }} as changed_at,
    field as changed_field,
    value_from,
    value_to,
    nullif(user_id, 0) as changed_by_id,
    {{ utc('received_at') }} as received_at
from source
