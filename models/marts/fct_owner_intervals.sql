{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
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
    owner_intervals.owner_interval_key,
    cards.source_key,
    cards.card_type,
    cards.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    owner_intervals.owned_from as owned_from_at,
    days.date_day as owned_from_on,
    owner_intervals.owned_until as owned_until_at,
    owner_intervals.valid_to,
    coalesce(owner_intervals.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    owner_intervals.owner_basis,
    {{ reporting_key('employees', 'days.date_day', 'owner_intervals.owner_employee_key') }}
        as reporting_employee_key
from owner_intervals
inner join cards
    on owner_intervals.card_key = cards.card_key
left join days
    on owner_intervals.owned_from::date = days.utc_on
    and owner_intervals.owned_from >= days.starts_at
    and owner_intervals.owned_from < days.ends_at
left join employees
    on owner_intervals.owner_employee_key = employees.employee_key
