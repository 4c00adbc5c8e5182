with source as (
    select * from {{ source('raw_company', 'segments') }}
)

select
    segment_type,
    source_key,
    field as custom_field
from source
