with source as (
    select * from {{ source('raw_amocrm', 'catalog_elements') }}
)

select
    source_key,
    catalog_id,
    id as element_id,
    name as element_name,
    coalesce(is_deleted, false) as is_deleted,
    {{ utc('created_at') }} as created_at,
    {{ utc('updated_at') }} as modified_at,
    custom_fields_values as custom_fields,
    {{ utc('received_at') }} as received_at
from source
