select
    employee_name,
    department_name,
    sum(open_cards_count) as open_cards_count,
    sum(without_task_count) as without_task_count,
    sum(without_task_count) * 1.0 / nullif(sum(open_cards_count), 0) as without_task_share,
    sum(overdue_count) as overdue_count,
    sum(idle_moved_deadlines_count) as idle_moved_deadlines_count,
    max(as_of_at) as as_of_at
from marts.metric_task_discipline__by_employee
where
    1 = 1
    [[and department_name = {{department}}]]
group by current_reporting_employee_key, employee_name, department_name
order by without_task_share desc nulls last, employee_name
