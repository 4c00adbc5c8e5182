with source as (
    select * from {{ source('raw_company', 'employees') }}
)

select
    source_key,
    employee_id,
    employee_name,
    nullif(department, '') as department_name,
    person,
    line
from source
