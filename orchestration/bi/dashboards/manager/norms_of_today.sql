select
    employee_name,
    metric_name,
    period_type,
    plan_value,
    fact_value,
    reached_share,
    is_below_plan,
    as_of_at
from marts.metric_plan_fact__by_target
where
    target_kind = 'norm'
    and is_current
    [[and employee_name = {{employee}}]]
order by employee_name, period_type, metric_name
