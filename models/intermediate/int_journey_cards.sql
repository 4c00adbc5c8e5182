-- Cards of each funnel, with what tells whose journey they belong to.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with card_steps as (
    select * from {{ ref('int_journey_card_steps') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

bounds as (
    select
        funnel_key,
        card_key,
        min(step_number) as first_step_number,
        max(step_number) as last_step_number,
        min(reached_at) as entered_at,
        max(reached_at) as last_reached_at
    from card_steps
    group by funnel_key, card_key
)

select
    bounds.funnel_key,
    bounds.card_key,
    cards.client_key,
    case cards.card_type when 'deal' then cards.lead_key end as made_from_lead_key,
    bounds.first_step_number,
    bounds.last_step_number,
    bounds.entered_at,
    bounds.last_reached_at
from bounds
inner join cards
    on bounds.card_key = cards.card_key
