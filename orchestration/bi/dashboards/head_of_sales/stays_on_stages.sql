select
    pipeline_name,
    stage_name,
    stage_position,
    ended_count,
    stay_days_mean,
    stay_days_median,
    stay_days_p90,
    previous_stay_days_median,
    open_now_count,
    age_days_median,
    as_of_at
from marts.metric_stage_durations__by_stage
where
    slice_type = 'all'
    and month_start_on
        = (select max(latest.month_start_on) from marts.metric_stage_durations__by_stage as latest)
    [[and pipeline_name = {{pipeline}}]]
order by pipeline_name, stage_position
