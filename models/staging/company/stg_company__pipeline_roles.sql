with source as (
    select * from {{ source('raw_company', 'pipeline_roles') }}
)

select
    source_key,
    pipeline_id,
    role as pipeline_role,
    line
from source
