select
    employee_name,
    sheet_part,
    due_at,
    item_type,
    metric_name,
    plan_value,
    fact_value,
    card_url,
    company_amount,
    is_done,
    as_of_at
from marts.metric_operative_sheet__by_item
where
    1 = 1
    [[and employee_name = {{employee}}]]
order by
    case sheet_part when 'yesterday' then 1 when 'today' then 2 else 3 end,
    due_at nulls last,
    item_type,
    sheet_item_key
