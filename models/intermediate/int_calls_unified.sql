-- Calls of all systems, one row each, with talker, client and thresholds applied.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__calls') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
)

select
    bitrix24.call_key,
    bitrix24.source_key,
    bitrix24.call_id,
    bitrix24.id_order,
    bitrix24.system_call_id,
    bitrix24.started_at,
    bitrix24.direction,
    bitrix24.is_external,
    bitrix24.call_result,
    bitrix24.is_answered,
    case when bitrix24.is_answered then bitrix24.total_seconds else 0 end as talk_seconds,
    bitrix24.total_seconds,
    bitrix24.talk_basis,
    bitrix24.is_answered
    and bitrix24.total_seconds >= rules.successful_call_seconds as is_successful,
    case
        when bitrix24.talker_id is not null
            then {{ hash_key(['bitrix24.source_key', 'bitrix24.talker_id']) }}
    end as talker_employee_key,
    case when bitrix24.talker_id is not null then 'crm_user' else 'unknown' end as talker_basis,
    bitrix24.line,
    bitrix24.phone_e164,
    bitrix24.recording_url
from bitrix24
cross join rules
