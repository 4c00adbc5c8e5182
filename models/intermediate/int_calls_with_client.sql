-- External calls with their client: the one the CRM's entity names, else the only client with the
-- number, else (shared number, flagged) the one with an open card, then latest touch, then lowest
-- key. Calls without a client stay, with null.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_unified') }}
    where is_external
),

named as (
    select * from {{ ref('int_call_clients') }}
),

phones as (
    select * from {{ ref('int_client_phones') }}
),

cards_of_clients as (
    select * from {{ ref('int_cards_of_clients') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
    where stage_semantics = 'open'
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

by_entity as (
    select
        calls.call_key,
        calls.started_at,
        named.client_key,
        named.contact_key
    from calls
    inner join named
        on calls.call_key = named.call_key
),

-- One row per call without an entity and client with its number.
by_number as (
    select
        calls.call_key,
        calls.started_at,
        phones.client_key,
        min(phones.client_type_order) as client_type_order,
        min(phones.client_id_order) as client_id_order
    from calls
    left join named
        on calls.call_key = named.call_key
    inner join phones
        on calls.source_key = phones.source_key
        and calls.phone_e164 = phones.phone_e164
    where named.call_key is null
    group by calls.call_key, calls.started_at, phones.client_key
),

candidates as (
    select
        *,
        count(*) over (partition by call_key) as candidates_count
    from by_number
),

shared as (
    select * from candidates
    where candidates_count > 1
),

-- The parties a candidate's cards may name: the client, and its contacts with that number.
shared_parties as (
    select
        shared.call_key,
        shared.client_key,
        shared.started_at,
        shared.client_key as party_key
    from shared
    union
    select
        shared.call_key,
        shared.client_key,
        shared.started_at,
        phones.contact_key as party_key
    from shared
    inner join calls
        on shared.call_key = calls.call_key
    inner join phones
        on calls.source_key = phones.source_key
        and calls.phone_e164 = phones.phone_e164
        and shared.client_key = phones.client_key
),

shared_with_open_card as (
    select
        shared_parties.call_key,
        shared_parties.client_key
    from shared_parties
    inner join cards_of_clients
        on shared_parties.party_key = cards_of_clients.party_key
    inner join visits
        on cards_of_clients.card_key = visits.card_key
        and shared_parties.started_at >= visits.entered_at
        and shared_parties.started_at < visits.valid_to
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    group by shared_parties.call_key, shared_parties.client_key
),

-- Latest touch in this slice: the latest earlier call that the CRM itself ties to the client.
-- Calls found by number don't count, or the order of calls would decide.
shared_touches as (
    select
        shared.call_key,
        shared.client_key,
        max(by_entity.started_at) as touched_at
    from shared
    inner join by_entity
        on shared.client_key = by_entity.client_key
        and shared.started_at > by_entity.started_at
    group by shared.call_key, shared.client_key
),

ranked as (
    select
        candidates.call_key,
        candidates.client_key,
        candidates.candidates_count,
        row_number() over (
            partition by candidates.call_key
            order by
                case when shared_with_open_card.client_key is not null then 0 else 1 end,
                shared_touches.touched_at desc nulls last,
                candidates.client_type_order asc,
                candidates.client_id_order asc
        ) as choice
    from candidates
    left join shared_with_open_card
        on candidates.call_key = shared_with_open_card.call_key
        and candidates.client_key = shared_with_open_card.client_key
    left join shared_touches
        on candidates.call_key = shared_touches.call_key
        and candidates.client_key = shared_touches.client_key
)

select
    calls.call_key,
    calls.source_key,
    calls.started_at,
    calls.talker_employee_key,
    calls.phone_e164,
    coalesce(by_entity.client_key, ranked.client_key) as client_key,
    by_entity.contact_key,
    case
        when by_entity.call_key is not null then 'crm_entity'
        when ranked.call_key is not null then 'number'
        else 'none'
    end as client_basis,
    coalesce(ranked.candidates_count > 1, false) as is_shared_number
from calls
left join by_entity
    on calls.call_key = by_entity.call_key
left join ranked
    on calls.call_key = ranked.call_key
    and ranked.choice = 1
