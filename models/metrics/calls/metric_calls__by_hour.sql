-- R8: when calls are made, by weekday and hour of the company's clock.
with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

dates as (
    select * from {{ ref('dim_dates') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

timed as (
    select
        calls.source_key,
        calls.reporting_employee_key,
        dates.month_start_on,
        dates.weekday_number,
        -- The clock is asked on the day of a clock change only: that costs more than all else.
        case
            when dates.ends_at - dates.starts_at = interval 24 hours
                then
                    (
                        {{ epoch_second('calls.started_at') }}
                        - {{ epoch_second('dates.starts_at') }}
                    ) // 3600
            else {{ local_hour('calls.started_at', 'rules.time_zone') }}
        end as hour_number,
        calls.direction,
        calls.is_answered,
        calls.is_successful,
        calls.talk_seconds
    from calls
    inner join dates
        on calls.started_on = dates.date_day
    cross join rules
),

counted as (
    select
        source_key,
        reporting_employee_key,
        month_start_on,
        weekday_number,
        hour_number,
        count(*) as calls_count,
        count(*) filter (where direction = 'inbound') as inbound_count,
        count(*) filter (where direction = 'outbound') as outbound_count,
        count(*) filter (where is_answered) as answered_count,
        count(*) filter (where is_successful) as successful_count,
        sum(talk_seconds) as talk_seconds
    from timed
    group by source_key, reporting_employee_key, month_start_on, weekday_number, hour_number
)

select
    {{ hash_key([
        'counted.source_key', 'counted.reporting_employee_key', 'counted.month_start_on',
        'counted.weekday_number', 'counted.hour_number',
    ]) }} as calls_hour_key,
    counted.source_key,
    counted.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    counted.month_start_on,
    counted.weekday_number,
    counted.hour_number::integer as hour_number,
    counted.calls_count::bigint as calls_count,
    counted.inbound_count::bigint as inbound_count,
    counted.outbound_count::bigint as outbound_count,
    counted.answered_count::bigint as answered_count,
    counted.successful_count::bigint as successful_count,
    counted.talk_seconds::bigint as talk_seconds
from counted
inner join employees
    on counted.reporting_employee_key = employees.employee_key
