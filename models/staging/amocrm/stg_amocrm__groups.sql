with source as (
    select * from {{ source('raw_amocrm', 'groups') }}
)

select
    source_key,
    id as group_id,
    name as group_name,
    {{ utc('received_at') }} as received_at
from source
