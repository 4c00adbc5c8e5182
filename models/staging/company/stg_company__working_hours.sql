with source as (
    select * from {{ source('raw_company', 'working_hours') }}
)

select
    weekday_number,
    from_minute,
    until_minute
from source
