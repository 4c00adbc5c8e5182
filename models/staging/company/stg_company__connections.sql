with source as (
    select * from {{ source('raw_company', 'connections') }}
)

select
    source_key,
    system,
    is_crm,
    crm_source_key,
    tells_missed_calls,
    talk_basis,
    portal_url,
    source_field,
    internal_digits
from source
