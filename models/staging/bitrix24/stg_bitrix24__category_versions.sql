with source as (
    select * from {{ source('raw_bitrix24', 'category_versions') }}
)

select
    source_key,
    entity_type_id,
    id as pipeline_id,
    name as pipeline_name,
    sort as pipeline_sort,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
