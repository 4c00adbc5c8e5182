-- Clients of all systems, one row each: how they are called and where the CRM shows them.
with clients as (
    select * from {{ ref('int_bitrix24__clients') }}
    union all
    select * from {{ ref('int_amocrm__clients') }}
)

select
    client_key,
    source_key,
    client_type,
    client_id,
    client_name,
    client_url,
    company_client_key,
    is_deleted
from clients
