-- Methods 3 to 8: calls that the CRM bound to no card, by the cards of their client.
-- Windows are closed on both ends; a card created at the call's instant already exists.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_with_client') }}
    where client_key is not null
),

bound as (
    select * from {{ ref('int_calls_bound_to_cards') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

cards_of_clients as (
    select * from {{ ref('int_cards_of_clients') }}
),

phones as (
    select * from {{ ref('int_client_phones') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

first_visits as (
    select
        visits.card_key,
        visits.stage_visit_key,
        pipelines.pipeline_role
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    where visits.visit_number = 1
),

unbound as (
    select calls.*
    from calls
    left join bound
        on calls.call_key = bound.call_key
    where bound.call_key is null
),

-- The client's cards name the client or the calling contact; without an entity the calling
-- contacts are the client's contacts with that number.
parties as (
    select
        call_key,
        client_key as party_key
    from unbound
    union
    select
        call_key,
        contact_key as party_key
    from unbound
    where contact_key is not null
    union
    select
        unbound.call_key,
        phones.contact_key as party_key
    from unbound
    inner join phones
        on unbound.source_key = phones.source_key
        and unbound.phone_e164 = phones.phone_e164
        and unbound.client_key = phones.client_key
    where unbound.client_basis = 'number'
),

client_cards as (
    select
        parties.call_key,
        cards_of_clients.card_key
    from parties
    inner join cards_of_clients
        on parties.party_key = cards_of_clients.party_key
    group by parties.call_key, cards_of_clients.card_key
),

card_states as (
    select
        unbound.call_key,
        unbound.started_at,
        cards.card_key,
        cards.card_type,
        cards.id_order,
        cards.created_at,
        case when cards.owner_employee_key = unbound.talker_employee_key then 1 else 0 end
            as is_own,
        visits.stage_visit_key,
        visits.entered_at,
        visits.semantics_since_at,
        visits.stage_semantics,
        pipelines.pipeline_role
    from client_cards
    inner join unbound
        on client_cards.call_key = unbound.call_key
    inner join cards
        on client_cards.card_key = cards.card_key
    left join visits
        on client_cards.card_key = visits.card_key
        and unbound.started_at >= visits.entered_at
        and unbound.started_at < visits.valid_to
    left join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
),

-- 3. to 5. Open cards: deals before leads, those of service pipelines if no other deal is open
open_pools as (
    select
        *,
        case
            when card_type = 'lead' then 3
            when pipeline_role = 'service' then 2
            else 1
        end as pool
    from card_states
    where stage_semantics = 'open' and pipeline_role <> 'ignore'
),

open_ranked as (
    select
        *,
        row_number() over (
            partition by call_key
            order by pool asc, is_own desc, entered_at desc, id_order asc
        ) as choice,
        count(*) over (partition by call_key, pool) as pool_count
    from open_pools
),

matched_open as (
    select
        call_key,
        card_key,
        stage_visit_key,
        case
            when card_type = 'lead' then 'open_lead'
            when pool_count = 1 then 'only_open_deal'
            else 'chosen_open_deal'
        end as match_method,
        pool_count > 1 as is_ambiguous
    from open_ranked
    where choice = 1
),

-- 6. A card of the client is created soon after the call
started_ranked as (
    select
        card_states.call_key,
        card_states.card_key,
        card_states.card_type,
        first_visits.stage_visit_key,
        row_number() over (
            partition by card_states.call_key
            order by
                card_states.created_at,
                case card_states.card_type when 'deal' then 0 else 1 end,
                card_states.id_order
        ) as choice
    from card_states
    cross join rules
    inner join first_visits
        on card_states.card_key = first_visits.card_key
    left join matched_open
        on card_states.call_key = matched_open.call_key
    where
        matched_open.call_key is null
        and first_visits.pipeline_role <> 'ignore'
        and card_states.created_at > card_states.started_at
        and {{ seconds_between('card_states.started_at', 'card_states.created_at') }}
        <= rules.call_starts_card_minutes * 60
),

matched_started as (
    select
        call_key,
        card_key,
        stage_visit_key,
        case card_type when 'lead' then 'started_lead' else 'started_deal' end as match_method,
        false as is_ambiguous
    from started_ranked
    where choice = 1
),

-- 7. The client's latest deal was closed not long before
closed_ranked as (
    select
        card_states.*,
        row_number() over (
            partition by card_states.call_key
            order by card_states.semantics_since_at desc, card_states.id_order asc
        ) as choice
    from card_states
    left join matched_open
        on card_states.call_key = matched_open.call_key
    left join matched_started
        on card_states.call_key = matched_started.call_key
    where
        matched_open.call_key is null
        and matched_started.call_key is null
        and card_states.card_type = 'deal'
        and card_states.stage_semantics in ('won', 'lost')
        and card_states.pipeline_role <> 'ignore'
),

matched_closed as (
    select
        closed_ranked.call_key,
        closed_ranked.card_key,
        closed_ranked.stage_visit_key,
        'after_close' as match_method,
        false as is_ambiguous
    from closed_ranked
    cross join rules
    where
        closed_ranked.choice = 1
        and {{ seconds_between('closed_ranked.semantics_since_at', 'closed_ranked.started_at') }}
        <= rules.after_close_days * 86400
),

matched as (
    select * from matched_open
    union all
    select * from matched_started
    union all
    select * from matched_closed
),

-- 8. The client's only open cards are in ignored pipelines
matched_ignored as (
    select
        card_states.call_key,
        null::bigint as card_key,
        null::bigint as stage_visit_key,
        'ignored_pipeline' as match_method,
        false as is_ambiguous
    from card_states
    left join matched
        on card_states.call_key = matched.call_key
    where
        matched.call_key is null
        and card_states.stage_semantics = 'open'
        and card_states.pipeline_role = 'ignore'
    group by card_states.call_key
)

select * from matched
union all
select * from matched_ignored
