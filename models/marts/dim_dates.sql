-- Days of the company's zone with their first and last instant in UTC: a day of a clock change has
-- 23 or 25 hours.
with cards as (
    select * from {{ ref('int_cards') }}
),

actions as (
    select * from {{ ref('int_crm_actions') }}
),

tasks as (
    select * from {{ ref('int_tasks') }}
),

messages as (
    select * from {{ ref('int_messages') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

costs as (
    select * from {{ ref('int_marketing_cost_days') }}
),

calls as (
    select * from {{ ref('int_calls_unified') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

working_hours as (
    select * from {{ ref('stg_company__working_hours') }}
),

calendar as (
    select * from {{ ref('stg_company__calendar') }}
),

instants as (
    select
        min(created_at) as first_at,
        max(created_at) as last_at
    from cards
    union all
    select
        min(acted_at) as first_at,
        max(acted_at) as last_at
    from actions
    union all
    select
        min(created_at) as first_at,
        max(completed_at) as last_at
    from tasks
    union all
    select
        min(sent_at) as first_at,
        max(sent_at) as last_at
    from messages
    union all
    select
        min(coalesce(paid_at, paid_on)) as first_at,
        max(coalesce(paid_at, paid_on)) as last_at
    from payments
    union all
    select
        min(spent_on) as first_at,
        max(spent_on) as last_at
    from costs
    union all
    select
        min(started_at) as first_at,
        max(started_at) as last_at
    from calls
    union all
    select
        min(entered_at) as first_at,
        max(entered_at) as last_at
    from entries
    union all
    select
        min(as_of_at) as first_at,
        max(as_of_at) as last_at
    from connections
),

bounds as (
    -- A day more on each side: the local date of an instant may be the UTC date's neighbour.
    select
        coalesce(min(first_at), timestamp '2020-01-01')::date - 1 as first_on,
        coalesce(max(last_at), timestamp '2020-01-01')::date + 1 as last_on
    from instants
),

days as (
    select {{ date_series('first_on', 'last_on') }}::date as date_day
    from bounds
),

report as (
    select max(report_as_of_on) as as_of_on from connections
),

-- A line of the calendar, hours or a day off, stands for the weekday's own hours.
working as (
    select
        days.date_day,
        case
            when calendar.date_day is not null then calendar.from_minute
            else working_hours.from_minute
        end as from_minute,
        case
            when calendar.date_day is not null then calendar.until_minute
            else working_hours.until_minute
        end as until_minute
    from days
    left join working_hours
        on isodow(days.date_day) = working_hours.weekday_number
    left join calendar
        on days.date_day = calendar.date_day
)

select
    days.date_day,
    {{ local_midnight('days.date_day', 'rules.time_zone') }} as starts_at,
    {{ local_midnight('(days.date_day + 1)', 'rules.time_zone') }} as ends_at,
    date_trunc('week', days.date_day)::date as week_start_on,
    date_trunc('month', days.date_day)::date as month_start_on,
    date_trunc('quarter', days.date_day)::date as quarter_start_on,
    date_trunc('year', days.date_day)::date as year_start_on,
    isodow(days.date_day)::integer as weekday_number,
    coalesce(days.date_day = report.as_of_on, false) as is_as_of_day,
    working.from_minute is not null as is_working_day,
    {{ local_instant('days.date_day', 'working.from_minute', 'rules.time_zone') }}
        as work_starts_at,
    {{ local_instant('days.date_day', 'working.until_minute', 'rules.time_zone') }} as work_ends_at
from days
inner join working
    on days.date_day = working.date_day
cross join rules
cross join report
