-- One row per call in the normal form of all systems.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
    where note_id = representative_id
),

call_results as (
    select * from {{ ref('amocrm_call_statuses') }}
)

select
    call_rows.call_key,
    call_rows.source_key,
    call_rows.note_id as call_id,
    call_rows.note_id as id_order,
    call_rows.system_call_id,
    call_rows.started_at,
    case call_rows.note_type when 'call_in' then 'inbound' else 'outbound' end as direction,
    true as is_external,
    coalesce(
        call_results.call_result,
        'status ' || call_rows.call_status,
        'unknown'
    ) as call_result,
    -- The system's result decides; without one, talk does.
    coalesce(call_results.is_answered, coalesce(call_rows.duration_seconds, 0) > 0) as is_answered,
    greatest(coalesce(call_rows.duration_seconds, 0), 0) as total_seconds,
    call_rows.talker_id,
    call_rows.talker_basis,
    null::varchar as line,
    call_rows.phone,
    call_rows.recording_url,
    call_rows.entity
from call_rows
left join call_results
    on call_rows.call_status = call_results.call_status
