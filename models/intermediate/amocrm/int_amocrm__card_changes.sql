-- Who moved and who changed a lead: events tell each time.
{{ config(materialized='view') }}

with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where
        entity_type = 'lead'
        and event_type in (
            'lead_status_changed', 'sale_field_changed', 'name_field_changed', 'entity_tag_added',
            'entity_responsible_changed'
        )
        and created_at <= received_at
        and entity_id is not null
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    events.source_key,
    'deal' as card_type,
    events.entity_id as card_id,
    case events.event_type when 'lead_status_changed' then 'move' else 'change' end as change_type,
    events.created_at as changed_at,
    -- 0 is a robot: no user.
    min(coalesce(events.created_by_id, 0)) as employee_id
from events
inner join connections
    on events.source_key = connections.source_key
where events.created_at <= connections.as_of_at
group by
    events.source_key,
    events.entity_id,
    case events.event_type when 'lead_status_changed' then 'move' else 'change' end,
    events.created_at
