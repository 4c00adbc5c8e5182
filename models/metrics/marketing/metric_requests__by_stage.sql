-- R17: where the requests of a month stand now and with whom.
with requests as (
    select * from {{ ref('metric_requests__by_request') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

counted as (
    select
        requests.source_key,
        dates.month_start_on,
        requests.pipeline_key,
        requests.pipeline_name,
        requests.stage_key,
        requests.stage_name,
        requests.request_state,
        requests.current_reporting_employee_key,
        requests.employee_name,
        requests.department_name,
        count(*) as requests_count,
        count(*) filter (where requests.is_qualified) as qualified_count,
        count(*) filter (where requests.first_touch_at is null) as untouched_count,
        sum(requests.age_days) as age_days_sum,
        max(requests.age_days) as age_days_max
    from requests
    inner join dates
        on requests.requested_on = dates.date_day
    group by all
)

select
    {{ hash_key([
        'source_key', 'month_start_on', "coalesce(pipeline_key, 0)", "coalesce(stage_key, 0)",
        'request_state', 'current_reporting_employee_key',
    ]) }} as request_stage_count_key,
    source_key,
    month_start_on,
    pipeline_key,
    pipeline_name,
    stage_key,
    stage_name,
    request_state,
    current_reporting_employee_key,
    employee_name,
    department_name,
    requests_count::bigint as requests_count,
    qualified_count::bigint as qualified_count,
    untouched_count::bigint as untouched_count,
    age_days_sum::bigint as age_days_sum,
    (age_days_sum / requests_count)::double as age_days_mean,
    age_days_max::double as age_days_max
from counted
