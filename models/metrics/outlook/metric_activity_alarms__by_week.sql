-- R21: weeks in which successful calls, handled requests or proposals fell well under what was
-- usual, with the weeks in which it will show in wins: where past weeks tell by how many weeks that
-- activity goes before wins, that one; else from the first to the third quarter of the cycles.
with weekly as (
    select * from {{ ref('metric_weekly_indicators__by_week') }}
    where metric_name in ('successful_calls', 'requests_handled', 'proposals')
),

best_lags as (
    select * from {{ ref('metric_leading_indicators__by_lag') }}
    where is_best_lag and confidence = 'normal'
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted and outcome = 'won'
),

connections as (
    select * from {{ ref('int_connections') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role = 'sales'
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

cycle_days as (
    select
        closes.source_key,
        closes.cycle_seconds / 86400 as cycle_days
    from closes
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
    inner join connections
        on closes.source_key = connections.source_key
        and closes.closed_at > connections.as_of_at - interval 12 months
),

cycles as (
    select
        source_key,
        floor(quantile_cont(cycle_days, 0.25) / 7)::integer as weeks_first_quarter,
        floor(quantile_cont(cycle_days, 0.75) / 7)::integer as weeks_third_quarter
    from cycle_days
    group by source_key
),

dated as (
    select
        weekly.*,
        case when best_lags.lag_weeks is not null then 'correlation' else 'cycle' end
            as shows_basis,
        best_lags.correlation,
        best_lags.weeks_count as correlated_weeks_count,
        coalesce(best_lags.lag_weeks, cycles.weeks_first_quarter) as first_lag_weeks,
        coalesce(best_lags.lag_weeks, cycles.weeks_third_quarter) as last_lag_weeks
    from weekly
    left join best_lags
        on weekly.metric_name = best_lags.metric_name
        and weekly.source_key = best_lags.source_key
        and weekly.slice_type = best_lags.slice_type
        and weekly.slice_value = best_lags.slice_value
    left join cycles
        on weekly.source_key = cycles.source_key
)

select
    dated.weekly_indicator_key,
    dated.metric_name,
    dated.source_key,
    dated.slice_type,
    dated.slice_value,
    dated.starts_on,
    dated.ends_on,
    dated.is_finished,
    dated.complete_days_count,
    dated.value,
    dated.weeks_before_count,
    dated.weeks_before_value,
    dated.usual_value,
    dated.drop_share,
    rules.alarm_drop_share as limit_value,
    case
        when dated.is_alarm is null then 'none'
        when dated.weeks_before_value < rules.signal_cases_min * 2 then 'low'
        else 'normal'
    end as confidence,
    dated.is_alarm,
    dated.starts_on + dated.first_lag_weeks * 7 as shows_from_on,
    dated.starts_on + dated.last_lag_weeks * 7 + 7 as shows_until_on,
    case when dated.first_lag_weeks is not null then dated.shows_basis end as shows_basis,
    dated.correlation,
    dated.correlated_weeks_count
from dated
cross join rules
