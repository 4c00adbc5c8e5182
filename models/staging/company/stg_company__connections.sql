with source as (
    select * from {{ source('raw_company', 'connections') }}
)

select
    source_key,
    system,
    talk_basis,
    portal_url,
    source_field
from source
