with source as (
    select * from {{ source('raw_derived', 'phone_numbers') }}
)

select
    raw_text as phone,
    region as phone_region,
    phone_e164
from source
