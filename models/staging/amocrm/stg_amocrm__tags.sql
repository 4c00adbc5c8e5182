with source as (
    select * from {{ source('raw_amocrm', 'tags') }}
)

select
    source_key,
    entity_type,
    id as tag_id,
    name as tag_name,
    {{ utc('received_at') }} as received_at
from source
