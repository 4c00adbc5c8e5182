-- Clients by their own key. Merging duplicates deletes ids, and neither system tells which record
-- took over (the value of amoCRM's entity_merged is empty): everybody survives as themselves.
{{ config(materialized='affected_keys', affected_nodes=client_node()) }}

with clients as (
    select * from {{ ref('int_clients') }}
)

select
    client_key,
    source_key,
    client_type,
    client_id,
    coalesce(
        client_name,
        case client_type when 'contact' then 'Contact ' else 'Company ' end || client_id
    ) as client_name,
    client_url,
    company_client_key,
    is_deleted,
    client_key as survivor_client_key
from clients
