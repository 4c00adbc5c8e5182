-- Elements of catalogs that leads link: the link has the quantity, the element its present price.
{{ config(materialized='view') }}

with leads as (
    select * from {{ ref('stg_amocrm__leads') }}
),

products as (
    select * from {{ ref('int_amocrm__products') }}
),

elements as (
    select * from {{ ref('stg_amocrm__catalog_elements') }}
),

links as (
    select
        source_key,
        lead_id,
        {{ unnest_json_elements('catalog_elements') }} as link
    from leads
    where catalog_elements is not null
),

read as (
    select
        source_key,
        lead_id,
        {{ json_path_integer('link', '$.metadata.catalog_id') }} as catalog_id,
        {{ json_path_integer('link', '$.id') }} as product_id,
        try_cast({{ json_path_text('link', '$.metadata.quantity') }} as decimal(18, 4)) as quantity
    from links
),

-- A lead links an element once; should it not, quantities add up.
linked as (
    select
        source_key,
        lead_id,
        catalog_id,
        product_id,
        sum(quantity)::decimal(18, 4) as quantity
    from read
    where product_id is not null
    group by source_key, lead_id, catalog_id, product_id
)

select
    linked.source_key,
    linked.lead_id as deal_id,
    {{ hash_key(
        ['linked.source_key', "'product_row'", 'linked.lead_id', 'linked.catalog_id',
         'linked.product_id']
    ) }} as deal_product_key,
    linked.catalog_id,
    linked.product_id,
    products.product_name,
    linked.quantity,
    products.price
from linked
left join products
    on linked.source_key = products.source_key
    and linked.catalog_id = products.catalog_id
    and linked.product_id = products.product_id
left join elements
    on linked.source_key = elements.source_key
    and linked.catalog_id = elements.catalog_id
    and linked.product_id = elements.element_id
-- Elements of other catalogs are no products; of one that no load has seen nobody knows.
where products.product_id is not null or elements.element_id is null
