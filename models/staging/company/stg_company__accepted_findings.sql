with source as (
    select * from {{ source('raw_company', 'accepted_findings') }}
)

select
    rule as rule_id,
    coalesce(source_key, '(all)') as source_key,
    entity,
    record as record_id,
    until_on as accepted_until_on,
    who as accepted_by,
    why as accepted_reason,
    line
from source
