-- A person's deals of all connections count against one limit.
select
    employee_name,
    department_name,
    sum(open_deals_count) as open_deals_count,
    max(open_cards_limit) as open_cards_limit,
    sum(open_deals_count) > max(open_cards_limit) as is_over_limit,
    max(as_of_at) as as_of_at
from marts.metric_workload__by_day
where
    stock_on = (select max(latest.stock_on) from marts.metric_workload__by_day as latest)
    [[and department_name = {{department}}]]
group by reporting_employee_key, employee_name, department_name
order by open_deals_count desc, employee_name
