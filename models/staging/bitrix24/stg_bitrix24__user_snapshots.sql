with source as (
    select * from {{ source('raw_bitrix24', 'user_snapshots') }}
)

select
    source_key,
    id as employee_id,
    observed_on::date as observed_on,
    coalesce(is_active, true) as is_active,
    {{ utc('last_login') }} as last_login_at,
    {{ utc('last_activity_date') }} as last_activity_at
from source
