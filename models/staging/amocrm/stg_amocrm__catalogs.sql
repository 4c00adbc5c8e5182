with source as (
    select * from {{ source('raw_amocrm', 'catalogs') }}
)

select
    source_key,
    id as catalog_id,
    name as catalog_name,
    type as catalog_type,
    {{ utc('received_at') }} as received_at
from source
