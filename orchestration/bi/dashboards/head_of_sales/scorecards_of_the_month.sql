select
    source_key,
    employee_name,
    department_name,
    max(value) filter (where metric_name = 'requests') as requests,
    max(value) filter (where metric_name = 'won') as won,
    max(value) filter (where metric_name = 'won_amount') as won_amount,
    max(value) filter (where metric_name = 'won_share_closed') as won_share_closed,
    max(value) filter (where metric_name = 'calls') as calls,
    max(value) filter (where metric_name = 'talk_minutes') as talk_minutes,
    max(value) filter (where metric_name = 'activity_index') as activity_index,
    max(department_rank) filter (where metric_name = 'won_amount') as department_rank,
    max(as_of_at) as as_of_at
from marts.metric_scorecard__by_employee
where
    period_type = 'month'
    and is_current
    [[and department_name = {{department}}]]
group by source_key, reporting_employee_key, employee_name, department_name
order by won_amount desc nulls last, employee_name, source_key
