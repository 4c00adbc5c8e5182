select
    metric_name,
    employee_name,
    department_name,
    plan_value,
    fact_value,
    reached_share,
    gap_value,
    pace_value,
    is_behind_pace,
    as_of_at
from marts.metric_plan_fact__by_target
where target_kind = 'goal' and is_current
order by reached_share, metric_name, employee_name
