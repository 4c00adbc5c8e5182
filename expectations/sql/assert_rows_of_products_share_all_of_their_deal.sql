{{ config(meta={'dagster': {'ref': {'name': 'fct_deal_products'}}}) }}
-- The shares of a deal's rows of products add up to 1, unless their amounts add up to nothing.
with deal_products as (
    select * from {{ ref('fct_deal_products') }}
)

select
    deal_key,
    sum(amount) as amount,
    sum(amount_share) as amount_share
from deal_products
group by deal_key
having
    case
        when sum(amount) <> 0 then coalesce(abs(sum(amount_share) - 1) > 0.000001, true)
        else sum(amount_share) is not null
    end
