with source as (
    select * from {{ source('raw_company', 'quality_rules') }}
)

select
    company,
    long_call_hours,
    duplicate_call_seconds,
    method_share_move,
    unknown_number_share,
    share_calls_min,
    stale_hours,
    usual_rows_min
from source
