-- Moves and changes of cards with who made them, as far as the systems tell; user 0 is a robot.
{{ config(materialized='affected_keys', affected_nodes=card_node()) }}

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
        -- Of changes the events of custom fields are not read.
        amocrm.change_type <> 'move' as is_lower_bound
    from amocrm
),

keyed as (
    select
        source_key,
        card_type,
        card_id,
        {{ card_key('card_type', 'card_id') }} as card_key,
        change_type,
        changed_at,
        entry_id,
        {{ hash_key(['source_key', 'employee_id']) }} as employee_key,
        employee_id = 0 as is_robot,
        is_lower_bound
    from unioned
)

select
    source_key,
    card_type,
    card_id,
    card_key,
    change_type,
    changed_at,
    -- The entry of the history that it is, where the system says so.
    case when entry_id is not null then {{ hash_key(['card_key', 'entry_id']) }} end
        as stage_entry_key,
    case when not is_robot then employee_key end as employee_key,
    is_robot,
    is_lower_bound
from keyed
