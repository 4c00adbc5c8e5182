with source as (
    select * from {{ source('raw_bitrix24', 'contacts') }}
)

select
    source_key,
    id as contact_id,
    nullif(company_id, 0) as company_id,
    nullif(assigned_by_id, 0) as owner_id,
    {{ utc('date_create') }} as created_at,
    phone as phones,
    origin_id,
    {{ utc('received_at') }} as received_at
from source
