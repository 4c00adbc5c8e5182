-- Deals that count: no templates of recurring deals, not deleted in the portal, created up to the
-- cut. What is left out is counted in int_reconciliation_by_entity.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with deals as (
    select * from {{ ref('stg_bitrix24__deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'deals'
),

flagged as (
    select
        deals.*,
        connections.portal_url,
        deleted.record_id is not null as is_deleted,
        deals.created_at > connections.as_of_at as is_after_cut
    from deals
    inner join connections
        on deals.source_key = connections.source_key
    -- A record that came back after it was noticed missing was restored from the recycle bin.
    left join deleted
        on deals.source_key = deleted.source_key
        and deals.deal_id = deleted.record_id
        and deals.received_at <= deleted.noticed_at
)

select
    {{ hash_key(['source_key', 'deal_id']) }} as deal_key,
    source_key,
    deal_id,
    deal_id as id_order,
    origin_id,
    title,
    pipeline_id,
    stage_id,
    stage_semantics_code,
    lead_id,
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
    planned_close_at,
    source_id,
    -- Web forms, call-back widgets and chats (`1|TELEGRAM`): the creator named there is whoever the
    -- form hands the card to.
    coalesce(source_id in ('WEBFORM', 'CALLBACK') or contains(source_id, '|'), false)
        as is_made_by_system,
    utm_source,
    utm_medium,
    utm_campaign,
    -- A loss reason is a custom field here, if the company has one.
    null::bigint as loss_reason_id,
    custom_fields,
    portal_url || '/crm/deal/details/' || deal_id || '/' as card_url,
    is_recurring as is_template,
    is_deleted,
    is_after_cut,
    not(is_recurring or is_deleted or is_after_cut) as is_counted,
    'deals' as entity
from flagged
