-- Moves and changes of cards with who made them, as far as the systems tell; user 0 is a robot.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__card_changes') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__card_changes') }}
),

unioned as (
    select
        bitrix24.*,
        true as is_lower_bound
    from bitrix24
    union all
    select
        amocrm.*,
        false as is_lower_bound
    from amocrm
)

select
    source_key,
    case
        when card_type = 'lead' then {{ hash_key(['source_key', "'lead'", 'card_id']) }}
        when card_type = 'deal' then {{ hash_key(['source_key', 'card_id']) }}
    end as card_key,
    change_type,
    changed_at,
    {{ hash_key(['source_key', 'employee_id']) }} as employee_key,
    is_lower_bound
from unioned
