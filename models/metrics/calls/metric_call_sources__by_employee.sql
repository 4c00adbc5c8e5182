-- Which calls go past the telephony, and which never reach the CRM. Only the time that both know is
-- compared; a call without a number, and without an id that ties it, can't have a twin.
with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

coverage as (
    select * from {{ ref('int_call_coverage') }}
    where pbx_from_at is not null
),

dates as (
    select * from {{ ref('dim_dates') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

compared as (
    select
        dates.month_start_on,
        calls.source_key,
        calls.reporting_employee_key,
        case
            when calls.call_sources <> 'crm_and_pbx' and calls.phone_e164 is null
                then 'without_number'
            else calls.call_sources
        end as place
    from calls
    inner join coverage
        on calls.source_key = coverage.source_key
        and calls.started_at >= coverage.pbx_from_at
        and calls.started_at <= coverage.known_until_at
    inner join dates
        on calls.started_on = dates.date_day
),

counted as (
    select
        month_start_on,
        source_key,
        reporting_employee_key,
        count(*) as calls_count,
        count(*) filter (where place = 'crm_and_pbx') as crm_and_pbx_count,
        count(*) filter (where place = 'crm') as crm_only_count,
        count(*) filter (where place = 'pbx') as pbx_only_count,
        count(*) filter (where place = 'without_number') as without_number_count
    from compared
    group by month_start_on, source_key, reporting_employee_key
)

select
    {{ hash_key([
        'counted.source_key', "'call sources'", 'counted.month_start_on',
        'counted.reporting_employee_key',
    ]) }} as call_sources_key,
    counted.month_start_on,
    counted.source_key,
    counted.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    counted.calls_count::bigint as calls_count,
    counted.crm_and_pbx_count::bigint as crm_and_pbx_count,
    counted.crm_only_count::bigint as crm_only_count,
    counted.pbx_only_count::bigint as pbx_only_count,
    counted.without_number_count::bigint as without_number_count,
    (counted.crm_only_count + counted.crm_and_pbx_count)::bigint as crm_count,
    (counted.pbx_only_count + counted.crm_and_pbx_count)::bigint as pbx_count,
    (
        counted.crm_only_count
        / nullif(counted.crm_only_count + counted.crm_and_pbx_count, 0)
    )::double as not_through_pbx_share,
    (
        counted.pbx_only_count
        / nullif(counted.pbx_only_count + counted.crm_and_pbx_count, 0)
    )::double as not_in_crm_share
from counted
inner join employees
    on counted.reporting_employee_key = employees.employee_key
