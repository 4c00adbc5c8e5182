select
    employee_name,
    department_name,
    sum(calls_count) as calls_count,
    sum(successful_count) as successful_count,
    sum(talk_seconds) as talk_seconds,
    sum(meetings_count) as meetings_count,
    sum(tasks_done_count) as tasks_done_count,
    sum(forward_moves_count) as forward_moves_count,
    max(as_of_at) as as_of_at
from marts.metric_employee_activity__by_day
where
    active_on > (select max(latest.active_on) from marts.metric_employee_activity__by_day as latest)
        - 7
    [[and department_name = {{department}}]]
group by reporting_employee_key, employee_name, department_name
order by calls_count desc, employee_name
