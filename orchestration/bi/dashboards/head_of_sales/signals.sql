-- Something to look into, never a verdict.
select
    starts_on,
    ends_on,
    signal_name,
    employee_name,
    department_name,
    measured_value,
    limit_value,
    cases_count,
    confidence,
    as_of_at
from marts.metric_signals__by_employee
where
    is_raised
    [[and department_name = {{department}}]]
order by ends_on desc, signal_name, employee_name
