-- E-mails and chat messages of all systems that count.
{{ config(materialized='affected_keys', affected_nodes=message_node()) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__messages') }}
    where not is_deleted and not is_after_cut
),

amocrm as (
    select * from {{ ref('int_amocrm__messages') }}
    where not is_deleted and not is_after_cut
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['source_key', 'entity', 'record_id', "'message'"]) }} as message_key,
    source_key,
    entity,
    record_id,
    message_type,
    is_session,
    direction,
    case when employee_id is not null then {{ hash_key(['source_key', 'employee_id']) }} end
        as employee_key,
    sent_at,
    {{ card_key('card_type', 'card_id') }} as card_key
from unioned
