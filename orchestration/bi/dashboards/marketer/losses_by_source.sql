select
    pipeline_name,
    source_name,
    loss_reason_name,
    sum(lost_count) as lost_count,
    sum(lost_amount) as lost_amount,
    max(as_of_at) as as_of_at
from marts.metric_losses__by_reason
where
    1 = 1
    [[and month_start_on >= {{from_day}}]]
    [[and pipeline_name = {{pipeline}}]]
    [[and source_name = {{source}}]]
group by pipeline_name, source_name, loss_reason_name
order by lost_count desc, pipeline_name, source_name, loss_reason_name
