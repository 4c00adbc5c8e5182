-- Comments on cards, all systems; of the text only the length.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__comments') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__comments') }}
),

unioned as (
    select
        source_key,
        record_id,
        card_type,
        card_id,
        employee_id,
        written_at,
        text_length
    from bitrix24
    union all
    select
        source_key,
        record_id,
        card_type,
        card_id,
        employee_id,
        written_at,
        text_length
    from amocrm
)

select
    {{ hash_key(['source_key', 'card_type', 'card_id', "'comment'", 'record_id']) }} as comment_key,
    source_key,
    case
        when card_type = 'lead' then {{ hash_key(['source_key', "'lead'", 'card_id']) }}
        when card_type = 'deal' then {{ hash_key(['source_key', 'card_id']) }}
    end as card_key,
    case when employee_id is not null then {{ hash_key(['source_key', 'employee_id']) }} end
        as employee_key,
    written_at,
    text_length
from unioned
