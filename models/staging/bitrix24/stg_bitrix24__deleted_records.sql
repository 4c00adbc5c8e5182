with source as (
    select * from {{ source('raw_bitrix24', 'deleted_records') }}
)

select
    source_key,
    entity,
    id as record_id,
    {{ utc('noticed_at') }} as noticed_at
from source
