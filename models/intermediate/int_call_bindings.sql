-- Calls bound to deals, all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__call_bindings') }}
)

select
    call_key,
    deal_key
from bitrix24
