select
    sheet_part,
    employee_name,
    count(*) filter (where item_type in ('task', 'todo')) as tasks_count,
    count(*) filter (where item_type = 'meeting') as meetings_count,
    count(*) filter (where item_type = 'planned_call') as planned_calls_count,
    count(*) filter (where item_type = 'payment') as payments_count,
    count(*) filter (where item_type = 'expected_close') as closes_due_count,
    sum(company_amount) filter (where item_type = 'expected_close') as closes_due_amount,
    max(as_of_at) as as_of_at
from marts.metric_operative_sheet__by_item
where
    sheet_part in ('yesterday', 'today')
    [[and department_name = {{department}}]]
group by sheet_part, reporting_employee_key, employee_name
order by sheet_part desc, employee_name
