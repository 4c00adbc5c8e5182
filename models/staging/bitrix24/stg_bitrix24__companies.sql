with source as (
    select * from {{ source('raw_bitrix24', 'companies') }}
)

select
    source_key,
    id as company_id,
    title as company_name,
    nullif(company_type, '') as company_type,
    nullif(industry, '') as industry,
    nullif(lead_id, 0) as lead_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(created_by_id, 0) as created_by_id,
    nullif(modify_by_id, 0) as modified_by_id,
    {{ utc('date_create') }} as created_at,
    {{ utc('date_modify') }} as modified_at,
    phone as phones,
    email as emails,
    origin_id,
    extra as custom_fields,
    {{ utc('received_at') }} as received_at
from source
