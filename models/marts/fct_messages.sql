{{ config(materialized='affected_keys', affected_by=['message_key']) }}

with messages as (
    select * from {{ ref('int_messages') }}
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
    messages.message_key,
    messages.source_key,
    messages.message_type,
    messages.is_session,
    messages.direction,
    messages.sent_at,
    days.date_day as sent_on,
    cards.card_type,
    cards.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    cards.client_key,
    coalesce(messages.employee_key, {{ nobody_key() }}) as employee_key,
    {{ reporting_key('employees', 'days.date_day', 'messages.employee_key') }}
        as reporting_employee_key
from messages
left join days
    on messages.sent_at::date = days.utc_on
    and messages.sent_at >= days.starts_at
    and messages.sent_at < days.ends_at
left join cards
    on messages.card_key = cards.card_key
left join employees
    on messages.employee_key = employees.employee_key
