-- Ratios are computed for each month; nothing here is an average of averages.
select
    starts_on,
    source_key,
    max(value) filter (where metric_name = 'requests') as requests,
    max(value) filter (where metric_name = 'deals_created') as deals_created,
    max(value) filter (where metric_name = 'won') as won,
    max(value) filter (where metric_name = 'won_amount') as won_amount,
    max(value) filter (where metric_name = 'average_check') as average_check,
    max(value) filter (where metric_name = 'won_share_closed') as won_share_closed,
    max(value) filter (where metric_name = 'cycle_days_median') as cycle_days_median,
    max(as_of_at) as as_of_at
from marts.metric_sales_kpi__by_period
where
    period_type = 'month'
    and slice_type = 'all'
    [[and starts_on >= {{from_day}}]]
group by starts_on, source_key
order by starts_on desc, source_key
