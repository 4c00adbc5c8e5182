with source as (
    select * from {{ source('raw_amocrm', 'statuses') }}
)

select
    source_key,
    pipeline_id,
    id as status_id,
    name as status_name,
    sort as status_sort,
    coalesce(type, 0) as status_type,
    {{ utc('received_at') }} as received_at
from source
