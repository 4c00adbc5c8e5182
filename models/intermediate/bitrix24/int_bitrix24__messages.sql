-- E-mails and chat sessions, up to the cut.
{{ config(materialized='affected_keys', affected_nodes=message_node()) }}

with activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

activity_kinds as (
    select * from {{ ref('int_bitrix24__activity_kinds') }}
    where activity_kind in ('email', 'chat', 'chat_session')
),

bindings as (
    select * from {{ ref('int_bitrix24__activity_cards') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'activities'
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    activities.source_key,
    'activities' as entity,
    activities.activity_id::varchar as record_id,
    case activity_kinds.activity_kind when 'email' then 'email' else 'chat' end as message_type,
    -- A session is both sides' talk in one record.
    activity_kinds.activity_kind = 'chat_session' as is_session,
    case activities.direction_code when 1 then 'inbound' when 2 then 'outbound' else 'unknown' end
        as direction,
    activities.responsible_id as employee_id,
    coalesce(activities.started_at, activities.created_at) as sent_at,
    bindings.card_type,
    bindings.card_id,
    deleted.record_id is not null as is_deleted,
    coalesce(
        activities.created_at > connections.as_of_at
        or coalesce(activities.started_at, activities.created_at) > connections.as_of_at,
        false
    ) as is_after_cut
from activity_kinds
inner join activities
    on activity_kinds.source_key = activities.source_key
    and activity_kinds.activity_id = activities.activity_id
inner join connections
    on activities.source_key = connections.source_key
left join bindings
    on activities.source_key = bindings.source_key
    and activities.activity_id = bindings.activity_id
left join deleted
    on activities.source_key = deleted.source_key
    and activities.activity_id = deleted.record_id
    and activities.received_at <= deleted.noticed_at
