-- Products of the portal's catalog.
{{ config(materialized='view') }}

with products as (
    select * from {{ ref('stg_bitrix24__products') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'products'
)

select
    products.source_key,
    null::bigint as catalog_id,
    products.product_id,
    products.product_name,
    products.price::decimal(18, 4) as price,
    nullif(products.currency_code, '') as currency_code,
    products.is_active and deleted.record_id is null as is_listed
from products
-- A record that came back after it was noticed missing was restored from the recycle bin.
left join deleted
    on products.source_key = deleted.source_key
    and products.product_id = deleted.record_id
    and products.received_at <= deleted.noticed_at
