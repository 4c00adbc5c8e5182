with source as (
    select * from {{ source('raw_bitrix24', 'activity_versions') }}
)

select
    source_key,
    id as activity_id,
    status as activity_status,
    coalesce(completed, false) as is_completed,
    nullif(responsible_id, 0) as responsible_id,
    {{ utc('deadline') }} as deadline_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
