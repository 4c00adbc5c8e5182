-- Every record that was received and could be read, by entity: what a quarantined row is looked for
-- in. Events have ids of their own kind: one that could not be read stays unread.
{{ config(materialized='view') }}
{% set ids = {
    'companies': 'company_id',
    'contacts': 'contact_id',
    'leads': 'lead_id',
    'tasks': 'task_id',
} %}

with notes as (
    select * from {{ ref('stg_amocrm__notes') }}
)

{% for entity, id in ids.items() %}
select
    source_key,
    '{{ entity }}' as entity,
    {{ id }} as record_id,
    received_at
from {{ ref('stg_amocrm__' ~ entity) }}
union all
{% endfor %}
select
    source_key,
    case entity_type
        when 'leads' then 'lead_notes'
        when 'contacts' then 'contact_notes'
        else 'company_notes'
    end as entity,
    note_id as record_id,
    received_at
from notes
