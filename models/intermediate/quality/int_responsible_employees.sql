-- Who mends what stands under an employee: the employee, or once they have left the nearest head of
-- a department above them who has not. Departments hang on each other for 30 steps at most.
with recursive employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

departments as (
    select * from {{ ref('dim_departments') }}
),

present_heads as (
    select
        departments.department_key,
        employees.current_reporting_key as head_employee_key
    from departments
    inner join employees
        on departments.head_employee_key = employees.employee_key
        and employees.current_reporting_key <> {{ former_employees_key() }}
),

above as (
    select
        department_key,
        department_key as above_department_key,
        0 as distance
    from departments
    union all
    select
        above.department_key,
        departments.parent_department_key as above_department_key,
        above.distance + 1 as distance
    from above
    inner join departments
        on above.above_department_key = departments.department_key
    where departments.parent_department_key is not null and above.distance < 30
),

heads as (
    select
        above.department_key,
        min_by(present_heads.head_employee_key, above.distance) as head_employee_key
    from above
    inner join present_heads
        on above.above_department_key = present_heads.department_key
    group by above.department_key
)

select
    employees.employee_key,
    case
        when employees.current_reporting_key <> {{ former_employees_key() }}
            then employees.current_reporting_key
        else heads.head_employee_key
    end as responsible_employee_key,
    case
        when employees.current_reporting_key <> {{ former_employees_key() }} then 'self'
        when heads.head_employee_key is not null then 'head'
        else 'nobody'
    end as responsible_basis
from employees
left join heads
    on employees.department_key = heads.department_key
