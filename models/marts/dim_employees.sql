-- Employees and the rows that stand for no single person: former employees (to reassign), nobody,
-- and lines that several share, where the company holds their calls back. Reports group by the
-- reporting keys; the true key stays behind them.
with employees as (
    select * from {{ ref('int_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

first_actions as (
    select * from {{ ref('int_first_actions') }}
),

people as (
    select
        employees.employee_key,
        employees.person_key,
        employees.source_key,
        employees.employee_id,
        employees.origin_id,
        employees.employee_name,
        case when employees.is_system then 'system' else 'person' end as employee_kind,
        employees.is_active,
        employees.department_id,
        employees.department_name,
        employees.extension,
        employees.dismissed_on,
        employees.dismissed_on_basis,
        -- People are former when the last of their accounts is; what nobody is listed behind (a
        -- system account) is never dismissed and keeps nobody.
        coalesce(
            max(case when not employees.is_system then employees.former_from_on end) over person,
            employees.former_from_on
        ) as former_from_on,
        employees.registered_on,
        {{ local_date('first_actions.first_action_at', 'connections.time_zone') }}
            as first_action_on,
        -- One word on a person in all reports: former now, as soon as one connection's now says so.
        max(connections.as_of_on) over person as as_of_on
    from employees
    inner join connections
        on employees.source_key = connections.source_key
    left join first_actions
        on employees.employee_key = first_actions.employee_key
    window person as (partition by employees.person_key)
)

select
    employee_key,
    person_key,
    source_key,
    employee_id,
    origin_id,
    employee_name,
    employee_kind,
    is_active,
    department_id,
    case
        when department_id is not null
            then {{ hash_key(['source_key', "'department'", 'department_id']) }}
    end as department_key,
    coalesce(department_name, '(not set)') as department_name,
    extension,
    coalesce(registered_on, first_action_on) as hired_on,
    case
        when registered_on is not null then 'registered'
        when first_action_on is not null then 'first_action'
        else 'unknown'
    end as hired_on_basis,
    dismissed_on,
    dismissed_on_basis,
    former_from_on,
    case
        when former_from_on <= as_of_on then {{ former_employees_key() }}
        else person_key
    end as current_reporting_key
from people
union all
select
    {{ former_employees_key() }} as employee_key,
    {{ former_employees_key() }} as person_key,
    '(all)' as source_key,
    null as employee_id,
    null as origin_id,
    'Former employees (to reassign)' as employee_name,
    'former' as employee_kind,
    false as is_active,
    null as department_id,
    null as department_key,
    '(former employees)' as department_name,
    null as extension,
    null as hired_on,
    null as hired_on_basis,
    null as dismissed_on,
    null as dismissed_on_basis,
    date '9999-12-31' as former_from_on,
    {{ former_employees_key() }} as current_reporting_key
union all
select
    {{ nobody_key() }} as employee_key,
    {{ nobody_key() }} as person_key,
    '(all)' as source_key,
    null as employee_id,
    null as origin_id,
    '(not set)' as employee_name,
    'nobody' as employee_kind,
    true as is_active,
    null as department_id,
    null as department_key,
    '(not set)' as department_name,
    null as extension,
    null as hired_on,
    null as hired_on_basis,
    null as dismissed_on,
    null as dismissed_on_basis,
    date '9999-12-31' as former_from_on,
    {{ nobody_key() }} as current_reporting_key
union all
select
    {{ shared_line_key() }} as employee_key,
    {{ shared_line_key() }} as person_key,
    '(all)' as source_key,
    null as employee_id,
    null as origin_id,
    '(shared line)' as employee_name,
    'shared_line' as employee_kind,
    true as is_active,
    null as department_id,
    null as department_key,
    '(shared line)' as department_name,
    null as extension,
    null as hired_on,
    null as hired_on_basis,
    null as dismissed_on,
    null as dismissed_on_basis,
    date '9999-12-31' as former_from_on,
    {{ shared_line_key() }} as current_reporting_key
