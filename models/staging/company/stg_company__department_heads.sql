with source as (
    select * from {{ source('raw_company', 'department_heads') }}
)

select
    source_key,
    department as department_name,
    employee_id,
    line
from source
