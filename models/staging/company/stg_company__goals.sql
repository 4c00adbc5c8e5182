with source as (
    select * from {{ source('raw_company', 'goals') }}
)

select
    metric as metric_name,
    source_key,
    pipeline_id,
    stage_id,
    employee_id,
    department as department_name,
    period,
    starts_on,
    value as goal_value,
    line
from source
