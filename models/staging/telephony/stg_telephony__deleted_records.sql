with source as (
    select * from {{ source('raw_telephony', 'deleted_records') }}
)

select
    source_key,
    entity,
    id as record_id,
    {{ utc('noticed_at') }} as noticed_at
from source
