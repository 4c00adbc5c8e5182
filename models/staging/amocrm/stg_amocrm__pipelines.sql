with source as (
    select * from {{ source('raw_amocrm', 'pipelines') }}
)

select
    source_key,
    id as pipeline_id,
    name as pipeline_name,
    sort as pipeline_sort,
    coalesce(is_main, false) as is_main,
    coalesce(is_archive, false) as is_archived,
    {{ utc('received_at') }} as received_at
from source
