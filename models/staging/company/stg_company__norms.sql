with source as (
    select * from {{ source('raw_company', 'norms') }}
)

select
    metric as metric_name,
    source_key,
    pipeline_id,
    stage_id,
    employee_id,
    department as department_name,
    period,
    valid_from as valid_from_on,
    value as norm_value,
    line
from source
