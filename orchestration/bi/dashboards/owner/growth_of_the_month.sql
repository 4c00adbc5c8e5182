-- Complete days of the month that runs (compared_value leaves today out) beside the same number of
-- complete days of the month and the year before.
select
    source_key,
    metric_name,
    compared_value,
    previous_value,
    growth_share,
    year_before_value,
    year_growth_share,
    growth_note,
    as_of_at
from marts.metric_sales_kpi__by_period
where
    period_type = 'month'
    and slice_type = 'all'
    and is_current
    and metric_name in (
        'requests', 'deals_created', 'won', 'won_amount', 'calls', 'successful_calls'
    )
order by source_key, metric_name
