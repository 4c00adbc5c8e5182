with source as (
    select * from {{ source('raw_telephony', 'binotel_calls') }}
)

select
    source_key,
    general_call_id as call_id,
    nullif(call_id, '') as link_id,
    call_type,
    {{ utc('start_time') }} as started_at,
    nullif(internal_number, '') as extension,
    nullif(external_number, '') as client_phone,
    waitsec as wait_seconds,
    billsec as talk_seconds,
    upper(disposition) as result_code,
    nullif({{ json_path_text('pbx_number_data', '$.number') }}, '') as line,
    nullif({{ json_path_text('employee_data', '$.name') }}, '') as talker_name,
    {{ utc('received_at') }} as received_at
from source
