-- The client that the system's own record names, one row per call. Of several rows of a call the
-- first that leads to a client decides. A contact the system no longer has leads nowhere: merging
-- duplicates deletes ids, the number finds the contact that took over.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with entities as (
    select * from {{ ref('int_bitrix24__call_entities') }}
    union all
    select * from {{ ref('int_amocrm__call_entities') }}
),

contacts as (
    select
        source_key,
        contact_id,
        company_id
    from {{ ref('int_bitrix24__contacts') }}
    union all
    select
        source_key,
        contact_id,
        company_id
    from {{ ref('int_amocrm__contacts') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

named as (
    select
        entities.call_key,
        entities.row_id,
        case
            when entities.company_id is not null
                then {{ hash_key(["entities.source_key", "'company'", "entities.company_id"]) }}
            when contacts.company_id is not null
                then {{ hash_key(["entities.source_key", "'company'", "contacts.company_id"]) }}
            when contacts.contact_id is not null
                then {{ hash_key(["entities.source_key", "'contact'", "contacts.contact_id"]) }}
            when deals.deal_id is not null then deals.client_key
            else leads.client_key
        end as client_key,
        case
            when contacts.contact_id is not null
                then {{ hash_key(["entities.source_key", "'contact'", "contacts.contact_id"]) }}
        end as contact_key
    from entities
    left join contacts
        on entities.source_key = contacts.source_key
        and entities.contact_id = contacts.contact_id
    left join deals
        on entities.source_key = deals.source_key
        and entities.deal_id = deals.deal_id
    left join leads
        on entities.source_key = leads.source_key
        and entities.lead_id = leads.lead_id
),

ordered as (
    select
        call_key,
        client_key,
        contact_key,
        row_number() over (partition by call_key order by row_id) as row_order
    from named
    where client_key is not null
)

select
    call_key,
    client_key,
    contact_key
from ordered
where row_order = 1
