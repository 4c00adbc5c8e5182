with source as (
    select * from {{ source('raw_bitrix24', 'calls') }}
)

select
    source_key,
    id as call_id,
    nullif(call_id, '') as system_call_id,
    nullif(external_call_id, '') as external_call_id,
    nullif(portal_user_id, 0) as talker_id,
    nullif(portal_number, '') as line,
    nullif(phone_number, '') as phone,
    nullif(call_category, '') as call_category,
    call_type,
    call_duration as duration_seconds,
    {{ utc('call_start_date') }} as started_at,
    nullif(call_record_url, '') as recording_url,
    nullif(call_failed_code, '') as result_code,
    upper(nullif(crm_entity_type, '')) as entity_type,
    nullif(crm_entity_id, 0) as entity_id,
    nullif(crm_activity_id, 0) as activity_id,
    {{ utc('received_at') }} as received_at
from source
