select
    period_type,
    starts_on,
    sum(won_count) as won_count,
    sum(won_amount) as won_amount,
    sum(expected_deals_count) as expected_deals_count,
    sum(expected_amount) as expected_amount,
    sum(forecast_amount) as forecast_amount,
    max(as_of_at) as as_of_at
from marts.metric_forecast__by_period
where
    is_in_totals
    and period_type in ('day', 'week')
    [[and pipeline_name = {{pipeline}}]]
group by period_type, starts_on
order by starts_on desc, period_type
