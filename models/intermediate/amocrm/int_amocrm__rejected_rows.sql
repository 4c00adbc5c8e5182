-- Rows that were read and are not, or not fully, counted, each with its sentence.
with events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'lead_status_changed'
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
)

select
    'Q12' as rule_id,
    source_key,
    'events' as entity,
    event_id as record_id,
    'Stage change ' || event_id || ' of lead ' || entity_id
    || ' lay in the future when it was received: left out.' as sentence
from events
where created_at > received_at
union all
select
    'Q16' as rule_id,
    source_key,
    'call' as entity,
    note_id::varchar as record_id,
    'Call ' || note_id || ' lasts ' || duration_seconds || ' seconds: counted as 0.' as sentence
from call_rows
where duration_seconds < 0
