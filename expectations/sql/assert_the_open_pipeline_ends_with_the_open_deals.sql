{{ config(meta={'dagster': {'ref': {'name': 'fct_open_pipeline'}}}) }}
-- At as-of the stock is the deals that are open, by stage, with their amounts.
with stock as (
    select
        open_pipeline.source_key,
        open_pipeline.stage_key,
        sum(open_pipeline.open_deals_count) as deals_count,
        sum(open_pipeline.open_amount) as amount
    from {{ ref('fct_open_pipeline') }} as open_pipeline
    inner join {{ ref('int_connections') }} as connections
        on open_pipeline.source_key = connections.source_key
        and open_pipeline.stock_on = connections.as_of_on
    group by open_pipeline.source_key, open_pipeline.stage_key
),

deals as (
    select
        source_key,
        stage_key,
        count(*) as deals_count,
        coalesce(sum(amount), 0) as amount
    from {{ ref('fct_deals') }}
    where deal_state = 'open'
    group by source_key, stage_key
)

select
    coalesce(stock.source_key, deals.source_key) as source_key,
    coalesce(stock.stage_key, deals.stage_key) as stage_key,
    stock.deals_count as stock_count,
    deals.deals_count
from stock
full outer join deals
    on stock.source_key = deals.source_key
    and stock.stage_key = deals.stage_key
where
    stock.deals_count is distinct from deals.deals_count
    or stock.amount is distinct from deals.amount
