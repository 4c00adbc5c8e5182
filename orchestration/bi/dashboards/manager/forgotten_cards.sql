select
    employee_name,
    card_url,
    pipeline_name,
    stage_name,
    days_on_stage,
    days_since_touch,
    planned_tasks_count,
    company_amount,
    as_of_at
from marts.metric_open_cards__by_card
where
    is_forgotten
    [[and employee_name = {{employee}}]]
order by days_since_touch desc nulls first, card_key
