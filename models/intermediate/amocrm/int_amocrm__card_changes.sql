-- Who moved and who changed a lead: events tell each time. User 0 is a robot.
{{ config(materialized='view') }}

with moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
    where not is_after_cut
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where
        entity_type = 'lead'
        and event_type in ('sale_field_changed', 'entity_tag_added', 'entity_responsible_changed')
        and created_at <= received_at
        and entity_id is not null
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    source_key,
    'deal' as card_type,
    lead_id as card_id,
    'move' as change_type,
    moved_at as changed_at,
    event_id as entry_id,
    coalesce(moved_by_id, 0) as employee_id
from moves
union all
select
    events.source_key,
    'deal' as card_type,
    events.entity_id as card_id,
    'change' as change_type,
    events.created_at as changed_at,
    null::varchar as entry_id,
    coalesce(events.created_by_id, 0) as employee_id
from events
inner join connections
    on events.source_key = connections.source_key
where events.created_at <= connections.as_of_at
group by
    events.source_key, events.entity_id, events.created_at, coalesce(events.created_by_id, 0)
