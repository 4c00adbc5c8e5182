with source as (
    select * from {{ source('raw_amocrm', 'account') }}
)

select
    source_key,
    id as account_id,
    name as account_name,
    subdomain,
    currency as currency_code,
    country as country_code,
    {{ utc('received_at') }} as received_at
from source
