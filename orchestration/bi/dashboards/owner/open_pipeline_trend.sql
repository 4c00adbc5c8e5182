select
    stock_on,
    sum(open_deals_count) as open_deals_count,
    max(stock.as_of_at) as as_of_at
from marts.fct_open_pipeline as stock
inner join marts.dim_pipelines as pipelines on stock.pipeline_key = pipelines.pipeline_key
where
    pipelines.pipeline_role in ('sales', 'setter')
    [[and stock.stock_on >= {{from_day}}]]
    [[and pipelines.pipeline_name = {{pipeline}}]]
group by stock_on
order by stock_on
