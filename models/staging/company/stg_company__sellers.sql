with source as (
    select * from {{ source('raw_company', 'sellers') }}
)

select
    source_key,
    employee_id,
    department as department_name,
    line
from source
