with goals as (
    select * from {{ ref('stg_company__goals') }}
)

select
    {{ hash_key([
        "'goal'", 'metric_name', "coalesce(source_key, '')", "coalesce(pipeline_id::varchar, '')",
        "coalesce(stage_id, '')", "coalesce(employee_id::varchar, '')",
        "coalesce(department_name, '')", 'period', 'starts_on',
    ]) }} as goal_key,
    metric_name,
    source_key,
    case
        when stage_id is not null then {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }}
    end as stage_key,
    case when employee_id is not null then {{ hash_key(['source_key', 'employee_id']) }} end
        as reporting_employee_key,
    department_name,
    case
        when employee_id is not null then 'employee'
        when department_name is not null then 'department'
        else 'company'
    end as goal_for,
    period as period_type,
    starts_on,
    goal_value
from goals
