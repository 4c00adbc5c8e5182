select
    starts_on,
    sum(value) as won_amount,
    max(as_of_at) as as_of_at
from marts.metric_sales_kpi__by_period
where
    period_type = 'month'
    and slice_type = 'all'
    and metric_name = 'won_amount'
    [[and starts_on >= {{from_day}}]]
group by starts_on
order by starts_on
