-- External calls of each connection and week by how they found their card, beside the week before
-- (Q9). Weeks lie dense for every method that the connection ever had; the week of as-of is not
-- over and is left out.
with calls as (
    select
        source_key,
        started_on,
        match_method,
        count(*) as calls_count
    from {{ ref('fct_calls') }}
    where is_external
    group by source_key, started_on, match_method
),

connections as (
    select * from {{ ref('int_connections') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

current_weeks as (
    select
        connections.source_key,
        dates.week_start_on
    from connections
    inner join dates
        on connections.as_of_on = dates.date_day
),

by_week as (
    select
        calls.source_key,
        dates.week_start_on,
        calls.match_method,
        sum(calls.calls_count)::bigint as calls_count
    from calls
    inner join dates
        on calls.started_on = dates.date_day
    left join current_weeks
        on calls.source_key = current_weeks.source_key
        and dates.week_start_on = current_weeks.week_start_on
    where current_weeks.week_start_on is null
    group by calls.source_key, dates.week_start_on, calls.match_method
),

spans as (
    select
        source_key,
        min(week_start_on) as first_week_on,
        max(week_start_on) as last_week_on
    from by_week
    group by source_key
),

days as (
    select
        source_key,
        first_week_on,
        {{ date_series('first_week_on', 'last_week_on') }}::date as date_day
    from spans
),

weeks as (
    select
        source_key,
        date_day as week_start_on
    from days
    where date_diff('day', first_week_on, date_day) % 7 = 0
),

methods as (
    select
        source_key,
        match_method
    from by_week
    group by source_key, match_method
),

dense as (
    select
        weeks.source_key,
        weeks.week_start_on,
        methods.match_method,
        coalesce(by_week.calls_count, 0) as calls_count,
        sum(coalesce(by_week.calls_count, 0)) over (
            partition by weeks.source_key, weeks.week_start_on
        )::bigint as all_calls_count
    from weeks
    inner join methods
        on weeks.source_key = methods.source_key
    left join by_week
        on weeks.source_key = by_week.source_key
        and weeks.week_start_on = by_week.week_start_on
        and methods.match_method = by_week.match_method
)

select
    source_key,
    week_start_on,
    match_method,
    calls_count,
    all_calls_count,
    lag(calls_count) over earlier as previous_calls_count,
    lag(all_calls_count) over earlier as previous_all_calls_count
from dense
window earlier as (partition by source_key, match_method order by week_start_on)
