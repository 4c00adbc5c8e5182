select
    slice_value,
    sum(requests_count) as requests_count,
    sum(qualified_count) as qualified_count,
    sum(won_requests_count) as won_requests_count,
    sum(won_amount) as won_amount,
    sum(cost_amount) as cost_amount,
    max(as_of_at) as as_of_at
from marts.metric_marketing__by_source
where
    period_type = 'month'
    and slice_type = 'utm_campaign'
    [[and starts_on >= {{from_day}}]]
group by slice_value
order by requests_count desc, slice_value
