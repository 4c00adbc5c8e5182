with source as (
    select * from {{ source('raw_company', 'stage_roles') }}
)

select
    source_key,
    pipeline_id,
    stage_id,
    role as stage_role,
    line
from source
