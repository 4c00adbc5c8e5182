-- Rows that were read and are not, or not fully, counted, each with what it says.
with history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
)

select
    'Q12' as rule_id,
    'history_of_the_future' as finding,
    source_key,
    entity,
    history_id::varchar as record_id,
    {{ card_key('card_type', 'card_id') }} as card_key,
    null::bigint as call_key,
    {{ facts({'record': 'history_id', 'card': "card_type || ' ' || card_id"}) }} as facts
from history
where entered_at > received_at
union all
select
    'Q16' as rule_id,
    'call_of_negative_length' as finding,
    source_key,
    'call' as entity,
    call_id::varchar as record_id,
    null::bigint as card_key,
    {{ hash_key(['source_key', 'call_id']) }} as call_key,
    {{ facts({'record': 'call_id', 'seconds': 'duration_seconds'}) }} as facts
from calls
where duration_seconds < 0
