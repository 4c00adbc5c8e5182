with source as (
    select * from {{ source('raw_company', 'extensions') }}
)

select
    source_key,
    extension,
    employee_id,
    from_on,
    until_on,
    line
from source
