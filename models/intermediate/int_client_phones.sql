-- Contacts' numbers of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__client_phones') }}
)

select
    source_key,
    phone_e164,
    contact_key,
    client_key,
    client_type_order,
    client_id_order
from bitrix24
