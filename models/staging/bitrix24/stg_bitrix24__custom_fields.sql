with source as (
    select * from {{ source('raw_bitrix24', 'custom_fields') }}
)

select
    source_key,
    entity_type,
    field as custom_field,
    kind as field_kind,
    label as field_label,
    coalesce(is_multiple, false) as is_multiple,
    {{ utc('received_at') }} as received_at
from source
