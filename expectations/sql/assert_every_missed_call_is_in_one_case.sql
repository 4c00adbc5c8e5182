{{ config(meta={'dagster': {'ref': {'name': 'metric_missed_calls__by_case'}}}) }}
-- Missed calls over all cases are the inbound calls that nobody answered, and the days add up to
-- the cases.
with missed as (
    select
        source_key,
        count(*) as calls_count
    from {{ ref('fct_calls') }}
    where is_external and direction = 'inbound' and not is_answered
    group by source_key
),

by_case as (
    select
        source_key,
        sum(missed_count) as calls_count,
        count(*) as cases_count
    from {{ ref('metric_missed_calls__by_case') }}
    group by source_key
),

by_day as (
    select
        source_key,
        sum(missed_count) as calls_count,
        sum(in_time_count + late_count + pending_count + lost_count + anonymous_count)
            as cases_count
    from {{ ref('metric_missed_calls__by_day') }}
    group by source_key
    having sum(missed_count) > 0
)

select
    coalesce(missed.source_key, by_case.source_key, by_day.source_key) as source_key,
    missed.calls_count,
    by_case.calls_count as calls_in_cases_count,
    by_day.calls_count as calls_by_day_count,
    by_case.cases_count,
    by_day.cases_count as cases_by_day_count
from missed
full outer join by_case
    on missed.source_key = by_case.source_key
full outer join by_day
    on coalesce(missed.source_key, by_case.source_key) = by_day.source_key
where
    missed.calls_count is distinct from by_case.calls_count
    or missed.calls_count is distinct from by_day.calls_count
    or by_case.cases_count is distinct from by_day.cases_count
