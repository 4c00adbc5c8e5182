with source as (
    select * from {{ source('raw_bitrix24', 'department_versions') }}
)

select
    source_key,
    id as department_id,
    name as department_name,
    nullif(parent, 0) as parent_department_id,
    nullif(uf_head, 0) as head_employee_id,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
