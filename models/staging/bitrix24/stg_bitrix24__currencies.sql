with source as (
    select * from {{ source('raw_bitrix24', 'currencies') }}
)

select
    source_key,
    currency as currency_code,
    full_name as currency_name,
    sort as currency_sort,
    coalesce(base, false) as is_base,
    amount as exchange_rate,
    amount_cnt as exchange_rate_nominal,
    {{ utc('date_update') }} as modified_at,
    {{ utc('received_at') }} as received_at
from source
