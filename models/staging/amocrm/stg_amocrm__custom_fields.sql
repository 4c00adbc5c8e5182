with source as (
    select * from {{ source('raw_amocrm', 'custom_fields') }}
)

select
    source_key,
    entity_type,
    id as field_id,
    nullif(code, '') as field_code,
    type as field_kind,
    name as field_label,
    {{ utc('received_at') }} as received_at
from source
