-- Rows of products of deals. A row's price is that of one unit, discounts and taxes included.
{{ config(materialized='view') }}

with product_rows as (
    select * from {{ ref('int_bitrix24__product_rows') }}
)

select
    source_key,
    deal_id,
    {{ hash_key(['source_key', "'product_row'", 'product_row_id']) }} as deal_product_key,
    null::bigint as catalog_id,
    product_id,
    nullif(product_name, '') as product_name,
    quantity::decimal(18, 4) as quantity,
    price::decimal(18, 4) as price
from product_rows
