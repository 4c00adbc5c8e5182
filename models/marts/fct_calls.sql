with calls as (
    select * from {{ ref('int_calls_unified') }}
),

with_client as (
    select * from {{ ref('int_calls_with_client') }}
),

matched as (
    select * from {{ ref('int_calls_matched_to_cards') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    calls.call_key,
    calls.source_key,
    calls.call_sources,
    calls.pair_basis,
    calls.call_id,
    calls.system_call_id,
    calls.pbx_source_key,
    calls.pbx_call_id,
    calls.started_at,
    calls.answered_at,
    days.date_day as started_on,
    calls.direction,
    calls.is_external,
    calls.call_result,
    calls.is_answered,
    calls.is_successful,
    calls.wait_seconds::integer as wait_seconds,
    calls.talk_seconds::integer as talk_seconds,
    calls.total_seconds::integer as total_seconds,
    calls.talk_basis,
    coalesce(calls.talker_employee_key, {{ nobody_key() }}) as talker_employee_key,
    calls.talker_basis,
    case
        when employees.former_from_on <= days.date_day then {{ former_employees_key() }}
        else coalesce(calls.talker_employee_key, {{ nobody_key() }})
    end as reporting_employee_key,
    calls.line,
    calls.extension,
    calls.extensions as rung_extensions,
    calls.leg_count::integer as leg_count,
    calls.phone_e164,
    with_client.client_key,
    coalesce(with_client.client_basis, 'none') as client_basis,
    coalesce(with_client.is_shared_number, false) as is_shared_number,
    case when calls.is_external then matched.match_method else 'not_external' end as match_method,
    matched.deal_key,
    matched.stage_visit_key,
    visits.pipeline_key,
    visits.stage_key,
    coalesce(matched.is_ambiguous, false) as is_ambiguous,
    calls.recording_url
from calls
inner join days
    on calls.started_at::date = days.utc_on
    and calls.started_at >= days.starts_at
    and calls.started_at < days.ends_at
left join with_client
    on calls.call_key = with_client.call_key
left join matched
    on calls.call_key = matched.call_key
left join visits
    on matched.stage_visit_key = visits.stage_visit_key
left join employees
    on calls.talker_employee_key = employees.employee_key
