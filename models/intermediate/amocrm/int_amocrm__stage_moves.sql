-- One row per change of a lead's stage that is a move: equal stages before and after are artefacts
-- of synchronisation. A move after the cut waits, and tells where the lead stood until then.
{{ config(materialized='affected_keys', affected_nodes=text_node('event', 'event_id')) }}

with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'lead_status_changed'
),

connections as (
    select * from {{ ref('int_connections') }}
),

unpacked as (
    select
        events.source_key,
        events.entity_id as lead_id,
        events.event_id,
        events.created_at as moved_at,
        events.created_at > connections.as_of_at as is_after_cut,
        events.created_by_id as moved_by_id,
        {{ json_path_integer('events.value_before', '$[0].lead_status.pipeline_id') }}
            as pipeline_id_before,
        {{ json_path_integer('events.value_before', '$[0].lead_status.id') }} as status_id_before,
        {{ json_path_integer('events.value_after', '$[0].lead_status.pipeline_id') }}
            as pipeline_id,
        {{ json_path_integer('events.value_after', '$[0].lead_status.id') }} as status_id
    from events
    inner join connections
        on events.source_key = connections.source_key
    where events.created_at <= events.received_at
)

select
    source_key,
    lead_id,
    event_id,
    moved_at,
    is_after_cut,
    moved_by_id,
    pipeline_id_before,
    status_id_before,
    pipeline_id,
    status_id,
    -- Ids of events are texts that sort by time: their place, never the text, breaks ties.
    row_number() over (partition by source_key, lead_id order by moved_at, event_id) as id_order
from unpacked
where
    status_id is not null
    and (
        status_id_before is null
        or status_id_before <> status_id
        or pipeline_id_before <> pipeline_id
    )
