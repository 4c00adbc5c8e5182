select
    segment_value,
    talk_share,
    won_share_closed,
    segment_won_amount,
    calls_share,
    won_amount_share,
    won_amount_per_talk_minute,
    source_key,
    as_of_at
from marts.metric_call_proportions__by_segment
where
    call_view = 'calls_of_period'
    and segment_type = 'source'
    and period_type = 'quarter'
    and starts_on = (
        select max(latest.starts_on)
        from marts.metric_call_proportions__by_segment as latest
        where latest.period_type = 'quarter'
    )
order by segment_won_amount desc nulls last, segment_value
