{{ config(meta={'dagster': {'ref': {'name': 'metric_call_proportions__by_segment'}}}) }}
-- Within every segment type calls, talk, wins and amounts are those of the whole, and shares add up
-- to 1; the row of all is the sum of the facts' days.
with sums as (
    select
        call_view,
        source_key,
        period_key,
        segment_type,
        sum(segment_calls_count) as calls_count,
        sum(segment_talk_seconds) as talk_seconds,
        sum(segment_won_count) as won_count,
        sum(segment_won_amount) as won_amount,
        sum(calls_share) as calls_share,
        sum(talk_share) as talk_share,
        sum(won_count_share) as won_count_share,
        sum(won_amount_share) as won_amount_share
    from {{ ref('metric_call_proportions__by_segment') }}
    group by call_view, source_key, period_key, segment_type
),

whole as (
    select * from sums
    where segment_type = 'all'
),

kpi as (
    select
        source_key,
        period_key,
        max(numerator) filter (where metric_name = 'calls') as calls_count,
        max(numerator) filter (where metric_name = 'talk_minutes') as talk_seconds,
        max(numerator) filter (where metric_name = 'won') as won_count,
        max(numerator) filter (where metric_name = 'won_amount') as won_amount
    from {{ ref('metric_sales_kpi__by_period') }}
    where slice_type = 'all'
    group by source_key, period_key
)

select
    sums.call_view,
    sums.source_key,
    sums.period_key,
    sums.segment_type
from sums
inner join whole
    on sums.call_view = whole.call_view
    and sums.source_key = whole.source_key
    and sums.period_key = whole.period_key
inner join kpi
    on sums.source_key = kpi.source_key
    and sums.period_key = kpi.period_key
where
    abs(sums.calls_count - whole.calls_count) > 0.001
    or abs(sums.talk_seconds - whole.talk_seconds) > 0.001
    or abs(sums.won_count - whole.won_count) > 0.001
    or abs(sums.won_amount - whole.won_amount) > 0.005
    or abs(coalesce(sums.calls_share, 1) - 1) > 0.000001
    or abs(coalesce(sums.talk_share, 1) - 1) > 0.000001
    or abs(coalesce(sums.won_count_share, 1) - 1) > 0.000001
    or abs(coalesce(sums.won_amount_share, 1) - 1) > 0.000001
    or abs(sums.won_count - coalesce(kpi.won_count, sums.won_count)) > 0.001
    or abs(sums.won_amount - coalesce(kpi.won_amount, sums.won_amount)) > 0.005
    or (
        sums.call_view = 'calls_of_period'
        and (
            abs(sums.calls_count - coalesce(kpi.calls_count, sums.calls_count)) > 0.001
            or abs(sums.talk_seconds - coalesce(kpi.talk_seconds, sums.talk_seconds)) > 0.001
        )
    )
