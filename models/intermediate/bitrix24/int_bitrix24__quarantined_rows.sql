-- Rows that could not be read; of a list that every load reads whole, only the last load's.
{% set read_whole = [
    'users', 'departments', 'categories', 'statuses', 'currencies', 'custom_fields',
    'custom_field_options',
] %}


with quarantine as (
    select * from {{ ref('stg_bitrix24__quarantine') }}
)

select
    source_key,
    entity,
    payload_hash,
    record_id,
    reason,
    received_at,
    entity in ({{ "'" ~ read_whole | join("', '") ~ "'" }}) as is_read_whole
from quarantine
