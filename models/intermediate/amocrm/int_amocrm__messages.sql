-- E-mails (notes) and messages of chats (events), up to the cut.
{{ config(materialized='affected_keys', affected_nodes=message_node()) }}

with notes as (
    select * from {{ ref('stg_amocrm__notes') }}
    where note_type in ('amomail_message', 'sms_in', 'sms_out')
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type in ('incoming_chat_message', 'outgoing_chat_message')
),

connections as (
    select * from {{ ref('int_connections') }}
),

unioned as (
    select
        source_key,
        case entity_type
            when 'leads' then 'lead_notes'
            when 'contacts' then 'contact_notes'
            else 'company_notes'
        end as entity,
        entity_type || '/' || note_id as record_id,
        case note_type when 'amomail_message' then 'email' else 'chat' end as message_type,
        case
            when note_type = 'sms_in' then 'inbound'
            when note_type = 'sms_out' then 'outbound'
            when {{ json_path_text('params', '$.income') }} = 'true' then 'inbound'
            when {{ json_path_text('params', '$.income') }} = 'false' then 'outbound'
            else 'unknown'
        end as direction,
        coalesce(owner_id, created_by_id) as employee_id,
        created_at as sent_at,
        case entity_type when 'leads' then 'deal' end as card_type,
        case entity_type when 'leads' then entity_id end as card_id,
        received_at
    from notes
    union all
    select
        source_key,
        'events' as entity,
        event_id as record_id,
        'chat' as message_type,
        case event_type when 'incoming_chat_message' then 'inbound' else 'outbound' end
            as direction,
        created_by_id as employee_id,
        created_at as sent_at,
        case entity_type when 'lead' then 'deal' end as card_type,
        case entity_type when 'lead' then entity_id end as card_id,
        received_at
    from events
)

select
    unioned.source_key,
    unioned.entity,
    unioned.record_id,
    unioned.message_type,
    false as is_session,
    unioned.direction,
    unioned.employee_id,
    unioned.sent_at,
    unioned.card_type,
    unioned.card_id,
    false as is_deleted,
    coalesce(
        unioned.sent_at > connections.as_of_at or unioned.sent_at > unioned.received_at, false
    ) as is_after_cut
from unioned
inner join connections
    on unioned.source_key = connections.source_key
