select
    pipeline_name,
    loss_reason_name,
    sum(lost_count) as lost_count,
    sum(lost_amount) as lost_amount,
    sum(lost_after_proposal_count) as lost_after_proposal_count,
    sum(let_go_count) as let_go_count,
    max(as_of_at) as as_of_at
from marts.metric_losses__by_reason
where
    1 = 1
    [[and month_start_on >= {{from_day}}]]
    [[and pipeline_name = {{pipeline}}]]
group by pipeline_name, loss_reason_name
order by lost_count desc, pipeline_name, loss_reason_name
