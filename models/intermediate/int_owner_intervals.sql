-- Who was responsible for a deal, in half-open intervals, where the system keeps that history.
with amocrm as (
    select * from {{ ref('int_amocrm__owner_intervals') }}
)

select
    {{ hash_key(['deal_key', 'id_order']) }} as owner_interval_key,
    deal_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    owned_from,
    coalesce(owned_until, {{ end_of_time() }}) as valid_to,
    'history' as owner_basis
from amocrm
