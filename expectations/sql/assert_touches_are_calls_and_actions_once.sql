{{ config(meta={'dagster': {'ref': {'name': 'fct_touches'}}}) }}
-- Every call attempt is one touch, every other touch is one action of a person or an unnamed move.
with touches as (
    select
        touch_type,
        count(*) as touches_count
    from {{ ref('fct_touches') }}
    group by touch_type
),

calls as (
    select
        'call' as touch_type,
        count(*) as expected_count
    from {{ ref('fct_calls') }}
    where is_external and (direction = 'outbound' or (direction = 'inbound' and is_answered))
),

actions as (
    select
        case action_type when 'task_completed' then 'task' else action_type end as touch_type,
        count(*) as expected_count
    from {{ ref('int_crm_actions') }} as actions
    left join {{ ref('dim_employees') }} as employees
        on actions.employee_key = employees.employee_key
    where
        actions.is_touch
        and (
            employees.employee_kind = 'person'
            or (employees.employee_kind is null and actions.action_type = 'stage_move')
        )
    group by case action_type when 'task_completed' then 'task' else action_type end
),

expected as (
    select * from calls
    where expected_count > 0
    union all
    select * from actions
)

select
    coalesce(touches.touch_type, expected.touch_type) as touch_type,
    touches.touches_count,
    expected.expected_count
from touches
full outer join expected
    on touches.touch_type = expected.touch_type
where touches.touches_count is distinct from expected.expected_count
