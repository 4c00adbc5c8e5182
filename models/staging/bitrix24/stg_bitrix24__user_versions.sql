with source as (
    select * from {{ source('raw_bitrix24', 'user_versions') }}
)

select
    source_key,
    id as employee_id,
    coalesce(active, true) as is_active,
    trim(concat_ws(' ', nullif(name, ''), nullif(last_name, ''))) as employee_name,
    {{ json_first_integer('uf_department') }} as department_id,
    nullif(work_position, '') as work_position,
    nullif(uf_phone_inner, '') as extension,
    user_type,
    {{ utc('last_login') }} as last_login_at,
    {{ utc('last_activity_date') }} as last_activity_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
