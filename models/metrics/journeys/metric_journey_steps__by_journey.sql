-- R3: the steps that each journey came to, when, with which card and how it got there. A journey
-- begins at the step that it came to first; what it did on earlier steps afterwards is no progress.
with card_steps as (
    select * from {{ ref('int_journey_card_steps') }}
),

journey_cards as (
    select * from {{ ref('int_cards_in_journeys') }}
),

places as (
    select * from {{ ref('int_journey_places') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

steps as (
    select
        funnel_key,
        funnel_name,
        step_number,
        step_name
    from places
    group by funnel_key, funnel_name, step_number, step_name
),

reached as (
    select
        {{ hash_key(["'journey'", 'card_steps.funnel_key', 'journey_cards.journey_card_key']) }}
            as journey_key,
        card_steps.*,
        journey_cards.journey_card_key,
        journey_cards.card_basis,
        row_number() over (
            partition by
                card_steps.funnel_key, journey_cards.journey_card_key, card_steps.step_number
            order by card_steps.reached_at, card_steps.card_key
        ) as place
    from card_steps
    inner join journey_cards
        on card_steps.funnel_key = journey_cards.funnel_key
        and card_steps.card_key = journey_cards.card_key
),

first_reached as (
    select
        *,
        min_by(step_number, (reached_at, step_number)) over (partition by journey_key)
            as entry_step_number
    from reached
    where place = 1
),

ordered as (
    select
        *,
        lag(step_number) over journey as previous_step_number,
        lag(card_key) over journey as previous_card_key,
        lag(pipeline_key) over journey as previous_pipeline_key,
        lag(reached_at) over journey as previous_reached_at
    from first_reached
    where step_number >= entry_step_number
    window journey as (partition by journey_key order by step_number)
)

select
    {{ hash_key(['ordered.journey_key', 'ordered.step_number']) }} as journey_step_key,
    ordered.journey_key,
    ordered.source_key,
    steps.funnel_name,
    ordered.step_number,
    steps.step_name,
    ordered.entry_step_number,
    ordered.previous_step_number,
    case
        when ordered.previous_step_number is null then 'start'
        when ordered.card_key <> ordered.previous_card_key and ordered.card_basis <> 'start'
            then ordered.card_basis
        when ordered.pipeline_key <> ordered.previous_pipeline_key then 'moved'
        else 'stage'
    end as step_basis,
    ordered.card_type,
    ordered.card_key,
    coalesce(deals.card_url, leads.card_url) as card_url,
    ordered.pipeline_key,
    visits.stage_key,
    ordered.reached_at,
    visits.entered_on as reached_on,
    visits.reporting_employee_key,
    -- Where the later step was reached first, nothing lies between.
    case
        when ordered.reached_at >= ordered.previous_reached_at
            then {{ seconds_between('ordered.previous_reached_at', 'ordered.reached_at') }}
    end::decimal(18, 3) as seconds_from_previous
from ordered
inner join steps
    on ordered.funnel_key = steps.funnel_key
    and ordered.step_number = steps.step_number
inner join visits
    on ordered.card_key = visits.card_key
    and ordered.visit_number = visits.visit_number
left join deals
    on ordered.card_key = deals.deal_key
left join leads
    on ordered.card_key = leads.lead_key
