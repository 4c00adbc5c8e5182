{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with deal_products as (
    select * from {{ ref('int_deal_products') }}
),

products as (
    select * from {{ ref('dim_products') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

summed as (
    select
        *,
        sum(amount) over (partition by deal_key) as deal_products_amount
    from deal_products
)

select
    summed.deal_product_key,
    summed.source_key,
    summed.deal_key,
    summed.product_key,
    coalesce(summed.product_name, products.product_name, '(not set)') as product_name,
    summed.quantity,
    summed.price,
    summed.amount,
    deals.currency_code,
    case
        when summed.deal_products_amount <> 0
            then summed.amount::double / summed.deal_products_amount::double
    end as amount_share
from summed
inner join deals
    on summed.deal_key = deals.deal_key
left join products
    on summed.product_key = products.product_key
