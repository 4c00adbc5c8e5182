with source as (
    select * from {{ source('raw_bitrix24', 'departments') }}
)

select
    source_key,
    id as department_id,
    name as department_name,
    nullif(parent, 0) as parent_department_id,
    nullif(uf_head, 0) as head_employee_id,
    {{ utc('received_at') }} as received_at
from source
