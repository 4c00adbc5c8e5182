-- How employees were called, where they worked and whether they were active, as loads have seen it.
-- The first version holds for all the time before it; whom no load has listed has one version.
with versions as (
    select * from {{ ref('int_account_versions') }}
),

employees as (
    select * from {{ ref('int_employees') }}
),

departments as (
    select * from {{ ref('int_departments') }}
),

sights as (
    select
        employees.employee_key,
        versions.first_seen_at,
        coalesce(nullif(versions.employee_name, ''), employees.employee_name) as employee_name,
        versions.department_id,
        versions.is_active,
        row_number() over (
            partition by employees.employee_key order by versions.first_seen_at
        ) as sight_number
    from versions
    inner join employees
        on versions.source_key = employees.source_key
        and versions.employee_id = employees.employee_id
),

compared as (
    select
        *,
        lag(employee_name) over employee as previous_name,
        lag(department_id) over employee as previous_department_id,
        lag(is_active) over employee as was_active
    from sights
    window employee as (partition by employee_key order by sight_number)
),

changes as (
    select
        employee_key,
        case when sight_number = 1 then {{ beginning_of_time() }} else first_seen_at end
            as valid_from_at,
        employee_name,
        department_id,
        is_active
    from compared
    where
        sight_number = 1
        or employee_name is distinct from previous_name
        or department_id is distinct from previous_department_id
        or is_active is distinct from was_active
    union all
    select
        employees.employee_key,
        {{ beginning_of_time() }} as valid_from_at,
        employees.employee_name,
        employees.department_id,
        employees.is_active
    from employees
    left join sights
        on employees.employee_key = sights.employee_key
    where sights.employee_key is null
)

select
    {{ hash_key(['changes.employee_key', 'changes.valid_from_at']) }} as employee_version_key,
    changes.employee_key,
    employees.source_key,
    employees.employee_id,
    changes.valid_from_at,
    coalesce(
        lead(changes.valid_from_at) over (
            partition by changes.employee_key order by changes.valid_from_at
        ),
        {{ end_of_time() }}
    ) as valid_to,
    changes.employee_name,
    case
        when departments.department_id is not null
            then {{ hash_key(
                ['departments.source_key', "'department'", 'departments.department_id']
            ) }}
    end as department_key,
    coalesce(departments.department_name, '(not set)') as department_name,
    changes.is_active
from changes
inner join employees
    on changes.employee_key = employees.employee_key
left join departments
    on employees.source_key = departments.source_key
    and changes.department_id = departments.department_id
