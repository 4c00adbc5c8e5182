-- A cohort: what has become of the requests of these periods so far. Costs are those of the periods.
select
    starts_on,
    slice_value,
    sum(requests_count) as requests_count,
    sum(qualified_count) as qualified_count,
    sum(won_requests_count) as won_requests_count,
    sum(won_requests_count) * 1.0 / nullif(sum(requests_count), 0) as won_share_cohort,
    sum(open_requests_count) as open_requests_count,
    sum(won_amount) as won_amount,
    sum(cost_amount) as cost_amount,
    sum(cost_amount) * 1.0 / nullif(sum(requests_count), 0) as cost_per_request,
    sum(won_amount) * 1.0 / nullif(sum(cost_amount), 0) as won_amount_per_cost,
    max(as_of_at) as as_of_at
from marts.metric_marketing__by_source
where
    period_type = 'month'
    and slice_type = 'source'
    [[and starts_on >= {{from_day}}]]
    [[and slice_value = {{source}}]]
group by starts_on, slice_value
order by starts_on desc, requests_count desc, slice_value
