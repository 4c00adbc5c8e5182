with norms as (
    select * from {{ ref('stg_company__norms') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

keyed as (
    select
        {{ hash_key([
            "'norm'", 'metric_name', "coalesce(source_key, '')",
            "coalesce(pipeline_id::varchar, '')", "coalesce(stage_id, '')",
            "coalesce(employee_id::varchar, '')", "coalesce(department_name, '')", 'period',
            'valid_from_on',
        ]) }} as norm_key,
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
        end as norm_for,
        period as period_type,
        valid_from_on,
        -- A norm holds until the next one for the same metric, stage, people and period.
        coalesce(
            lead(valid_from_on) over (
                partition by
                    metric_name, source_key, pipeline_id, stage_id, employee_id, department_name,
                    period
                order by valid_from_on
            ),
            date '9999-12-31'
        ) as valid_to_on,
        norm_value
    from norms
)

select
    keyed.norm_key,
    keyed.metric_name,
    keyed.source_key,
    keyed.stage_key,
    case
        when employees.former_from_on <= keyed.valid_from_on then {{ former_employees_key() }}
        else coalesce(employees.person_key, keyed.employee_key)
    end as reporting_employee_key,
    keyed.employee_key,
    keyed.department_name,
    keyed.norm_for,
    keyed.period_type,
    keyed.valid_from_on,
    case
        when employees.former_from_on > keyed.valid_from_on
            then least(keyed.valid_to_on, employees.former_from_on)
        else keyed.valid_to_on
    end as valid_to_on,
    keyed.norm_value
from keyed
left join employees
    on keyed.employee_key = employees.employee_key
