-- The last time a user did something in the account. Calls, moves and hand-overs don't count: they
-- run under the account also when somebody else works in it; nor does what clients and robots do.
with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where
        created_by_id is not null
        and created_at <= received_at
        and event_type not in (
            'incoming_call', 'outgoing_call', 'lead_status_changed', 'entity_responsible_changed',
            'incoming_chat_message', 'incoming_mail', 'incoming_sms', 'robot_replied',
            'lead_added', 'contact_added', 'company_added'
        )
)

select
    source_key,
    created_by_id as employee_id,
    max(created_at) as last_own_action_at
from events
group by source_key, created_by_id
