with source as (
    select * from {{ source('raw_amocrm', 'pipeline_versions') }}
)

select
    source_key,
    id as pipeline_id,
    name as pipeline_name,
    sort as pipeline_sort,
    coalesce(is_main, false) as is_main,
    coalesce(is_archive, false) as is_archived,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
