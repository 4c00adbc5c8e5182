{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

-- Who owned the card when it entered the stage.
owned as (
    select
        visits.*,
        cards.deal_key,
        case cards.card_type when 'lead' then cards.lead_key end as lead_key,
        owner_intervals.owner_basis,
        owner_intervals.owner_employee_key
    from visits
    inner join cards
        on visits.card_key = cards.card_key
    inner join owner_intervals
        on visits.card_key = owner_intervals.card_key
        and visits.entered_at >= owner_intervals.owned_from
        and visits.entered_at < owner_intervals.valid_to
)

select
    owned.stage_visit_key,
    owned.source_key,
    owned.card_type,
    owned.card_key,
    owned.deal_key,
    owned.lead_key,
    owned.pipeline_key,
    owned.stage_key,
    owned.previous_stage_key,
    owned.next_stage_key,
    owned.stage_semantics,
    owned.visit_number,
    owned.stage_visit_number,
    owned.stage_visit_number > 1 as is_revisit,
    owned.entered_at,
    days.date_day as entered_on,
    owned.left_at,
    left_days.date_day as left_on,
    owned.valid_to,
    owned.semantics_since_at,
    ({{ seconds_between('owned.entered_at', 'owned.left_at') }})::decimal(18, 3)
        as duration_seconds,
    coalesce(owned.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    owned.owner_basis,
    {{ reporting_key('employees', 'days.date_day', 'owned.owner_employee_key') }}
        as reporting_employee_key,
    owned.was_before_creation,
    owned.is_inferred
from owned
inner join days
    on owned.entered_at::date = days.utc_on
    and owned.entered_at >= days.starts_at
    and owned.entered_at < days.ends_at
left join days as left_days
    on owned.left_at::date = left_days.utc_on
    and owned.left_at >= left_days.starts_at
    and owned.left_at < left_days.ends_at
left join employees
    on owned.owner_employee_key = employees.employee_key
