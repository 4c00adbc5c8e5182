-- One row per call in the normal form of all systems.
with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
    where call_id = representative_id
),

call_types as (
    select * from {{ ref('bitrix24_call_types') }}
),

call_results as (
    select * from {{ ref('bitrix24_call_results') }}
),

phone_numbers as (
    select * from {{ ref('stg_derived__phone_numbers') }}
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
    call_rows.talk_basis,
    call_rows.talker_id,
    call_rows.line,
    phone_numbers.phone_e164,
    call_rows.recording_url
from call_rows
left join call_types
    on call_rows.call_type = call_types.call_type
left join call_results
    on call_rows.result_code = call_results.result_code
left join phone_numbers
    on call_rows.phone = phone_numbers.phone
    and call_rows.phone_region = phone_numbers.phone_region
