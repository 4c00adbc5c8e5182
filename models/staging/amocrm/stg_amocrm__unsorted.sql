with source as (
    select * from {{ source('raw_amocrm', 'unsorted') }}
)

select
    source_key,
    uid as unsorted_id,
    category,
    source_name,
    pipeline_id,
    {{ utc('created_at') }} as created_at,
    metadata,
    leads,
    contacts,
    companies,
    {{ utc('received_at') }} as received_at
from source
