-- Rows that were read and are not, or not fully, counted, each with what it says.
with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'lead_status_changed'
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
)

select
    'Q12' as rule_id,
    'history_of_the_future' as finding,
    source_key,
    'events' as entity,
    event_id as record_id,
    {{ card_key("'deal'", 'entity_id') }} as card_key,
    null::bigint as call_key,
    {{ facts({'record': 'event_id', 'card': "'lead ' || entity_id"}) }} as facts
from events
where created_at > received_at
union all
select
    'Q16' as rule_id,
    'call_of_negative_length' as finding,
    source_key,
    'call' as entity,
    note_id::varchar as record_id,
    null::bigint as card_key,
    call_key,
    {{ facts({'record': 'note_id', 'seconds': 'duration_seconds'}) }} as facts
from call_rows
where duration_seconds < 0
