with source as (
    select * from {{ source('raw_company', 'retired_pipelines') }}
)

select
    source_key,
    pipeline_id
from source
