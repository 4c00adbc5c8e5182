with source as (
    select * from {{ source('raw_company', 'journey_steps') }}
)

select
    source_key,
    funnel as funnel_name,
    step_number,
    step_name,
    pipeline_id,
    stage_id,
    line
from source
