{{ config(materialized='affected_keys', affected_by=['crm_action_key']) }}

with actions as (
    select * from {{ ref('int_crm_actions') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    actions.crm_action_key,
    actions.source_key,
    actions.action_type,
    actions.acted_at,
    days.date_day as acted_on,
    cards.card_type,
    cards.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    actions.is_lower_bound,
    coalesce(
        employees.employee_kind, case when actions.is_robot then 'system' else 'nobody' end
    ) as actor_kind,
    coalesce(actions.employee_key, {{ nobody_key() }}) as employee_key,
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
