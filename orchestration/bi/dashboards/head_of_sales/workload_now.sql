select
    employee_name,
    department_name,
    open_deals_count,
    open_cards_limit,
    is_over_limit,
    load_band,
    as_of_at
from marts.metric_workload__by_day
where
    stock_on = (select max(latest.stock_on) from marts.metric_workload__by_day as latest)
    [[and department_name = {{department}}]]
order by open_deals_count desc, employee_name
