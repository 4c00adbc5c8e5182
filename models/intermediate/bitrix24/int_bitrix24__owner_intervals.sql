-- Who was responsible for a card as loads have seen it: the portal keeps no history of owners. From
-- its first sight on a version's owner holds until another one is seen; before the first sight of
-- the card the first known owner is taken, and that is told apart.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with deal_versions as (
    select * from {{ ref('stg_bitrix24__deal_versions') }}
),

lead_versions as (
    select * from {{ ref('stg_bitrix24__lead_versions') }}
),

cards as (
    select * from {{ ref('int_bitrix24__cards') }}
),

versions as (
    select
        'deal' as card_type,
        source_key,
        deal_id as card_id,
        owner_id,
        first_seen_at
    from deal_versions
    union all
    select
        'lead' as card_type,
        source_key,
        lead_id as card_id,
        owner_id,
        first_seen_at
    from lead_versions
),

sights as (
    select
        cards.card_key,
        cards.created_at,
        versions.owner_id,
        versions.first_seen_at,
        row_number() over (
            partition by cards.card_key order by versions.first_seen_at
        ) as sight_number,
        lag(versions.owner_id) over (
            partition by cards.card_key order by versions.first_seen_at
        ) as previous_owner_id
    from versions
    inner join cards
        on versions.source_key = cards.source_key
        and versions.card_type = cards.card_type
        and versions.card_id = cards.card_id
),

entries as (
    select
        cards.card_key,
        cards.source_key,
        0::bigint as id_order,
        case when sights.card_key is null then cards.owner_id else sights.owner_id end as owner_id,
        cards.created_at as owned_from,
        'current' as owner_basis
    from cards
    left join sights
        on cards.card_key = sights.card_key
        and sights.sight_number = 1
    union all
    select
        sights.card_key,
        cards.source_key,
        sights.sight_number as id_order,
        sights.owner_id,
        greatest(sights.first_seen_at, sights.created_at) as owned_from,
        'snapshot' as owner_basis
    from sights
    inner join cards
        on sights.card_key = cards.card_key
    where sights.sight_number = 1 or sights.owner_id is distinct from sights.previous_owner_id
)

select
    source_key,
    card_key,
    id_order,
    owner_id,
    owned_from,
    lead(owned_from) over (partition by card_key order by id_order) as owned_until,
    owner_basis
from entries
