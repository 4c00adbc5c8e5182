-- Who is meant by a department's name: whoever is in it, or in one below it, in any system.
with accounts as (
    select * from {{ ref('dim_employees') }}
    where employee_kind = 'person'
),

departments as (
    select * from {{ ref('dim_departments') }}
),

below as (
    select
        above.department_name,
        departments.department_key,
        departments.department_key = above.department_key as is_direct
    from departments
    inner join departments as above
        on departments.source_key = above.source_key
    where
        departments.department_path = above.department_path
        or starts_with(departments.department_path, above.department_path || ' / ')
),

members as (
    select
        below.department_name,
        accounts.person_key as employee_key,
        below.is_direct
    from accounts
    inner join below
        on accounts.department_key = below.department_key
    union all
    -- A department that only employees.csv knows.
    select
        department_name,
        person_key as employee_key,
        true as is_direct
    from accounts
    where department_key is null
)

select
    {{ hash_key(['department_name', 'employee_key']) }} as department_employee_key,
    department_name,
    employee_key,
    bool_or(is_direct) as is_direct
from members
group by department_name, employee_key
