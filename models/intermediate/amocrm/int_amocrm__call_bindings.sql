-- One row per call and lead on which it was noted.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
    where entity_type = 'leads'
)

select
    call_key,
    {{ hash_key(['source_key', 'entity_id']) }} as card_key
from call_rows
group by call_key, source_key, entity_id
