with source as (
    select * from {{ source('raw_derived', 'forecasts') }}
)

select
    source_key,
    made_on,
    {{ utc('made_at') }} as made_at,
    period_type,
    starts_on,
    ends_on,
    pipeline_key,
    reporting_employee_key,
    won_count,
    won_amount,
    expected_deals_count,
    expected_count,
    expected_amount
from source
