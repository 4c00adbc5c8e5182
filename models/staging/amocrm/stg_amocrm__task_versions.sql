with source as (
    select * from {{ source('raw_amocrm', 'task_versions') }}
)

select
    source_key,
    id as task_id,
    {{ utc('complete_till') }} as deadline_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
