select
    push_rank,
    employee_name,
    card_url,
    pipeline_name,
    stage_name,
    company_amount,
    weight_share,
    weighted_amount,
    days_since_touch,
    expected_close_at,
    as_of_at
from marts.metric_open_cards__by_card
where
    push_rank is not null
    [[and employee_name = {{employee}}]]
order by push_rank, card_key
limit 200
