{{ config(meta={'dagster': {'ref': {'name': 'dim_employee_versions'}}}) }}
-- An employee has one version at every instant.
with versions as (
    select
        *,
        row_number() over (partition by employee_key order by valid_from_at) as place,
        lead(valid_from_at) over (partition by employee_key order by valid_from_at)
            as next_from_at
    from {{ ref('dim_employee_versions') }}
),

employees as (
    select * from {{ ref('int_employees') }}
)

select
    employees.employee_key,
    versions.valid_from_at,
    versions.valid_to,
    versions.next_from_at
from employees
left join versions
    on employees.employee_key = versions.employee_key
where
    versions.employee_key is null
    or (versions.place = 1 and versions.valid_from_at <> {{ beginning_of_time() }})
    or versions.valid_to <> coalesce(versions.next_from_at, {{ end_of_time() }})
