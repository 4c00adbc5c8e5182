with source as (
    select * from {{ source('raw_bitrix24', 'products') }}
)

select
    source_key,
    id as product_id,
    name as product_name,
    nullif(code, '') as product_code,
    nullif(xml_id, '') as origin_id,
    coalesce(active, true) as is_active,
    price::decimal(18, 2) as price,
    currency_id as currency_code,
    nullif(section_id, 0) as section_id,
    sort as product_sort,
    nullif(created_by, 0) as created_by_id,
    nullif(modified_by, 0) as modified_by_id,
    {{ utc('date_create') }} as created_at,
    {{ utc('timestamp_x') }} as modified_at,
    {{ utc('received_at') }} as received_at
from source
