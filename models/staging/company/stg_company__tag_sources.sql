with source as (
    select * from {{ source('raw_company', 'tag_sources') }}
)

select
    source_key,
    tag as tag_name,
    source_name,
    position as rule_order
from source
