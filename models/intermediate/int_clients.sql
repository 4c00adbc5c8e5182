-- Clients of all systems, one row each: how they are called and where the CRM shows them.
with clients as (
    select * from {{ ref('int_bitrix24__clients') }}
    union all
    select * from {{ ref('int_amocrm__clients') }}
)

select
    client_key,
    client_name,
    client_url
from clients
