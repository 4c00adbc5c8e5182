-- R21: what was done in a week beside what was usual, for the whole connection and each department.
-- An unfinished week is compared over as many complete days of the eight weeks before.
{%- set indicators = {
    'calls': ('calls', 1),
    'successful_calls': ('successful_calls', 1),
    'talk_minutes': ('talk_seconds', 60),
    'requests': ('requests', 1),
    'requests_handled': ('requests_handled', 1),
    'key_stage_entries': ('key_stage_entries', 1),
    'proposals': ('proposals', 1),
    'meetings': ('meetings', 1),
    'won': ('won', 1),
} %}
with daily_sums as (
    select * from {{ ref('metric_daily_sums__by_slice') }}
    where slice_type in ('all', 'department') and period_type = 'all'
),

periods as (
    select * from {{ ref('dim_periods') }}
    where period_type = 'week'
),

dates as (
    select * from {{ ref('dim_dates') }}
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

indicators as (
    {% for metric_name, (summed_metric, factor) in indicators.items() -%}
    select
        '{{ metric_name }}' as metric_name,
        '{{ summed_metric }}' as summed_metric,
        {{ factor }} as factor
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

daily as (
    select
        indicators.metric_name,
        daily_sums.source_key,
        daily_sums.slice_type,
        daily_sums.slice_value,
        dates.week_start_on,
        dates.weekday_number,
        daily_sums.daily_value
    from daily_sums
    inner join indicators
        on daily_sums.metric_name = indicators.summed_metric
    inner join dates
        on daily_sums.happened_on = dates.date_day
),

-- Known from the first record of its kind on; the week of it is not a full one.
known as (
    select
        metric_name,
        source_key,
        min(week_start_on) + 7 as known_from_on
    from daily
    where slice_type = 'all'
    group by metric_name, source_key
),

slices as (
    select
        source_key,
        slice_type,
        slice_value
    from daily
    group by source_key, slice_type, slice_value
),

-- Dense: a week without a call is a week of no calls.
weeks as (
    select
        known.metric_name,
        indicators.factor,
        known.source_key,
        slices.slice_type,
        slices.slice_value,
        periods.starts_on,
        periods.ends_on,
        periods.is_finished,
        periods.complete_days_count
    from known
    inner join indicators
        on known.metric_name = indicators.metric_name
    inner join slices
        on known.source_key = slices.source_key
    cross join periods
    where periods.starts_on >= known.known_from_on
),

-- The complete days of the week, and as many days of each week as the unfinished one has. Seconds
-- are added up before they become minutes: sums of fractions depend on their order.
summed as (
    select
        weeks.metric_name,
        weeks.source_key,
        weeks.slice_type,
        weeks.slice_value,
        weeks.starts_on,
        weeks.ends_on,
        weeks.is_finished,
        weeks.complete_days_count,
        unfinished.complete_days_count as unfinished_days_count,
        coalesce(sum(daily.daily_value) filter (
            where daily.weekday_number <= weeks.complete_days_count
        ), 0) / weeks.factor as week_value,
        coalesce(sum(daily.daily_value) filter (
            where daily.weekday_number <= unfinished.complete_days_count
        ), 0) / weeks.factor as part_value
    from weeks
    left join periods as unfinished
        on not unfinished.is_finished
    left join daily
        on weeks.metric_name = daily.metric_name
        and weeks.source_key = daily.source_key
        and weeks.slice_type = daily.slice_type
        and weeks.slice_value = daily.slice_value
        and weeks.starts_on = daily.week_start_on
    group by
        weeks.metric_name, weeks.factor, weeks.source_key, weeks.slice_type, weeks.slice_value,
        weeks.starts_on, weeks.ends_on, weeks.is_finished, weeks.complete_days_count,
        unfinished.complete_days_count
),

before as (
    select
        *,
        count(*) over eight_before as weeks_before_count,
        case
            when is_finished then sum(week_value) over eight_before
            else sum(part_value) over eight_before
        end as weeks_before_value
    from summed
    window
        eight_before as (
            partition by metric_name, source_key, slice_type, slice_value
            order by starts_on
            rows between 8 preceding and 1 preceding
        )
),

compared as (
    select
        *,
        complete_days_count > 0 and weeks_before_count = 8 as is_comparable
    from before
)

select
    {{ hash_key([
        'compared.metric_name', 'compared.source_key', 'compared.slice_type',
        'compared.slice_value', 'compared.starts_on',
    ]) }} as weekly_indicator_key,
    compared.metric_name,
    compared.source_key,
    compared.slice_type,
    compared.slice_value,
    compared.starts_on,
    compared.ends_on,
    compared.is_finished,
    compared.complete_days_count,
    case when compared.complete_days_count > 0 then compared.week_value end::double as value,
    compared.weeks_before_count::bigint as weeks_before_count,
    compared.weeks_before_value::decimal(24, 4) as weeks_before_value,
    case when compared.is_comparable then compared.weeks_before_value / 8 end::double
        as usual_value,
    case
        when compared.is_comparable
            then 1 - compared.week_value * 8 / nullif(compared.weeks_before_value, 0)
    end::double as drop_share,
    case
        when
            compared.metric_name in ('successful_calls', 'requests_handled', 'proposals')
            and compared.is_comparable
            and compared.weeks_before_value >= rules.signal_cases_min
            then
                compared.week_value * 8
                <= compared.weeks_before_value * (1 - rules.alarm_drop_share)
    end as is_alarm
from compared
cross join rules
