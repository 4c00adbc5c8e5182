with source as (
    select * from {{ source('raw_amocrm', 'user_versions') }}
)

select
    source_key,
    id as employee_id,
    trim(name) as employee_name,
    coalesce(is_active, true) as is_active,
    nullif(group_id, 0) as group_id,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
