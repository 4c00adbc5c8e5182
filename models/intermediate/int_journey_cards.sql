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
),

described as (
    select
        bounds.*,
        cards.client_key,
        case cards.card_type when 'deal' then cards.lead_key end as made_from_lead_key
    from bounds
    inner join cards
        on bounds.card_key = cards.card_key
),

-- Clients whose journeys may pass to another one's: a deal was made from the lead of somebody else.
-- Who has no client stands for itself.
tied as (
    select
        coalesce(deals.client_key, deals.card_key) as deal_party_key,
        coalesce(leads.client_key, leads.card_key) as lead_party_key
    from described as deals
    inner join described as leads
        on deals.funnel_key = leads.funnel_key
        and deals.made_from_lead_key = leads.card_key
    where coalesce(deals.client_key, deals.card_key) <> coalesce(leads.client_key, leads.card_key)
),

tied_parties as (
    select deal_party_key as party_key from tied
    union
    select lead_party_key from tied
)

select
    described.funnel_key,
    described.card_key,
    described.client_key,
    described.made_from_lead_key,
    described.first_step_number,
    described.last_step_number,
    described.entered_at,
    described.last_reached_at,
    -- Cards of different parts are never one journey.
    case
        when tied_parties.party_key is not null then 0
        else 1 + (hash(coalesce(described.client_key, described.card_key)) % 32)::integer
    end as part_number
from described
left join tied_parties
    on coalesce(described.client_key, described.card_key) = tied_parties.party_key
