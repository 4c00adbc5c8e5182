{{ config(meta={'dagster': {'ref': {'name': 'metric_call_sources__by_employee'}}}) }}
-- Calls by where they stand are all external calls since the telephony's first one, each once.
with calls as (
    select
        calls.source_key,
        count(*) as calls_count,
        count(*) filter (where calls.call_sources = 'crm_and_pbx') as crm_and_pbx_count
    from {{ ref('fct_calls') }} as calls
    inner join {{ ref('int_call_coverage') }} as coverage
        on calls.source_key = coverage.source_key
        and calls.started_at >= coverage.pbx_from_at
        and calls.started_at <= coverage.known_until_at
    where calls.is_external
    group by calls.source_key
),

by_employee as (
    select
        source_key,
        sum(calls_count) as calls_count,
        sum(crm_and_pbx_count) as crm_and_pbx_count,
        sum(crm_and_pbx_count + crm_only_count + pbx_only_count + without_number_count)
            as placed_count
    from {{ ref('metric_call_sources__by_employee') }}
    group by source_key
)

select
    coalesce(calls.source_key, by_employee.source_key) as source_key,
    calls.calls_count,
    by_employee.calls_count as counted_count,
    by_employee.placed_count
from calls
full outer join by_employee
    on calls.source_key = by_employee.source_key
where
    calls.calls_count is distinct from by_employee.calls_count
    or calls.crm_and_pbx_count is distinct from by_employee.crm_and_pbx_count
    or calls.calls_count is distinct from by_employee.placed_count
