-- The first thing each employee is known to have done: a call, a card made, a card entering a stage
-- under their responsibility. Of owners only what history, snapshots or the company's file tell:
-- who is responsible now has not been so from the beginning.
with calls as (
    select * from {{ ref('int_calls_unified') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
    where owner_basis <> 'current'
),

actions as (
    select
        talker_employee_key as employee_key,
        started_at as acted_at
    from calls
    union all
    select
        creator_employee_key as employee_key,
        created_at as acted_at
    from deals
    union all
    select
        creator_employee_key as employee_key,
        created_at as acted_at
    from leads
    union all
    select
        owner_intervals.owner_employee_key as employee_key,
        visits.entered_at as acted_at
    from visits
    inner join owner_intervals
        on visits.card_key = owner_intervals.card_key
        and visits.entered_at >= owner_intervals.owned_from
        and visits.entered_at < owner_intervals.valid_to
)

select
    employee_key,
    min(acted_at) as first_action_at
from actions
where employee_key is not null
group by employee_key
