-- Leads of all systems that count in every report.
{{ config(materialized='affected_keys', affected_by=['lead_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__leads') }}
    where is_counted
)

select
    lead_key,
    source_key,
    lead_id,
    id_order,
    title,
    {{ hash_key(['source_key', 'pipeline_id']) }} as pipeline_key,
    {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key,
    is_return_customer,
    currency_code,
    amount,
    client_key,
    contact_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    case when created_by_id is not null then {{ hash_key(['source_key', 'created_by_id']) }} end
        as creator_employee_key,
    created_at,
    source_id,
    is_made_by_system,
    utm_source,
    utm_medium,
    utm_campaign,
    custom_fields,
    card_url,
    entity
from bitrix24
