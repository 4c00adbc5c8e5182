-- Touches of cards and clients: a call attempt, a message, a meeting, a comment, a completed task,
-- a stage move by a person. Not of robots and imports, no mass moves, no moved deadlines, no task
-- merely planned. A move by somebody unknown counts as a person's.
{{ config(
    materialized='affected_keys',
    affected_by=['touch_key'],
    read_by='card_key as touched_card',
) }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and (direction = 'outbound' or (direction = 'inbound' and is_answered))
),

actions as (
    select * from {{ ref('int_crm_actions') }}
    where is_touch
),

cards as (
    select * from {{ ref('int_cards') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

unioned as (
    select
        {{ hash_key(["'call'", 'call_key']) }} as touch_key,
        'call' as touch_type,
        source_key,
        call_key as record_key,
        started_at as touched_at,
        started_on as touched_on,
        card_key,
        client_key,
        talker_employee_key as employee_key,
        reporting_employee_key
    from calls
    union all
    select
        actions.crm_action_key as touch_key,
        case actions.action_type when 'task_completed' then 'task' else actions.action_type end
            as touch_type,
        actions.source_key,
        actions.record_key,
        actions.acted_at as touched_at,
        days.date_day as touched_on,
        actions.card_key,
        cards.client_key,
        coalesce(employees.employee_key, {{ nobody_key() }}) as employee_key,
        {{ reporting_key('employees', 'days.date_day', 'employees.employee_key') }}
            as reporting_employee_key
    from actions
    inner join days
        on actions.acted_at::date = days.utc_on
        and actions.acted_at >= days.starts_at
        and actions.acted_at < days.ends_at
    left join cards
        on actions.card_key = cards.card_key
    left join employees
        on actions.employee_key = employees.employee_key
    where
        coalesce(employees.employee_kind, 'nobody') = 'person'
        or (
            actions.action_type = 'stage_move'
            and coalesce(employees.employee_kind, 'nobody') = 'nobody'
        )
)

select
    unioned.touch_key,
    unioned.touch_type,
    unioned.source_key,
    unioned.record_key,
    unioned.touched_at,
    unioned.touched_on,
    cards.card_type,
    unioned.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    unioned.client_key,
    unioned.employee_key,
    unioned.reporting_employee_key
from unioned
left join cards
    on unioned.card_key = cards.card_key
