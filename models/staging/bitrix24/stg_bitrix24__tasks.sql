with source as (
    select * from {{ source('raw_bitrix24', 'tasks') }}
)

select
    source_key,
    id as task_id,
    title,
    status as task_status,
    priority,
    nullif(created_by, 0) as created_by_id,
    nullif(responsible_id, 0) as responsible_id,
    nullif(closed_by, 0) as closed_by_id,
    {{ utc('created_date') }} as created_at,
    {{ utc('changed_date') }} as modified_at,
    {{ utc('date_start') }} as started_at,
    {{ utc('deadline') }} as deadline_at,
    {{ utc('start_date_plan') }} as planned_start_at,
    {{ utc('end_date_plan') }} as planned_end_at,
    {{ utc('closed_date') }} as closed_at,
    nullif(group_id, 0) as group_id,
    nullif(parent_id, 0) as parent_task_id,
    uf_crm_task as bound_cards,
    {{ utc('received_at') }} as received_at
from source
