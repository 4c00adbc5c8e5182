-- Leads that count: not deleted in the portal, created up to the cut. What is left out is counted
-- in int_reconciliation_by_entity.
{{ config(materialized='affected_keys', affected_by=['lead_key']) }}

with leads as (
    select * from {{ ref('stg_bitrix24__leads') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'leads'
),

flagged as (
    select
        leads.*,
        connections.portal_url,
        deleted.record_id is not null as is_deleted,
        leads.created_at > connections.as_of_at as is_after_cut
    from leads
    inner join connections
        on leads.source_key = connections.source_key
    -- A record that came back after it was noticed missing was restored from the recycle bin.
    left join deleted
        on leads.source_key = deleted.source_key
        and leads.lead_id = deleted.record_id
        and leads.received_at <= deleted.noticed_at
)

select
    {{ hash_key(['source_key', "'lead'", 'lead_id']) }} as lead_key,
    source_key,
    lead_id,
    lead_id as id_order,
    title,
    {{ leads_pipeline_id() }} as pipeline_id,
    stage_id,
    stage_semantics_code,
    is_return_customer,
    currency_code,
    amount,
    case
        when company_id is not null
            then {{ hash_key(["source_key", "'company'", "company_id"]) }}
        when contact_id is not null
            then {{ hash_key(["source_key", "'contact'", "contact_id"]) }}
    end as client_key,
    case
        when contact_id is not null
            then {{ hash_key(["source_key", "'contact'", "contact_id"]) }}
    end as contact_key,
    owner_id,
    created_by_id,
    moved_by_id,
    created_at,
    modified_at,
    moved_at,
    closed_at,
    source_id,
    coalesce(source_id in ('WEBFORM', 'CALLBACK') or contains(source_id, '|'), false)
        as is_made_by_system,
    utm_source,
    utm_medium,
    utm_campaign,
    custom_fields,
    portal_url || '/crm/lead/details/' || lead_id || '/' as card_url,
    is_deleted,
    is_after_cut,
    not(is_deleted or is_after_cut) as is_counted,
    'leads' as entity
from flagged
