with source as (
    select * from {{ source('raw_company', 'telephony_values') }}
)

select
    source_key,
    kind,
    raw_value,
    value as normal_value
from source
