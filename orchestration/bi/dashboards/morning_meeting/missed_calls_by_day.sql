select
    first_missed_on,
    sum(missed_count) as missed_count,
    sum(in_time_count) as in_time_count,
    sum(late_count) as late_count,
    sum(pending_count) as pending_count,
    sum(lost_count) as lost_count,
    max(as_of_at) as as_of_at
from marts.metric_missed_calls__by_day
where
    first_missed_on > (
        select max(latest.first_missed_on)
        from marts.metric_missed_calls__by_day as latest
    ) - 14
group by first_missed_on
order by first_missed_on
