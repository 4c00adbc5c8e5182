-- One row per change of a lead's responsible user. A change after the cut waits, and tells who was
-- responsible until then.
{{ config(materialized='affected_keys', affected_nodes=text_node('event', 'event_id')) }}

with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'entity_responsible_changed' and entity_type = 'lead'
),

connections as (
    select * from {{ ref('int_connections') }}
),

unpacked as (
    select
        events.source_key,
        events.entity_id as lead_id,
        events.event_id,
        events.created_at as changed_at,
        events.created_at > connections.as_of_at as is_after_cut,
        nullif({{ json_path_integer('events.value_before', '$[0].responsible_user.id') }}, 0)
            as owner_id_before,
        nullif({{ json_path_integer('events.value_after', '$[0].responsible_user.id') }}, 0)
            as owner_id
    from events
    inner join connections
        on events.source_key = connections.source_key
    where events.created_at <= events.received_at
)

select
    source_key,
    lead_id,
    event_id,
    changed_at,
    is_after_cut,
    owner_id_before,
    owner_id,
    -- Ids of events are texts that sort by time: their place, never the text, breaks ties.
    row_number() over (partition by source_key, lead_id order by changed_at, event_id) as id_order
from unpacked
where owner_id_before is distinct from owner_id
