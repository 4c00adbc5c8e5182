-- Contacts and companies: those that a load has seen, and those that a card, a call or a contact
-- names, if no load has seen them.
{{ config(materialized='affected_keys', affected_nodes=client_node()) }}

with contacts as (
    select * from {{ ref('stg_bitrix24__contacts') }}
),

companies as (
    select * from {{ ref('stg_bitrix24__companies') }}
),

deals as (
    select * from {{ ref('stg_bitrix24__deals') }}
),

leads as (
    select * from {{ ref('stg_bitrix24__leads') }}
),

invoices as (
    select * from {{ ref('stg_bitrix24__invoices') }}
),

call_entities as (
    select * from {{ ref('int_bitrix24__call_entities') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity in ('contacts', 'companies')
),

connections as (
    select * from {{ ref('int_connections') }}
),

known as (
    select
        contacts.source_key,
        'contact' as client_type,
        contacts.contact_id as client_id,
        contacts.contact_name as client_name,
        contacts.company_id,
        contacts.owner_id,
        deleted.record_id is not null as is_deleted
    from contacts
    -- A record that came back after it was noticed missing was restored from the recycle bin.
    left join deleted
        on contacts.source_key = deleted.source_key
        and deleted.entity = 'contacts'
        and contacts.contact_id = deleted.record_id
        and contacts.received_at <= deleted.noticed_at
    union all
    select
        companies.source_key,
        'company' as client_type,
        companies.company_id as client_id,
        companies.company_name as client_name,
        null::bigint as company_id,
        companies.owner_id,
        deleted.record_id is not null as is_deleted
    from companies
    -- A record that came back after it was noticed missing was restored from the recycle bin.
    left join deleted
        on companies.source_key = deleted.source_key
        and deleted.entity = 'companies'
        and companies.company_id = deleted.record_id
        and companies.received_at <= deleted.noticed_at
),

named_rows as (
    select
        source_key,
        'contact' as client_type,
        contact_id as client_id
    from deals
    union all
    select
        source_key,
        'company' as client_type,
        company_id as client_id
    from deals
    union all
    select
        source_key,
        'contact' as client_type,
        contact_id as client_id
    from leads
    union all
    select
        source_key,
        'company' as client_type,
        company_id as client_id
    from leads
    union all
    select
        source_key,
        'contact' as client_type,
        contact_id as client_id
    from invoices
    union all
    select
        source_key,
        'company' as client_type,
        company_id as client_id
    from invoices
    union all
    select
        source_key,
        'contact' as client_type,
        contact_id as client_id
    from call_entities
    union all
    select
        source_key,
        'company' as client_type,
        company_id as client_id
    from call_entities
    union all
    select
        source_key,
        'company' as client_type,
        company_id as client_id
    from known
),

all_clients as (
    select
        source_key,
        client_type,
        client_id,
        client_name,
        company_id,
        owner_id,
        is_deleted,
        true as is_seen
    from known
    union all
    -- Of what no load has seen nobody knows whether it is gone.
    select
        named_rows.source_key,
        named_rows.client_type,
        named_rows.client_id,
        null as client_name,
        null as company_id,
        null as owner_id,
        null as is_deleted,
        false as is_seen
    from named_rows
    left join known
        on named_rows.source_key = known.source_key
        and named_rows.client_type = known.client_type
        and named_rows.client_id = known.client_id
    where named_rows.client_id is not null and known.client_id is null
    group by named_rows.source_key, named_rows.client_type, named_rows.client_id
)

select
    all_clients.source_key,
    all_clients.client_type,
    all_clients.client_id,
    nullif(all_clients.client_name, '') as client_name,
    connections.portal_url || case all_clients.client_type
        when 'contact' then '/crm/contact/details/' else '/crm/company/details/'
    end || all_clients.client_id || '/' as client_url,
    all_clients.company_id,
    all_clients.owner_id,
    all_clients.is_deleted,
    all_clients.is_seen
from all_clients
inner join connections
    on all_clients.source_key = connections.source_key
