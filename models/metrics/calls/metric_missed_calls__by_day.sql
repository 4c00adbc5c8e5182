-- R7 in numbers. Dense: a day without a missed call shows 0, from the first call on.
with cases as (
    select * from {{ ref('metric_missed_calls__by_case') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

connections as (
    select * from {{ ref('int_connections') }}
),

coverage as (
    select * from {{ ref('int_call_coverage') }}
),

first_days as (
    select
        source_key,
        min(started_on) as first_on
    from calls
    group by source_key
),

days as (
    select
        coverage.source_key,
        coverage.has_missed_calls,
        {{ date_series('first_days.first_on', 'connections.as_of_on') }}::date as date_day
    from coverage
    inner join first_days
        on coverage.source_key = first_days.source_key
    inner join connections
        on coverage.source_key = connections.source_key
),

counted as (
    select
        first_missed_on,
        source_key,
        sum(missed_count) as missed_count,
        count(*) filter (where case_state <> 'anonymous') as cases_count,
        count(*) filter (where case_state = 'in_time') as in_time_count,
        count(*) filter (where case_state = 'late') as late_count,
        count(*) filter (where case_state = 'pending') as pending_count,
        count(*) filter (where case_state = 'lost') as lost_count,
        count(*) filter (where case_state = 'anonymous') as anonymous_count,
        count(*) filter (where is_working_time and case_state <> 'anonymous')
            as working_time_count,
        count(*) filter (where is_working_time and case_state = 'lost')
            as working_time_lost_count,
        sum(seconds_to_contact) as seconds_to_contact,
        median(seconds_to_contact) as seconds_to_contact_median
    from cases
    group by first_missed_on, source_key
)

select
    {{ hash_key(['days.source_key', "'missed'", 'days.date_day']) }} as missed_day_key,
    days.date_day as first_missed_on,
    days.source_key,
    coalesce(counted.missed_count, 0)::bigint as missed_count,
    coalesce(counted.cases_count, 0)::bigint as cases_count,
    coalesce(counted.in_time_count, 0)::bigint as in_time_count,
    coalesce(counted.late_count, 0)::bigint as late_count,
    coalesce(counted.pending_count, 0)::bigint as pending_count,
    coalesce(counted.lost_count, 0)::bigint as lost_count,
    coalesce(counted.anonymous_count, 0)::bigint as anonymous_count,
    coalesce(counted.working_time_count, 0)::bigint as working_time_count,
    coalesce(counted.working_time_lost_count, 0)::bigint as working_time_lost_count,
    (coalesce(counted.in_time_count, 0) + coalesce(counted.late_count, 0))::bigint
        as contacted_count,
    (coalesce(counted.cases_count, 0) - coalesce(counted.pending_count, 0))::bigint
        as decided_count,
    (counted.in_time_count / nullif(counted.cases_count - counted.pending_count, 0))::double
        as in_time_share,
    counted.seconds_to_contact::bigint as seconds_to_contact,
    (
        counted.seconds_to_contact
        / nullif(counted.in_time_count + counted.late_count, 0)
    )::double as seconds_to_contact_mean,
    counted.seconds_to_contact_median::double as seconds_to_contact_median,
    days.has_missed_calls as is_complete
from days
left join counted
    on days.date_day = counted.first_missed_on
    and days.source_key = counted.source_key
