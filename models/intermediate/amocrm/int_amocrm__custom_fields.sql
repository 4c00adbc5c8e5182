-- One row per lead and custom field that has a value: its texts, several joined by a comma.
{{ config(materialized='affected_keys', affected_nodes=node('deal', 'lead_id')) }}

with leads as (
    select * from {{ ref('stg_amocrm__leads') }}
),

fields as (
    select
        source_key,
        lead_id,
        {{ unnest_json_elements('custom_fields') }} as field
    from leads
    where custom_fields is not null
),

named as (
    select
        source_key,
        lead_id,
        {{ json_path_text('field', '$.field_id') }} as field_id,
        nullif({{ json_path_text('field', '$.field_code') }}, '') as field_code,
        {{ json_joined_values('field') }} as field_value
    from fields
)

select
    source_key,
    lead_id,
    field_id,
    field_code,
    field_value
from named
where field_value is not null
