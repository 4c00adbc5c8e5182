-- R3, the register: one client's way through a funnel, from the card that it began with to the card
-- that shows how it stands.
with steps as (
    select * from {{ ref('metric_journey_steps__by_journey') }}
),

journey_cards as (
    select * from {{ ref('int_cards_in_journeys') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

states as (
    select
        deals.deal_key as card_key,
        'deal' as card_type,
        deals.card_url,
        deals.client_key,
        deals.source_name,
        deals.created_at,
        deals.pipeline_key,
        deals.stage_key,
        deals.current_reporting_employee_key,
        deals.company_amount,
        deals.deal_state = 'won' and coalesce(pipelines.pipeline_role, '') = 'sales' as is_won,
        deals.deal_state = 'open' and coalesce(pipelines.pipeline_role, '') in ('sales', 'setter')
            as is_open,
        deals.deal_state = 'lost' as is_lost
    from deals
    left join pipelines
        on deals.pipeline_key = pipelines.pipeline_key
    union all
    select
        lead_key as card_key,
        'lead' as card_type,
        card_url,
        client_key,
        source_name,
        created_at,
        pipeline_key,
        stage_key,
        current_reporting_employee_key,
        null as company_amount,
        false as is_won,
        lead_state = 'open' as is_open,
        lead_state = 'lost' as is_lost
    from leads
),

cards as (
    select
        {{ hash_key(["'journey'", 'journey_cards.funnel_key', 'journey_cards.journey_card_key']) }}
            as journey_key,
        states.*
    from journey_cards
    inner join states
        on journey_cards.card_key = states.card_key
),

-- The card that shows how the journey stands: a won one, else one in work, else the last.
ranked_cards as (
    select
        *,
        row_number() over (
            partition by journey_key
            order by
                case when is_won then 1 when is_open then 2 else 3 end asc,
                created_at desc, card_key asc
        ) as place
    from cards
),

outcomes as (
    select
        journey_key,
        count(*) as cards_count,
        count(*) filter (where is_won) as won_deals_count,
        bool_or(is_open) as is_open,
        sum(company_amount) filter (where is_won) as won_amount
    from cards
    group by journey_key
),

spans as (
    select
        journey_key,
        source_key,
        funnel_name,
        min(entry_step_number) as entry_step_number,
        max(step_number) as furthest_step_number,
        max_by(step_name, step_number) as furthest_step_name,
        min_by(step_name, step_number) as entry_step_name,
        min_by(card_key, step_number) as entry_card_key,
        min_by(card_type, step_number) as entry_card_type,
        min_by(card_url, step_number) as entry_card_url,
        min_by(reached_at, step_number) as started_at,
        min_by(reached_on, step_number) as started_on,
        min_by(reporting_employee_key, step_number) as reporting_employee_key,
        max_by(reached_at, step_number) as furthest_reached_at,
        count(*) filter (where step_basis = 'client_next_deal') as next_deals_count
    from steps
    group by journey_key, source_key, funnel_name
)

select
    spans.journey_key,
    spans.source_key,
    spans.funnel_name,
    entry_cards.client_key,
    spans.entry_card_type,
    spans.entry_card_key,
    spans.entry_card_url,
    entry_cards.source_name,
    spans.started_at,
    spans.started_on,
    spans.entry_step_number,
    spans.entry_step_name,
    spans.reporting_employee_key,
    starters.employee_name as starter_name,
    starters.department_name as starter_department_name,
    spans.furthest_step_number,
    spans.furthest_step_name,
    case
        when spans.furthest_reached_at >= spans.started_at
            then {{ seconds_between('spans.started_at', 'spans.furthest_reached_at') }} / 86400
    end::double as days_to_furthest,
    case
        when outcomes.won_deals_count > 0 then 'won'
        when outcomes.is_open then 'open'
        when shown_cards.is_lost then 'lost'
        -- Converted or won by a setter, and nothing came after it.
        else 'other'
    end as journey_state,
    shown_cards.card_type as current_card_type,
    shown_cards.card_key as current_card_key,
    shown_cards.card_url as current_card_url,
    shown_cards.pipeline_key,
    shown_cards.stage_key,
    coalesce(stages.stage_name, '(not set)') as stage_name,
    shown_cards.current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    {{ whole_days_between('spans.started_at', 'connections.as_of_at') }} as age_days,
    outcomes.cards_count::bigint as cards_count,
    spans.next_deals_count::bigint as next_deals_count,
    outcomes.won_deals_count::bigint as won_deals_count,
    outcomes.won_amount::decimal(18, 2) as won_amount
from spans
inner join connections
    on spans.source_key = connections.source_key
inner join outcomes
    on spans.journey_key = outcomes.journey_key
inner join ranked_cards as shown_cards
    on spans.journey_key = shown_cards.journey_key
    and shown_cards.place = 1
inner join cards as entry_cards
    on spans.journey_key = entry_cards.journey_key
    and spans.entry_card_key = entry_cards.card_key
inner join employees
    on shown_cards.current_reporting_employee_key = employees.employee_key
inner join employees as starters
    on spans.reporting_employee_key = starters.employee_key
left join stages
    on shown_cards.stage_key = stages.stage_key
