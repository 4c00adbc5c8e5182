-- Comments on cards, all systems; of the text only the length, and a key by which equal ones are
-- told.
{{ config(materialized='affected_keys', affected_nodes=card_node()) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__comments') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__comments') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['source_key', 'card_type', 'card_id', "'comment'", 'record_id']) }} as comment_key,
    source_key,
    card_type,
    card_id,
    {{ card_key('card_type', 'card_id') }} as card_key,
    case when employee_id is not null then {{ hash_key(['source_key', 'employee_id']) }} end
        as employee_key,
    written_at,
    text_length,
    text_key
from unioned
