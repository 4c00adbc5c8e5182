-- R21: which of a week's activities go before wins, and by how many weeks: the correlation of the
-- week's activity with the deals won so many weeks later, over all finished weeks.
with weekly as (
    select * from {{ ref('metric_weekly_indicators__by_week') }}
    where is_finished
),

won as (
    select * from weekly
    where metric_name = 'won'
),

lags as (
    {% for lag in range(1, 13) -%}
    select {{ lag }} as lag_weeks
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

pairs as (
    select
        weekly.metric_name,
        weekly.source_key,
        weekly.slice_type,
        weekly.slice_value,
        lags.lag_weeks,
        weekly.value as activity_value,
        won.value as won_value
    from weekly
    cross join lags
    inner join won
        on weekly.source_key = won.source_key
        and weekly.slice_type = won.slice_type
        and weekly.slice_value = won.slice_value
        and weekly.starts_on + lags.lag_weeks * 7 = won.starts_on
    where weekly.metric_name <> 'won'
),

-- Of a series that never changes there is no correlation. Rounded, so that it does not depend on
-- the order of the weeks.
correlated as (
    select
        metric_name,
        source_key,
        slice_type,
        slice_value,
        lag_weeks,
        count(*) as weeks_count,
        case
            when stddev_pop(activity_value) > 0 and stddev_pop(won_value) > 0
                then round(corr(activity_value, won_value), 6)
        end as correlation
    from pairs
    group by metric_name, source_key, slice_type, slice_value, lag_weeks
),

ranked as (
    select
        *,
        row_number() over (
            partition by metric_name, source_key, slice_type, slice_value
            order by coalesce(correlation, -2) desc, lag_weeks asc
        ) as lag_rank
    from correlated
)

select
    {{ hash_key(['metric_name', 'source_key', 'slice_type', 'slice_value', 'lag_weeks']) }}
        as leading_indicator_key,
    metric_name,
    source_key,
    slice_type,
    slice_value,
    lag_weeks::integer as lag_weeks,
    weeks_count::bigint as weeks_count,
    correlation::double as correlation,
    -- Under a quarter of a year chance alone gives high correlations.
    case
        when weeks_count < 13 or correlation is null then 'none'
        when weeks_count < 26 or correlation < 0.3 then 'low'
        else 'normal'
    end as confidence,
    lag_rank = 1 and correlation is not null as is_best_lag
from ranked
