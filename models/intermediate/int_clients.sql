-- Clients of all systems, one row each: how they are called and where the CRM shows them. What a
-- load has seen tells more than what a record only names.
{{ config(materialized='affected_keys', affected_nodes=client_node()) }}

with clients as (
    select * from {{ ref('int_bitrix24__clients') }}
    union all
    select * from {{ ref('int_amocrm__clients') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_key, client_type, client_id
            order by case when is_seen then 0 else 1 end
        ) as choice
    from clients
)

select
    {{ hash_key(['source_key', 'client_type', 'client_id']) }} as client_key,
    source_key,
    client_type,
    client_id,
    client_name,
    client_url,
    case
        when company_id is not null
            then {{ hash_key(['source_key', "'company'", 'company_id']) }}
    end as company_client_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    is_deleted
from ranked
where choice = 1
