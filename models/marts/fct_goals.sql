with goals as (
    select * from {{ ref('stg_company__goals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

keyed as (
    select
        {{ hash_key([
            "'goal'", 'metric_name', "coalesce(source_key, '')",
            "coalesce(pipeline_id::varchar, '')", "coalesce(stage_id, '')",
            "coalesce(employee_id::varchar, '')", "coalesce(department_name, '')", 'period',
            'starts_on',
        ]) }} as goal_key,
        metric_name,
        source_key,
        case
            when stage_id is not null
                then {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }}
        end as stage_key,
        case when employee_id is not null then {{ hash_key(['source_key', 'employee_id']) }} end
            as employee_key,
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
)

select
    keyed.goal_key,
    keyed.metric_name,
    keyed.source_key,
    keyed.stage_key,
    case
        when employees.former_from_on <= keyed.starts_on then {{ former_employees_key() }}
        else coalesce(employees.person_key, keyed.employee_key)
    end as reporting_employee_key,
    keyed.employee_key,
    keyed.department_name,
    keyed.goal_for,
    keyed.period_type,
    keyed.starts_on,
    keyed.goal_value
from keyed
left join employees
    on keyed.employee_key = employees.employee_key
