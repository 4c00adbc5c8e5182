-- The last day that is over, by the company's own calendar of norms.
select
    starts_on,
    employee_name,
    metric_name,
    plan_value,
    fact_value,
    reached_share,
    is_below_plan,
    as_of_at
from marts.metric_plan_fact__by_target
where
    target_kind = 'norm'
    and period_type = 'day'
    and starts_on = (
        select max(latest.starts_on)
        from marts.metric_plan_fact__by_target as latest
        where latest.target_kind = 'norm' and latest.period_type = 'day' and latest.is_finished
    )
    [[and department_name = {{department}}]]
order by reached_share nulls last, employee_name, metric_name
