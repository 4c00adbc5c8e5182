with source as (
    select * from {{ source('raw_bitrix24', 'contacts') }}
)

select
    source_key,
    id as contact_id,
    trim(concat_ws(' ', nullif(name, ''), nullif(last_name, ''))) as contact_name,
    nullif(company_id, 0) as company_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(created_by_id, 0) as created_by_id,
    nullif(modify_by_id, 0) as modified_by_id,
    {{ utc('date_create') }} as created_at,
    {{ utc('date_modify') }} as modified_at,
    nullif(source_id, '') as source_id,
    phone as phones,
    email as emails,
    origin_id,
    extra as custom_fields,
    {{ utc('received_at') }} as received_at
from source
