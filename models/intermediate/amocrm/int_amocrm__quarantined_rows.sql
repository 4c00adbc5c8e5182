-- Rows that could not be read; of a list that every load reads whole, only the last load's.
{% set listed = [
    'companies', 'contacts', 'leads', 'tasks', 'lead_notes', 'contact_notes', 'company_notes',
    'events',
] %}

with quarantine as (
    select * from {{ ref('stg_amocrm__quarantine') }}
)

select
    source_key,
    entity,
    payload_hash,
    record_id,
    reason,
    received_at,
    entity not in ({{ "'" ~ listed | join("', '") ~ "'" }}) as is_read_whole
from quarantine
