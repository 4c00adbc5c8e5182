-- Departments that the portal lists or once listed.
with departments as (
    select * from {{ ref('stg_bitrix24__departments') }}
),

versions as (
    select * from {{ ref('stg_bitrix24__department_versions') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

newest_versions as (
    select
        *,
        row_number() over (
            partition by source_key, department_id
            order by first_seen_at desc
        ) as age
    from versions
)

select
    departments.source_key,
    departments.department_id,
    departments.department_name,
    departments.parent_department_id,
    departments.head_employee_id,
    departments.received_at >= connections.as_of_at as is_listed
from departments
inner join connections
    on departments.source_key = connections.source_key
union all
-- Versions outlive the list: what is gone when a warehouse is restored stands only in them.
select
    newest_versions.source_key,
    newest_versions.department_id,
    newest_versions.department_name,
    newest_versions.parent_department_id,
    newest_versions.head_employee_id,
    false as is_listed
from newest_versions
left join departments
    on newest_versions.source_key = departments.source_key
    and newest_versions.department_id = departments.department_id
where newest_versions.age = 1 and departments.department_id is null
