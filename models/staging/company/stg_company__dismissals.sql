with source as (
    select * from {{ source('raw_company', 'dismissals') }}
)

select
    source_key,
    employee_id,
    dismissed_on,
    line
from source
