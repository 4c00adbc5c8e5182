with source as (
    select * from {{ source('raw_company', 'owners') }}
)

select
    source_key,
    deal_id,
    employee_id,
    owned_from as owned_from_on,
    line
from source
