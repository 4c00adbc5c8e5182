-- Contacts with their company and phones, without those that the portal no longer has: merging
-- duplicates deletes ids.
{{ config(materialized='view') }}

with contacts as (
    select * from {{ ref('stg_bitrix24__contacts') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'contacts'
)

select
    contacts.source_key,
    contacts.contact_id,
    contacts.company_id,
    {{ multiple_field_values('contacts.phones') }} as phones
from contacts
-- A record that came back after it was noticed missing was restored from the recycle bin.
left join deleted
    on contacts.source_key = deleted.source_key
    and contacts.contact_id = deleted.record_id
    and contacts.received_at <= deleted.noticed_at
where deleted.record_id is null
