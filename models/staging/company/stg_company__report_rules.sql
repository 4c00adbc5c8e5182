with source as (
    select * from {{ source('raw_company', 'report_rules') }}
)

select
    company,
    forgotten_days,
    open_cards_limit
from source
