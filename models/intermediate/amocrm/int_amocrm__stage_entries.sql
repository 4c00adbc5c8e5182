-- One row per entry of a lead into a stage. A lead has no event for its first stage: that is where
-- the first change came from, or, without any change since its creation, where it stands. Where
-- events don't reach back to the creation, or the lead changed after the cut, where they end, the
-- stages are inferred.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
),

deals as (
    select * from {{ ref('int_amocrm__deals') }}
    where is_counted
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'lead_added'
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

recorded as (
    select
        deals.source_key,
        deals.deal_key,
        deals.deal_id,
        moves.event_id as entry_id,
        moves.id_order,
        moves.moved_at as entered_at,
        moves.moved_at < deals.created_at as was_before_creation,
        coalesce(moves.pipeline_id, deals.pipeline_id) as pipeline_id,
        moves.status_id,
        false as is_inferred,
        true as is_recorded
    from moves
    inner join deals
        on moves.source_key = deals.source_key
        and moves.lead_id = deals.deal_id
    where not moves.is_after_cut
),

-- Also a lead whose only moves wait has stood somewhere. Before the first move, also where that is
-- dated before the creation.
openings as (
    select
        deals.source_key,
        deals.deal_key,
        deals.deal_id,
        'opening' as entry_id,
        0::bigint as id_order,
        least(deals.created_at, moves.moved_at) as entered_at,
        false as was_before_creation,
        coalesce(moves.pipeline_id_before, deals.pipeline_id) as pipeline_id,
        moves.status_id_before as status_id,
        false as is_inferred,
        false as is_recorded
    from moves
    inner join deals
        on moves.source_key = deals.source_key
        and moves.lead_id = deals.deal_id
    where moves.id_order = 1 and moves.status_id_before is not null
),

without_moves as (
    select
        deals.*,
        connections.as_of_at,
        created.lead_id is not null
        and coalesce(deals.modified_at <= connections.as_of_at, true) as has_never_moved
    from deals
    inner join connections
        on deals.source_key = connections.source_key
    left join recorded
        on deals.deal_key = recorded.deal_key
    left join openings
        on deals.deal_key = openings.deal_key
    left join created
        on deals.source_key = created.source_key
        and deals.deal_id = created.lead_id
    where recorded.deal_key is null and openings.deal_key is null
),

-- A closed card without history stood on an unknown open stage until the system's close time.
only_entries as (
    select
        source_key,
        deal_key,
        deal_id,
        'opening' as entry_id,
        0::bigint as id_order,
        created_at as entered_at,
        false as was_before_creation,
        pipeline_id,
        case when stage_semantics_code = 'P' or has_never_moved then stage_id::bigint end
            as status_id,
        not has_never_moved as is_inferred,
        false as is_recorded
    from without_moves
),

closings as (
    select
        source_key,
        deal_key,
        deal_id,
        'closing' as entry_id,
        1::bigint as id_order,
        greatest(moved_at, created_at) as entered_at,
        coalesce(moved_at < created_at, false) as was_before_creation,
        pipeline_id,
        stage_id::bigint as status_id,
        true as is_inferred,
        false as is_recorded
    from without_moves
    where
        stage_semantics_code <> 'P'
        and not has_never_moved
        and greatest(moved_at, created_at) <= as_of_at
),

entries as (
    select * from recorded
    union all
    select * from openings
    union all
    select * from only_entries
    union all
    select * from closings
)

select
    'deal' as card_type,
    deal_key as card_key,
    source_key,
    deal_id as card_id,
    entry_id,
    id_order,
    entered_at,
    was_before_creation,
    pipeline_id,
    coalesce(status_id::varchar, '(unknown)') as stage_id,
    case status_id when 142 then 'S' when 143 then 'F' else 'P' end as stage_semantics_code,
    is_inferred,
    is_recorded,
    'events' as entity
from entries
