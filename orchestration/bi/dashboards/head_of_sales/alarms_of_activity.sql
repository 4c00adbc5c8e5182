select
    starts_on,
    metric_name,
    slice_type,
    slice_value,
    value,
    usual_value,
    drop_share,
    shows_from_on,
    shows_until_on,
    as_of_at
from marts.metric_activity_alarms__by_week
where
    is_alarm
    [[and starts_on >= {{from_day}}]]
order by starts_on desc, metric_name, slice_type, slice_value
