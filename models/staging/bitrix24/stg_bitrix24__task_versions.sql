with source as (
    select * from {{ source('raw_bitrix24', 'task_versions') }}
)

select
    source_key,
    id as task_id,
    status as task_status,
    nullif(responsible_id, 0) as responsible_id,
    {{ utc('deadline') }} as deadline_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
