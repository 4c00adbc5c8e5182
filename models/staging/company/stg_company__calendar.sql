with source as (
    select * from {{ source('raw_company', 'calendar') }}
)

select
    date_day,
    from_minute,
    until_minute,
    line
from source
