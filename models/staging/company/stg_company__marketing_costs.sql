with source as (
    select * from {{ source('raw_company', 'marketing_costs') }}
)

select
    source_key,
    source as source_name,
    utm_source,
    utm_medium,
    utm_campaign,
    from_on,
    until_on,
    amount,
    currency as currency_code,
    line
from source
