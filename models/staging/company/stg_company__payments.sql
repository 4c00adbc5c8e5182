with source as (
    select * from {{ source('raw_company', 'payments') }}
)

select
    source_key,
    deal_id,
    paid_on,
    amount,
    currency as currency_code,
    payment_id,
    line
from source
