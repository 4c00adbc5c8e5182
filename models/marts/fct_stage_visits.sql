with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    visits.stage_visit_key,
    visits.source_key,
    visits.deal_key,
    visits.pipeline_key,
    visits.stage_key,
    visits.previous_stage_key,
    visits.next_stage_key,
    visits.stage_semantics,
    visits.visit_number,
    visits.stage_visit_number,
    visits.stage_visit_number > 1 as is_revisit,
    visits.entered_at,
    days.date_day as entered_on,
    visits.left_at,
    visits.valid_to,
    visits.semantics_since_at,
    ({{ seconds_between('visits.entered_at', 'visits.left_at') }})::decimal(18, 3)
        as duration_seconds,
    coalesce(deals.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    'current' as owner_basis,
    case
        when employees.former_from_on <= days.date_day then {{ former_employees_key() }}
        else coalesce(deals.owner_employee_key, {{ nobody_key() }})
    end as reporting_employee_key,
    visits.was_before_creation,
    visits.is_inferred
from visits
inner join deals
    on visits.deal_key = deals.deal_key
inner join days
    on visits.entered_at::date = days.utc_on
    and visits.entered_at >= days.starts_at
    and visits.entered_at < days.ends_at
left join employees
    on deals.owner_employee_key = employees.employee_key
