with source as (
    select * from {{ source('raw_bitrix24', 'users') }}
)

select
    source_key,
    id as employee_id,
    xml_id as origin_id,
    coalesce(active, true) as is_active,
    trim(concat_ws(' ', nullif(name, ''), nullif(last_name, ''))) as employee_name,
    {{ utc('last_login') }} as last_login_at,
    {{ utc('last_activity_date') }} as last_activity_at,
    {{ utc('date_register') }} as registered_at,
    nullif(work_position, '') as work_position,
    {{ json_first_integer('uf_department') }} as department_id,
    nullif(uf_phone_inner, '') as extension,
    user_type,
    {{ utc('received_at') }} as received_at
from source
