-- E-mails and chat messages of all systems that count.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__messages') }}
    where not is_deleted and not is_after_cut
),

amocrm as (
    select * from {{ ref('int_amocrm__messages') }}
    where not is_deleted and not is_after_cut
),

unioned as (
    select
        source_key,
        entity,
        record_id,
        message_type,
        is_session,
        direction,
        employee_id,
        sent_at,
        card_type,
        card_id
    from bitrix24
    union all
    select
        source_key,
        entity,
        record_id,
        message_type,
        is_session,
        direction,
        employee_id,
        sent_at,
        card_type,
        card_id
    from amocrm
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
    case
        when card_type = 'lead' then {{ hash_key(['source_key', "'lead'", 'card_id']) }}
        when card_type = 'deal' then {{ hash_key(['source_key', 'card_id']) }}
    end as card_key
from unioned
