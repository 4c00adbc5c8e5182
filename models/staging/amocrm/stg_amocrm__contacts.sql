with source as (
    select * from {{ source('raw_amocrm', 'contacts') }}
)

select
    source_key,
    id as contact_id,
    trim(name) as contact_name,
    nullif(responsible_user_id, 0) as owner_id,
    nullif(group_id, 0) as group_id,
    nullif(created_by, 0) as created_by_id,
    nullif(updated_by, 0) as modified_by_id,
    {{ utc('created_at') }} as created_at,
    {{ utc('updated_at') }} as modified_at,
    coalesce(is_deleted, false) as is_deleted,
    custom_fields_values as custom_fields,
    companies,
    {{ utc('received_at') }} as received_at
from source
