with source as (
    select * from {{ source('raw_bitrix24', 'custom_field_options') }}
)

select
    source_key,
    entity_type,
    field as custom_field,
    option_id,
    nullif(label, '') as option_label,
    {{ utc('received_at') }} as received_at
from source
