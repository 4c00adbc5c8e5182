-- Rows that were read and are not, or not fully, counted, each with its sentence.
with history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
)

select
    'Q12' as rule_id,
    source_key,
    entity,
    history_id::varchar as record_id,
    'History row ' || history_id || ' of ' || card_type || ' ' || card_id
    || ' lay in the future when it was received: left out.' as sentence
from history
where entered_at > received_at
union all
select
    'Q16' as rule_id,
    source_key,
    'call' as entity,
    call_id::varchar as record_id,
    'Call ' || call_id || ' lasts ' || duration_seconds || ' seconds: counted as 0.' as sentence
from calls
where duration_seconds < 0
