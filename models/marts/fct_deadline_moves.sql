{{ config(materialized='affected_keys', affected_by=['task_key']) }}

with deadline_moves as (
    select * from {{ ref('int_deadline_moves') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    deadline_moves.deadline_move_key,
    deadline_moves.source_key,
    deadline_moves.task_key,
    tasks.card_key,
    deadline_moves.moved_at,
    days.date_day as moved_on,
    deadline_moves.deadline_from_at,
    deadline_moves.deadline_to_at,
    deadline_moves.is_lower_bound,
    -- Who moved it; where that is not known, whose task it is.
    coalesce(deadline_moves.mover_employee_key, tasks.owner_employee_key) as employee_key,
    {{ reporting_key(
        'employees', 'days.date_day',
        'coalesce(deadline_moves.mover_employee_key, tasks.owner_employee_key)'
    ) }} as reporting_employee_key
from deadline_moves
inner join tasks
    on deadline_moves.task_key = tasks.task_key
inner join days
    on deadline_moves.moved_at::date = days.utc_on
    and deadline_moves.moved_at >= days.starts_at
    and deadline_moves.moved_at < days.ends_at
left join employees
    on coalesce(deadline_moves.mover_employee_key, tasks.owner_employee_key)
    = employees.employee_key
