with source as (
    select * from {{ source('raw_bitrix24', 'categories') }}
)

select
    source_key,
    entity_type_id,
    id as pipeline_id,
    name as pipeline_name,
    sort as pipeline_sort,
    coalesce(is_default, false) as is_default,
    {{ utc('received_at') }} as received_at
from source
