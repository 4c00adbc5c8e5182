with source as (
    select * from {{ source('raw_amocrm', 'loss_reasons') }}
)

select
    source_key,
    id as loss_reason_id,
    name as loss_reason_name,
    sort as loss_reason_sort,
    {{ utc('received_at') }} as received_at
from source
