-- Methods 1 and 2: calls that the CRM itself bound to deals or leads, with the card they belong to.
-- A call in the second of a move belongs to the new stage: [entered_at, valid_to).
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_with_client') }}
),

bindings as (
    select * from {{ ref('int_call_bindings') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

first_visits as (
    select
        card_key,
        stage_visit_key
    from visits
    where visit_number = 1
),

bound_cards as (
    select
        calls.call_key,
        calls.started_at,
        cards.card_key,
        cards.card_type,
        cards.lead_key,
        cards.id_order,
        cards.created_at,
        case when cards.owner_employee_key = calls.talker_employee_key then 1 else 0 end as is_own,
        visits.stage_visit_key,
        visits.entered_at,
        visits.semantics_since_at,
        coalesce(visits.stage_semantics, 'later') as state
    from calls
    inner join bindings
        on calls.call_key = bindings.call_key
    inner join cards
        on bindings.card_key = cards.card_key
    left join visits
        on bindings.card_key = visits.card_key
        and calls.started_at >= visits.entered_at
        and calls.started_at < visits.valid_to
),

-- Deals before leads: only a call without a deal looks at its leads. Of closed deals the latest
-- close, of closed leads a converted one first.
ranked as (
    select
        *,
        row_number() over (
            partition by call_key
            order by
                case card_type when 'deal' then 0 else 1 end,
                case state when 'open' then 0 when 'later' then 3 else 1 end,
                case when card_type = 'lead' and state = 'lost' then 1 else 0 end,
                case when state = 'open' then is_own end desc,
                case when state = 'open' then entered_at end desc,
                case when state in ('won', 'lost') then semantics_since_at end desc,
                case when state = 'later' then created_at end asc,
                id_order
        ) as choice,
        sum(case when state = 'open' then 1 else 0 end) over (
            partition by call_key, card_type
        ) as open_count
    from bound_cards
),

chosen as (
    select * from ranked
    where choice = 1
),

-- A deal that came later, from a lead that was there already: the call was the lead's.
from_leads as (
    select
        chosen.call_key,
        chosen.started_at,
        leads.card_key as lead_key,
        false as is_ambiguous
    from chosen
    inner join cards as leads
        on chosen.lead_key = leads.card_key
        and chosen.started_at >= leads.created_at
    where chosen.card_type = 'deal' and chosen.state = 'later'
    union all
    select
        call_key,
        started_at,
        card_key as lead_key,
        open_count > 1 as is_ambiguous
    from chosen
    where card_type = 'lead'
),

made_deals as (
    select
        lead_key,
        card_key,
        row_number() over (partition by lead_key order by created_at, id_order) as deal_order
    from cards
    where card_type = 'deal' and lead_key is not null
),

-- Converted before the call, the deal made from the lead takes it.
bound_leads as (
    select
        from_leads.call_key,
        from_leads.started_at,
        from_leads.is_ambiguous,
        coalesce(made_deals.card_key, from_leads.lead_key) as card_key
    from from_leads
    left join visits
        on from_leads.lead_key = visits.card_key
        and from_leads.started_at >= visits.entered_at
        and from_leads.started_at < visits.valid_to
    left join made_deals
        on from_leads.lead_key = made_deals.lead_key
        and made_deals.deal_order = 1
        and visits.stage_semantics = 'won'
),

matched as (
    select
        call_key,
        started_at,
        card_key,
        'bound_lead' as match_method,
        is_ambiguous
    from bound_leads
    union all
    select
        chosen.call_key,
        chosen.started_at,
        chosen.card_key,
        case
            when chosen.state = 'open' then 'bound_deal'
            when chosen.state <> 'later' then 'after_close'
            when
                {{ seconds_between('chosen.started_at', 'chosen.created_at') }}
                <= rules.call_starts_card_minutes * 60 then 'started_deal'
            else 'before_deal'
        end as match_method,
        chosen.open_count > 1 as is_ambiguous
    from chosen
    cross join rules
    left join from_leads
        on chosen.call_key = from_leads.call_key
    where from_leads.call_key is null
)

select
    matched.call_key,
    matched.card_key,
    -- A card that came after the call is on its first stage.
    coalesce(visits.stage_visit_key, first_visits.stage_visit_key) as stage_visit_key,
    matched.match_method,
    matched.is_ambiguous
from matched
inner join first_visits
    on matched.card_key = first_visits.card_key
left join visits
    on matched.card_key = visits.card_key
    and matched.started_at >= visits.entered_at
    and matched.started_at < visits.valid_to
