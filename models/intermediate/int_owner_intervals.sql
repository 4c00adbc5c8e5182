-- Who was responsible for a card: half-open intervals from its creation on, without gap. The
-- company's file overrides what the systems tell, from its first row of a deal on: a row holds
-- until the next one, and the last for ever. Nobody has a card for no time: of several owners of
-- one instant the last one counts.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with amocrm as (
    select * from {{ ref('int_amocrm__owner_intervals') }}
),

bitrix24 as (
    select * from {{ ref('int_bitrix24__owner_intervals') }}
),

owners_of_file as (
    select * from {{ ref('int_owners_of_file') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

of_systems as (
    select
        source_key,
        card_key,
        id_order,
        owner_id,
        owned_from,
        owned_until,
        owner_basis
    from amocrm
    union all
    select
        source_key,
        card_key,
        id_order,
        owner_id,
        owned_from,
        owned_until,
        owner_basis
    from bitrix24
),

-- Lines that name no known deal are told by the rule RULES.
dated as (
    select
        owners_of_file.owner_interval_key,
        owners_of_file.source_key,
        deals.deal_key,
        owners_of_file.employee_id,
        owners_of_file.owned_from_on,
        connections.as_of_at,
        coalesce(
            greatest(owners_of_file.owned_from_at, deals.created_at), deals.created_at
        ) as owned_from
    from owners_of_file
    inner join connections
        on owners_of_file.source_key = connections.source_key
    inner join deals
        on owners_of_file.deal_key = deals.deal_key
),

bounded as (
    select
        *,
        lead(owned_from) over (
            partition by deal_key order by owned_from_on nulls first
        ) as owned_until
    from dated
    -- What begins after the cut waits.
    where owned_from <= as_of_at
),

-- Of several rows from before the deal's creation the last one counts.
of_file as (
    select * from bounded
    where owned_until is null or owned_until > owned_from
),

corrected as (
    select
        deal_key,
        min(owned_from) as corrected_from
    from of_file
    group by deal_key
),

unioned as (
    select
        {{ hash_key(['of_systems.card_key', 'of_systems.id_order']) }} as owner_interval_key,
        of_systems.source_key,
        of_systems.card_key,
        of_systems.owner_id,
        of_systems.owned_from,
        case
            when
                of_systems.owned_until is null
                or of_systems.owned_until > corrected.corrected_from
                then corrected.corrected_from
            else of_systems.owned_until
        end as owned_until,
        of_systems.owner_basis
    from of_systems
    inner join corrected
        on of_systems.card_key = corrected.deal_key
        and of_systems.owned_from < corrected.corrected_from
    union all
    select
        {{ hash_key(['of_systems.card_key', 'of_systems.id_order']) }} as owner_interval_key,
        of_systems.source_key,
        of_systems.card_key,
        of_systems.owner_id,
        of_systems.owned_from,
        of_systems.owned_until,
        of_systems.owner_basis
    from of_systems
    left join corrected
        on of_systems.card_key = corrected.deal_key
    where corrected.deal_key is null
    union all
    select
        owner_interval_key,
        source_key,
        deal_key as card_key,
        employee_id as owner_id,
        owned_from,
        owned_until,
        'file' as owner_basis
    from of_file
),

ordered as (
    select
        *,
        lag(owner_id) over (partition by card_key order by owned_from) as previous_owner_id,
        lag(owner_basis) over (partition by card_key order by owned_from) as previous_basis
    from unioned
    where owned_until is null or owned_until > owned_from
),

-- Neighbours of one owner and basis are one time: two rows of the file, or an owner who was another
-- for no time.
lasting as (
    select
        owner_interval_key,
        source_key,
        card_key,
        owner_id,
        owned_from,
        lead(owned_from) over (partition by card_key order by owned_from) as owned_until,
        owner_basis
    from ordered
    where
        previous_basis is null
        or owner_basis <> previous_basis
        or owner_id is distinct from previous_owner_id
)

select
    owner_interval_key,
    card_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    owned_from,
    owned_until,
    coalesce(owned_until, {{ end_of_time() }}) as valid_to,
    owner_basis
from lasting
