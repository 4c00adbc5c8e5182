with source as (
    select * from {{ source('raw_company', 'absences') }}
)

select
    source_key,
    employee_id,
    from_on,
    until_on,
    line
from source
