with source as (
    select * from {{ source('raw_company', 'currency_rates') }}
)

select
    currency as currency_code,
    valid_from as valid_from_on,
    rate,
    line
from source
