-- Contacts and companies by the key that clients have.
{{ config(materialized='view') }}

with contacts as (
    select * from {{ ref('stg_amocrm__contacts') }}
),

companies as (
    select * from {{ ref('stg_amocrm__companies') }}
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    {{ hash_key(["contacts.source_key", "'contact'", "contacts.contact_id"]) }} as client_key,
    contacts.contact_name as client_name,
    connections.portal_url || '/contacts/detail/' || contacts.contact_id as client_url
from contacts
inner join connections
    on contacts.source_key = connections.source_key
union all
select
    {{ hash_key(["companies.source_key", "'company'", "companies.company_id"]) }} as client_key,
    companies.company_name as client_name,
    connections.portal_url || '/companies/detail/' || companies.company_id as client_url
from companies
inner join connections
    on companies.source_key = connections.source_key
