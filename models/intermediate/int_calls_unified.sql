-- Calls of all systems, one row each. The CRM's row and the telephony's row of one call are one:
-- the CRM says whose it is and when it began, the telephony how it went. A call that only the
-- telephony has belongs to the CRM connection that it is tied to.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with crm_calls as (
    select * from {{ ref('int_crm_calls') }}
),

pbx_calls as (
    select * from {{ ref('int_pbx_calls') }}
),

pairs as (
    select
        call_key,
        pbx_call_key,
        'id' as pair_basis
    from {{ ref('int_calls_paired_by_id') }}
    union all
    select
        call_key,
        pbx_call_key,
        'phone' as pair_basis
    from {{ ref('int_calls_paired_by_phone') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

of_crm as (
    select
        crm_calls.*,
        pairs.pbx_call_key,
        pairs.pair_basis
    from crm_calls
    left join pairs
        on crm_calls.call_key = pairs.call_key
),

joined as (
    select
        coalesce(of_crm.call_key, pbx_calls.pbx_call_key) as call_key,
        coalesce(of_crm.source_key, pbx_calls.crm_source_key, pbx_calls.source_key) as source_key,
        case
            when pbx_calls.pbx_call_key is null then 'crm'
            when of_crm.call_key is null then 'pbx'
            else 'crm_and_pbx'
        end as call_sources,
        of_crm.pair_basis,
        of_crm.call_id,
        of_crm.system_call_id,
        pbx_calls.source_key as pbx_source_key,
        pbx_calls.pbx_call_key,
        pbx_calls.pbx_call_id,
        coalesce(of_crm.started_at, pbx_calls.started_at) as started_at,
        pbx_calls.answered_at,
        -- A type of the CRM's that has no direction gets the telephony's.
        coalesce(of_crm.direction, nullif(pbx_calls.direction, 'unknown')) as direction,
        coalesce(of_crm.is_external, pbx_calls.is_external) as is_external,
        case
            when pbx_calls.call_result <> 'unknown' then pbx_calls.call_result
            else coalesce(of_crm.call_result, pbx_calls.call_result)
        end as call_result,
        case
            when pbx_calls.call_result <> 'unknown' then pbx_calls.is_answered
            else coalesce(of_crm.is_answered, pbx_calls.is_answered)
        end as is_answered,
        -- To the telephony nobody has answered: it waited to the end; to the CRM somebody did.
        case
            when pbx_calls.call_result <> 'unknown' or not coalesce(of_crm.is_answered, false)
                then pbx_calls.wait_seconds
        end as wait_seconds,
        pbx_calls.talk_seconds as pbx_talk_seconds,
        of_crm.total_seconds as crm_seconds,
        coalesce(pbx_calls.total_seconds, of_crm.total_seconds) as total_seconds,
        pbx_calls.talk_basis as pbx_talk_basis,
        of_crm.talk_basis as crm_talk_basis,
        -- The telephony measures talk. Where it has the length of the whole call only, the CRM's
        -- length stands, unless to the CRM nobody answered; what the telephony can't tell the
        -- outcome of it has not measured.
        of_crm.call_key is null
        or (
            pbx_calls.call_result <> 'unknown'
            and (pbx_calls.talk_basis = 'talk' or not of_crm.is_answered)
        ) as is_measured_by_pbx,
        -- Who is merely responsible for the CRM's record was not necessarily on the phone.
        case
            when of_crm.talker_basis = 'crm_user' then of_crm.talker_id
            else coalesce(pbx_calls.talker_id, of_crm.talker_id)
        end as talker_id,
        case
            when of_crm.talker_basis = 'crm_user' or pbx_calls.talker_id is null
                then coalesce(of_crm.talker_basis, 'unknown')
            else pbx_calls.talker_basis
        end as talker_basis,
        coalesce(pbx_calls.line, of_crm.line) as line,
        pbx_calls.extension,
        pbx_calls.extensions,
        pbx_calls.leg_count,
        coalesce(of_crm.phone_e164, pbx_calls.phone_e164) as phone_e164,
        coalesce(of_crm.recording_url, pbx_calls.recording_url) as recording_url,
        case when of_crm.call_key is not null then of_crm.source_key else pbx_calls.source_key end
            as origin_source_key,
        coalesce(of_crm.entity, pbx_calls.entity) as entity
    from of_crm
    full outer join pbx_calls
        on of_crm.pbx_call_key = pbx_calls.pbx_call_key
),

measured as (
    select
        *,
        case
            when not is_answered then 0
            when is_measured_by_pbx then pbx_talk_seconds
            else crm_seconds
        end as talk_seconds,
        case when is_measured_by_pbx then pbx_talk_basis else crm_talk_basis end as talk_basis
    from joined
)

select
    measured.call_key,
    measured.source_key,
    measured.call_sources,
    measured.pair_basis,
    measured.call_id,
    measured.system_call_id,
    measured.pbx_source_key,
    measured.pbx_call_key,
    measured.pbx_call_id,
    measured.started_at,
    measured.answered_at,
    measured.direction,
    measured.is_external,
    measured.call_result,
    measured.is_answered,
    measured.wait_seconds,
    measured.talk_seconds,
    greatest(measured.total_seconds, measured.talk_seconds) as total_seconds,
    measured.talk_basis,
    measured.is_answered and measured.talk_seconds >= rules.successful_call_seconds
        as is_successful,
    case
        when measured.talker_id is not null
            then {{ hash_key(['measured.source_key', 'measured.talker_id']) }}
    end as talker_employee_key,
    measured.talker_basis,
    measured.line,
    measured.extension,
    measured.extensions,
    measured.leg_count,
    measured.phone_e164,
    measured.recording_url,
    measured.origin_source_key,
    measured.entity
from measured
cross join rules
