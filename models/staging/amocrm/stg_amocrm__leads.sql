with source as (
    select * from {{ source('raw_amocrm', 'leads') }}
)

select
    source_key,
    id as lead_id,
    name as title,
    pipeline_id,
    status_id,
    price::decimal(18, 2) as amount,
    nullif(responsible_user_id, 0) as owner_id,
    nullif(group_id, 0) as group_id,
    nullif(created_by, 0) as created_by_id,
    nullif(updated_by, 0) as modified_by_id,
    {{ utc('created_at') }} as created_at,
    {{ utc('updated_at') }} as modified_at,
    {{ utc('closed_at') }} as closed_at,
    nullif(loss_reason_id, 0) as loss_reason_id,
    nullif(source_id, 0) as source_id,
    coalesce(is_deleted, false) as is_deleted,
    custom_fields_values as custom_fields,
    tags,
    contacts,
    companies,
    catalog_elements,
    {{ utc('received_at') }} as received_at
from source
