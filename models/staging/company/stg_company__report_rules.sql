with source as (
    select * from {{ source('raw_company', 'report_rules') }}
)

select
    company,
    forgotten_days,
    open_cards_limit,
    asleep_days,
    next_deal_days
from source
