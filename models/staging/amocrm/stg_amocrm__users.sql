with source as (
    select * from {{ source('raw_amocrm', 'users') }}
)

select
    source_key,
    id as employee_id,
    trim(name) as employee_name,
    coalesce(is_active, true) as is_active,
    coalesce(is_admin, false) as is_administrator,
    nullif(group_id, 0) as group_id,
    {{ utc('received_at') }} as received_at
from source
