-- Comments on leads, up to the cut.
{{ config(materialized='view') }}

{% set text = json_path_text('notes.params', '$.text') %}

with notes as (
    select * from {{ ref('stg_amocrm__notes') }}
    where note_type = 'common' and entity_type = 'leads'
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    notes.source_key,
    notes.note_id as record_id,
    'deal' as card_type,
    notes.entity_id as card_id,
    notes.created_by_id as employee_id,
    notes.created_at as written_at,
    length({{ stripped(text) }}) as text_length,
    {{ hash_key(['lower(' ~ stripped(text) ~ ')']) }} as text_key
from notes
inner join connections
    on notes.source_key = connections.source_key
where notes.created_at <= connections.as_of_at and notes.created_at <= notes.received_at
