select
    requested_at,
    employee_name,
    source_name,
    current_card_url,
    pipeline_name,
    stage_name,
    age_days,
    first_touch_at,
    calls_count,
    as_of_at
from marts.metric_requests__by_request
where
    request_state = 'open'
    [[and employee_name = {{employee}}]]
order by requested_at desc, request_card_key
limit 200
