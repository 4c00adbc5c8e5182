-- Deadlines of tasks that were moved. A first deadline is no move.
{{ config(materialized='affected_keys', affected_nodes=planned_node()) }}

with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'task_deadline_changed' and entity_type = 'task'
),

connections as (
    select * from {{ ref('int_connections') }}
),

unpacked as (
    select
        events.source_key,
        'tasks' as entity,
        events.entity_id as record_id,
        events.event_id as move_id,
        events.created_at as moved_at,
        events.created_by_id as moved_by_id,
        {{ json_path_integer('events.value_before', '$[0].task_deadline.timestamp') }}
            as seconds_from,
        {{ json_path_integer('events.value_after', '$[0].task_deadline.timestamp') }} as seconds_to
    from events
    inner join connections
        on events.source_key = connections.source_key
    where
        events.created_at <= connections.as_of_at
        and events.created_at <= events.received_at
)

select
    source_key,
    entity,
    record_id,
    move_id,
    moved_at,
    moved_by_id,
    make_timestamp(seconds_from * 1000000) as deadline_from_at,
    make_timestamp(seconds_to * 1000000) as deadline_to_at,
    false as is_lower_bound
from unpacked
where seconds_from > 0 and seconds_to > 0 and seconds_from <> seconds_to
