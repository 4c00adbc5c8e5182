{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_unified') }}
),

with_client as (
    select * from {{ ref('int_calls_with_client') }}
),

matched as (
    select * from {{ ref('int_calls_matched_to_cards') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

shared_lines as (
    select * from {{ ref('int_calls_on_shared_lines') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

-- Whom reports credit: the talker, unless the company holds back or spreads the calls of lines that
-- several share.
credited as (
    select
        calls.*,
        shared_lines.call_key is not null as is_on_shared_line,
        case
            when shared_lines.call_key is null or rules.shared_lines = 'count'
                then coalesce(calls.talker_employee_key, {{ nobody_key() }})
            when rules.shared_lines = 'hold_back' then {{ shared_line_key() }}
            else shared_lines.turn_employee_key
        end as credited_employee_key,
        shared_lines.call_key is not null and rules.shared_lines = 'spread' as is_spread
    from calls
    cross join rules
    left join shared_lines
        on calls.call_key = shared_lines.call_key
)

select
    credited.call_key,
    credited.source_key,
    credited.call_sources,
    credited.pair_basis,
    credited.call_id,
    credited.system_call_id,
    credited.pbx_source_key,
    credited.pbx_call_id,
    credited.started_at,
    credited.answered_at,
    days.date_day as started_on,
    credited.direction,
    credited.is_external,
    credited.call_result,
    credited.is_answered,
    credited.is_successful,
    credited.wait_seconds::integer as wait_seconds,
    credited.talk_seconds::integer as talk_seconds,
    credited.total_seconds::integer as total_seconds,
    credited.talk_basis,
    coalesce(credited.talker_employee_key, {{ nobody_key() }}) as talker_employee_key,
    credited.talker_basis,
    {{ reporting_key('employees', 'days.date_day', 'credited.credited_employee_key') }}
        as reporting_employee_key,
    credited.is_on_shared_line,
    credited.is_spread,
    credited.line,
    credited.extension,
    credited.extensions as rung_extensions,
    credited.leg_count::integer as leg_count,
    credited.phone_e164,
    with_client.client_key,
    coalesce(with_client.client_basis, 'none') as client_basis,
    coalesce(with_client.is_shared_number, false) as is_shared_number,
    case when credited.is_external then matched.match_method else 'not_external' end
        as match_method,
    cards.card_type,
    matched.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    matched.stage_visit_key,
    visits.pipeline_key,
    visits.stage_key,
    coalesce(matched.is_ambiguous, false) as is_ambiguous,
    credited.recording_url
from credited
inner join days
    on credited.started_at::date = days.utc_on
    and credited.started_at >= days.starts_at
    and credited.started_at < days.ends_at
left join with_client
    on credited.call_key = with_client.call_key
left join matched
    on credited.call_key = matched.call_key
left join cards
    on matched.card_key = cards.card_key
left join visits
    on matched.stage_visit_key = visits.stage_visit_key
left join employees
    on credited.credited_employee_key = employees.employee_key
