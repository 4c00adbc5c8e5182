-- Who was responsible for a card: half-open intervals from its creation on, without gap.
with amocrm as (
    select * from {{ ref('int_amocrm__owner_intervals') }}
),

bitrix24 as (
    select * from {{ ref('int_bitrix24__owner_intervals') }}
),

unioned as (
    select
        source_key,
        card_key,
        id_order,
        owner_id,
        owned_from,
        owned_until,
        owner_basis
    from amocrm
    union all
    select
        source_key,
        card_key,
        id_order,
        owner_id,
        owned_from,
        owned_until,
        owner_basis
    from bitrix24
)

select
    {{ hash_key(['card_key', 'id_order']) }} as owner_interval_key,
    card_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    owned_from,
    owned_until,
    coalesce(owned_until, {{ end_of_time() }}) as valid_to,
    owner_basis
from unioned
