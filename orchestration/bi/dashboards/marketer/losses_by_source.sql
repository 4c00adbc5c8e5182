select
    source_name,
    loss_reason_name,
    sum(lost_count) as lost_count,
    sum(lost_amount) as lost_amount,
    max(as_of_at) as as_of_at
from marts.metric_losses__by_reason
where
    1 = 1
    [[and month_start_on >= {{from_day}}]]
    [[and source_name = {{source}}]]
group by source_name, loss_reason_name
order by lost_count desc, source_name, loss_reason_name
