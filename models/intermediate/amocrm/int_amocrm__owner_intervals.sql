-- Who was responsible for a lead, from its creation on. Before the first event that is known of a
-- lead whose events don't reach back to its creation, the owner whom that event replaced, or the
-- present one, is taken: that is told apart.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with changes as (
    select * from {{ ref('int_amocrm__owner_changes') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'lead_added'
),

deals as (
    select * from {{ ref('int_amocrm__deals') }}
    where is_counted
),

connections as (
    select * from {{ ref('int_connections') }}
),

created as (
    select
        source_key,
        entity_id as lead_id
    from events
    group by source_key, entity_id
),

-- Before the first change stood whom it replaced; without a change, the present owner, unless the
-- lead changed after the cut: then events may be on their way.
openings as (
    select
        deals.source_key,
        deals.deal_key,
        deals.created_at as owned_from,
        0::bigint as id_order,
        case when changes.lead_id is null then deals.owner_id else changes.owner_id_before end
            as owner_id,
        case
            when
                created.lead_id is not null
                and (
                    changes.lead_id is not null
                    or deals.modified_at is null
                    or deals.modified_at <= connections.as_of_at
                )
                then 'history'
            else 'current'
        end as owner_basis
    from deals
    inner join connections
        on deals.source_key = connections.source_key
    left join created
        on deals.source_key = created.source_key
        and deals.deal_id = created.lead_id
    left join changes
        on deals.source_key = changes.source_key
        and deals.deal_id = changes.lead_id
        and changes.id_order = 1
),

entries as (
    select * from openings
    union all
    select
        deals.source_key,
        deals.deal_key,
        greatest(changes.changed_at, deals.created_at) as owned_from,
        changes.id_order,
        changes.owner_id,
        'history' as owner_basis
    from changes
    inner join deals
        on changes.source_key = deals.source_key
        and changes.lead_id = deals.deal_id
    where not changes.is_after_cut
)

select
    source_key,
    deal_key as card_key,
    id_order,
    owner_id,
    owned_from,
    lead(owned_from) over (partition by deal_key order by id_order) as owned_until,
    owner_basis
from entries
