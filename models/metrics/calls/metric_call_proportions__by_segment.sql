-- R6: how calls and talk are shared out over any segment, beside what was sold there. In one view
-- the calls that started in the period stand beside the deals closed in it, in the other all calls
-- ever of the deals closed in it. Shares and rates are computed for each period anew.
{{ config(materialized='touched_parts') }}

with by_day as (
    select * from {{ ref('metric_segment_sums__by_day') }}
),

periods as (
    select * from {{ ref('dim_periods') }}
),

days as (
    select
        period_key,
        {{ date_series('starts_on', '(counted_until_on - 1)') }}::date as date_day
    from periods
),

by_period as (
    select
        by_day.call_view,
        by_day.source_key,
        days.period_key,
        by_day.segment_type,
        by_day.segment_value,
        sum(by_day.daily_calls_count) as calls_count,
        sum(by_day.daily_successful_count) as successful_count,
        sum(by_day.daily_talk_seconds) as talk_seconds,
        sum(by_day.daily_won_count) as won_count,
        sum(by_day.daily_won_amount) as won_amount,
        sum(by_day.daily_won_without_amount_count) as won_without_amount_count,
        sum(by_day.daily_closed_count) as closed_count
    from by_day
    inner join days
        on by_day.happened_on = days.date_day
    where
        {{ of_touched('segment_periods', part_key([
            segment_of_view('by_day'), 'days.period_key',
        ])) }}
        or {{ of_touched('periods', 'days.period_key') }}
    group by
        by_day.call_view, by_day.source_key, days.period_key, by_day.segment_type,
        by_day.segment_value
),

with_totals as (
    select
        *,
        sum(calls_count) over segment as total_calls_count,
        sum(talk_seconds) over segment as total_talk_seconds,
        sum(won_count) over segment as total_won_count,
        sum(won_amount) over segment as total_won_amount
    from by_period
    window segment as (partition by call_view, source_key, period_key, segment_type)
)

select
    {{ hash_key([
        'with_totals.call_view', 'with_totals.source_key', 'with_totals.period_key',
        'with_totals.segment_type', 'with_totals.segment_value',
    ]) }} as call_proportion_key,
    with_totals.call_view,
    with_totals.period_key,
    periods.period_type,
    periods.starts_on,
    periods.ends_on,
    periods.is_finished,
    with_totals.source_key,
    with_totals.segment_type,
    with_totals.segment_value,
    with_totals.calls_count::double as segment_calls_count,
    with_totals.successful_count::double as segment_successful_count,
    with_totals.talk_seconds::double as segment_talk_seconds,
    with_totals.won_count::double as segment_won_count,
    with_totals.won_amount::double as segment_won_amount,
    with_totals.won_without_amount_count::double as segment_won_without_amount_count,
    with_totals.closed_count::double as segment_closed_count,
    with_totals.total_calls_count::double as total_calls_count,
    with_totals.total_talk_seconds::double as total_talk_seconds,
    with_totals.total_won_count::double as total_won_count,
    with_totals.total_won_amount::double as total_won_amount,
    with_totals.calls_count::double / nullif(with_totals.total_calls_count::double, 0)
        as calls_share,
    with_totals.talk_seconds::double / nullif(with_totals.total_talk_seconds::double, 0)
        as talk_share,
    with_totals.won_count::double / nullif(with_totals.total_won_count::double, 0)
        as won_count_share,
    with_totals.won_amount::double / nullif(with_totals.total_won_amount::double, 0)
        as won_amount_share,
    with_totals.won_count::double / nullif(with_totals.closed_count::double, 0)
        as won_share_closed,
    with_totals.won_amount::double * 60 / nullif(with_totals.talk_seconds::double, 0)
        as won_amount_per_talk_minute,
    with_totals.talk_seconds::double / 60 / nullif(with_totals.won_count::double, 0)
        as talk_minutes_per_won_deal,
    with_totals.calls_count::double / nullif(with_totals.won_count::double, 0)
        as calls_per_won_deal
from with_totals
inner join periods
    on with_totals.period_key = periods.period_key
