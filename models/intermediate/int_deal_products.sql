-- Rows of products of deals that count, all systems.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__deal_products') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__deal_products') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    unioned.deal_product_key,
    deals.deal_key,
    unioned.source_key,
    unioned.catalog_id,
    unioned.product_id,
    case
        when unioned.product_id is not null
            then
                {{ hash_key(
                    ['unioned.source_key', "'product'", 'unioned.catalog_id', 'unioned.product_id']
                ) }}
    end as product_key,
    unioned.product_name,
    unioned.quantity,
    unioned.price,
    (unioned.price::decimal(28, 4) * unioned.quantity)::decimal(18, 2) as amount
from unioned
inner join deals
    on unioned.source_key = deals.source_key
    and unioned.deal_id = deals.deal_id
