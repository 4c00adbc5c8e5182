-- Clients that the systems' own entities name, all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__call_clients') }}
)

select
    call_key,
    client_key,
    contact_key
from bitrix24
