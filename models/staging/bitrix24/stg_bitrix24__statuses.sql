with source as (
    select * from {{ source('raw_bitrix24', 'statuses') }}
)

select
    source_key,
    entity_id as dictionary,
    status_id,
    name as status_name,
    sort as status_sort,
    semantics as semantics_code,
    {{ utc('received_at') }} as received_at
from source
