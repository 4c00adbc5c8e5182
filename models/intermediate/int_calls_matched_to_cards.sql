-- Which card a call belongs to, each external call exactly once. Methods in the order of
-- docs/definitions.md, each only over calls still unmatched. Leads are not counted yet:
-- their methods never apply.
-- Windows are closed on both ends; a deal created at the call's instant already exists.
with calls as (
    select * from {{ ref('int_calls_with_client') }}
),

bindings as (
    select * from {{ ref('int_call_bindings') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

deals_of_clients as (
    select * from {{ ref('int_deals_of_clients') }}
),

phones as (
    select * from {{ ref('int_client_phones') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

first_visits as (
    select
        visits.deal_key,
        visits.stage_visit_key,
        visits.pipeline_key
    from visits
    where visits.visit_number = 1
),

-- 1. Bound by the CRM
bound_states as (
    select
        calls.call_key,
        calls.started_at,
        deals.deal_key,
        deals.id_order,
        deals.created_at,
        case when deals.owner_employee_key = calls.talker_employee_key then 1 else 0 end as is_own,
        visits.stage_visit_key,
        visits.entered_at,
        visits.semantics_since_at,
        case
            when visits.stage_visit_key is null then 'later'
            when visits.stage_semantics = 'open' then 'open'
            else 'closed'
        end as state
    from calls
    inner join bindings
        on calls.call_key = bindings.call_key
    inner join deals
        on bindings.deal_key = deals.deal_key
    -- A call in the second of a move belongs to the new stage: [entered_at, valid_to).
    left join visits
        on bindings.deal_key = visits.deal_key
        and calls.started_at >= visits.entered_at
        and calls.started_at < visits.valid_to
),

bound_ranked as (
    select
        *,
        row_number() over (
            partition by call_key
            order by
                case state when 'open' then 0 when 'closed' then 1 else 2 end,
                case when state = 'open' then is_own end desc,
                case when state = 'open' then entered_at end desc,
                case when state = 'closed' then semantics_since_at end desc,
                case when state = 'later' then created_at end asc,
                id_order
        ) as choice,
        sum(case when state = 'open' then 1 else 0 end) over (partition by call_key) as open_count
    from bound_states
),

matched_bound as (
    select
        bound_ranked.call_key,
        bound_ranked.deal_key,
        coalesce(bound_ranked.stage_visit_key, first_visits.stage_visit_key) as stage_visit_key,
        case
            when bound_ranked.state = 'open' then 'bound_deal'
            when bound_ranked.state = 'closed' then 'after_close'
            when
                {{ seconds_between('bound_ranked.started_at', 'bound_ranked.created_at') }}
                <= rules.call_starts_card_minutes * 60 then 'started_deal'
            else 'before_deal'
        end as match_method,
        bound_ranked.open_count > 1 as is_ambiguous
    from bound_ranked
    cross join rules
    inner join first_visits
        on bound_ranked.deal_key = first_visits.deal_key
    where bound_ranked.choice = 1
),

-- Cards of the client, for calls still unmatched
unbound as (
    select calls.*
    from calls
    left join matched_bound
        on calls.call_key = matched_bound.call_key
    where matched_bound.call_key is null and calls.client_key is not null
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
        deals_of_clients.deal_key
    from parties
    inner join deals_of_clients
        on parties.party_key = deals_of_clients.party_key
    group by parties.call_key, deals_of_clients.deal_key
),

card_states as (
    select
        unbound.call_key,
        unbound.started_at,
        deals.deal_key,
        deals.id_order,
        deals.created_at,
        case when deals.owner_employee_key = unbound.talker_employee_key then 1 else 0 end
            as is_own,
        visits.stage_visit_key,
        visits.entered_at,
        visits.semantics_since_at,
        visits.stage_semantics,
        pipelines.pipeline_role
    from client_cards
    inner join unbound
        on client_cards.call_key = unbound.call_key
    inner join deals
        on client_cards.deal_key = deals.deal_key
    left join visits
        on client_cards.deal_key = visits.deal_key
        and unbound.started_at >= visits.entered_at
        and unbound.started_at < visits.valid_to
    left join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
),

-- 3. and 4. Open deals; service only if nothing else is open
open_pools as (
    select
        *,
        case when pipeline_role = 'service' then 2 else 1 end as pool
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
        deal_key,
        stage_visit_key,
        case when pool_count = 1 then 'only_open_deal' else 'chosen_open_deal' end as match_method,
        pool_count > 1 as is_ambiguous
    from open_ranked
    where choice = 1
),

-- 6. A card of the client is created soon after the call
started_ranked as (
    select
        card_states.call_key,
        card_states.deal_key,
        first_visits.stage_visit_key,
        row_number() over (
            partition by card_states.call_key
            order by card_states.created_at, card_states.id_order
        ) as choice
    from card_states
    cross join rules
    inner join first_visits
        on card_states.deal_key = first_visits.deal_key
    inner join pipelines
        on first_visits.pipeline_key = pipelines.pipeline_key
    left join matched_open
        on card_states.call_key = matched_open.call_key
    where
        matched_open.call_key is null
        and pipelines.pipeline_role <> 'ignore'
        and card_states.created_at > card_states.started_at
        and {{ seconds_between('card_states.started_at', 'card_states.created_at') }}
        <= rules.call_starts_card_minutes * 60
),

matched_started as (
    select
        call_key,
        deal_key,
        stage_visit_key,
        'started_deal' as match_method,
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
        and card_states.stage_semantics in ('won', 'lost')
        and card_states.pipeline_role <> 'ignore'
),

matched_closed as (
    select
        closed_ranked.call_key,
        closed_ranked.deal_key,
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
    select * from matched_bound
    union all
    select * from matched_open
    union all
    select * from matched_started
    union all
    select * from matched_closed
),

-- 8. The client's only open cards are in ignored pipelines
ignored as (
    select call_key
    from card_states
    where stage_semantics = 'open' and pipeline_role = 'ignore'
    group by call_key
)

select
    calls.call_key,
    matched.deal_key,
    matched.stage_visit_key,
    case
        when matched.match_method is not null then matched.match_method
        when ignored.call_key is not null then 'ignored_pipeline'
        when calls.client_key is not null then 'no_open_card'
        else 'unknown_number'
    end as match_method,
    coalesce(matched.is_ambiguous, false) as is_ambiguous
from calls
left join matched
    on calls.call_key = matched.call_key
left join ignored
    on calls.call_key = ignored.call_key
