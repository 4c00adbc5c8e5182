with source as (
    select * from {{ source('raw_bitrix24', 'product_rows') }}
)

select
    source_key,
    id as product_row_id,
    owner_type as card_type_code,
    owner_id as card_id,
    nullif(product_id, 0) as product_id,
    product_name,
    type as product_type,
    quantity,
    nullif(measure_name, '') as measure_name,
    price,
    price_netto as net_price,
    price_brutto as gross_price,
    discount_type_id as discount_type,
    discount_rate as discount_percent,
    discount_sum as discount_amount,
    tax_rate as tax_percent,
    coalesce(tax_included, false) as is_tax_included,
    sort as row_sort,
    nullif(xml_id, '') as origin_id,
    {{ utc('received_at') }} as received_at
from source
