with source as (
    select * from {{ source('raw_amocrm', 'custom_field_enums') }}
)

select
    source_key,
    entity_type,
    field_id,
    id as option_id,
    nullif(value, '') as option_label,
    {{ utc('received_at') }} as received_at
from source
