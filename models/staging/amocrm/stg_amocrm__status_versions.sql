with source as (
    select * from {{ source('raw_amocrm', 'status_versions') }}
)

select
    source_key,
    pipeline_id,
    id as status_id,
    name as status_name,
    sort as status_sort,
    coalesce(type, 0) as status_type,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
