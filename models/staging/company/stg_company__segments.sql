with source as (
    select * from {{ source('raw_company', 'segments') }}
)

select
    segment_type,
    field as custom_field
from source
