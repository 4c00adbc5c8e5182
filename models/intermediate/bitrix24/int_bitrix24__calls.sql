-- One row per call in the normal form of all systems.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
    where call_id = representative_id
),

call_types as (
    select * from {{ ref('bitrix24_call_types') }}
),

call_results as (
    select * from {{ ref('bitrix24_call_results') }}
)

select
    call_rows.call_key,
    call_rows.source_key,
    call_rows.call_id,
    call_rows.call_id as id_order,
    call_rows.system_call_id,
    call_rows.started_at,
    call_types.direction,
    not coalesce(call_types.is_informational, false)
    and coalesce(call_rows.call_category, 'external') = 'external' as is_external,
    coalesce(call_results.call_result, call_rows.result_code, 'unknown') as call_result,
    -- The system's result decides; without one, talk does.
    case
        when call_rows.result_code is not null then call_rows.result_code = '200'
        else coalesce(call_rows.duration_seconds, 0) > 0
    end as is_answered,
    greatest(coalesce(call_rows.duration_seconds, 0), 0) as total_seconds,
    call_rows.talker_id,
    case when call_rows.talker_id is not null then 'crm_user' else 'unknown' end as talker_basis,
    call_rows.line,
    call_rows.phone,
    call_rows.recording_url,
    'calls' as entity
from call_rows
left join call_types
    on call_rows.call_type = call_types.call_type
left join call_results
    on call_rows.result_code = call_results.result_code
