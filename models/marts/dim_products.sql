-- Products of the catalogs, and those that rows of deals name beside them.
with products as (
    select * from {{ ref('int_products') }}
),

deal_products as (
    select * from {{ ref('int_deal_products') }}
),

named as (
    select
        product_key,
        source_key,
        catalog_id,
        product_id,
        max(product_name) as product_name
    from deal_products
    where product_key is not null
    group by product_key, source_key, catalog_id, product_id
),

all_products as (
    select * from products
    union all
    select
        named.product_key,
        named.source_key,
        named.catalog_id,
        named.product_id,
        named.product_name,
        null as price,
        null as currency_code,
        false as is_listed
    from named
    left join products
        on named.product_key = products.product_key
    where products.product_key is null
)

select
    product_key,
    source_key,
    catalog_id,
    product_id,
    coalesce(nullif(product_name, ''), 'Product ' || product_id) as product_name,
    price,
    currency_code,
    is_listed
from all_products
