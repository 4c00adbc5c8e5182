-- Deals of all systems that count in every report.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__deals') }}
    where is_counted
),

amocrm as (
    select * from {{ ref('int_amocrm__deals') }}
    where is_counted
),

leads as (
    select * from {{ ref('int_leads') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
),

-- A deal comes from the lead it names, as long as that lead counts.
with_lead as (
    select
        unioned.*,
        leads.lead_key
    from unioned
    left join leads
        on unioned.source_key = leads.source_key
        and unioned.lead_id = leads.lead_id
)

select
    deal_key,
    source_key,
    deal_id,
    id_order,
    origin_id,
    title,
    {{ hash_key(['source_key', 'pipeline_id']) }} as pipeline_key,
    {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key,
    lead_key,
    is_return_customer,
    currency_code,
    amount,
    client_key,
    contact_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    case when moved_by_id is not null then {{ hash_key(['source_key', 'moved_by_id']) }} end
        as mover_employee_key,
    case when created_by_id is not null then {{ hash_key(['source_key', 'created_by_id']) }} end
        as creator_employee_key,
    created_at,
    moved_at,
    planned_close_at,
    source_id,
    is_made_by_system,
    utm_source,
    utm_medium,
    utm_campaign,
    loss_reason_id,
    custom_fields,
    card_url,
    entity
from with_lead
