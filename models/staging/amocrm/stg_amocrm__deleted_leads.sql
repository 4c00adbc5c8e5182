with source as (
    select * from {{ source('raw_amocrm', 'deleted_leads') }}
)

select
    source_key,
    id as lead_id,
    {{ utc('updated_at') }} as deleted_at,
    {{ utc('received_at') }} as received_at
from source
