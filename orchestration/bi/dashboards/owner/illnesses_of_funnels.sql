select
    pipeline_name,
    illness,
    health_check,
    stage_name,
    measured_value,
    limit_value,
    cards_count,
    confidence,
    as_of_at
from marts.metric_funnel_health__by_check
where
    slice_type = 'all'
    and is_ill
    [[and pipeline_name = {{pipeline}}]]
order by pipeline_name, illness, health_check
