select
    starts_on,
    sum(requests_count) as requests_count,
    sum(qualified_count) as qualified_count,
    sum(won_requests_count) as won_requests_count,
    max(as_of_at) as as_of_at
from marts.metric_marketing__by_source
where
    period_type = 'week'
    and slice_type = 'source'
    [[and starts_on >= {{from_day}}]]
    [[and slice_value = {{source}}]]
group by starts_on
order by starts_on
